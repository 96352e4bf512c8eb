// SPDX-License-Identifier: Apache-2.0

package instance_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

func TestRowsAreMovedByGCAloneAndOnlyByAnOrderThatMeansSomething(t *testing.T) {
	good := instanceapi.Move{Token: "1", Onto: []string{"dn1", "dn2"}, From: []string{"dn1"}, MaxPauseMillis: 1000}
	r := serving(t, antdb.RoleDatanode, "dn1")
	wantCode(t, r.Move(context.Background(), good), http.StatusBadRequest)
	_, err := r.Empty(context.Background(), "dn1")
	wantCode(t, err, http.StatusBadRequest)

	g := serving(t, antdb.RoleGTM, "gc")
	for name, spoil := range map[string]func(*instanceapi.Move){
		"no token":     func(m *instanceapi.Move) { m.Token = "" },
		"no bound":     func(m *instanceapi.Move) { m.MaxPauseMillis = 0 },
		"no datanodes": func(m *instanceapi.Move) { m.Onto = nil },
		"both ways":    func(m *instanceapi.Move) { m.Off = []string{"dn3"} },
	} {
		t.Run(name, func(t *testing.T) {
			bad := good
			spoil(&bad)
			wantCode(t, g.Move(context.Background(), bad), http.StatusBadRequest)
		})
	}
	cancelled := good
	cancelled.Cancel = true
	if err := g.Move(context.Background(), cancelled); err != nil {
		t.Fatal(err)
	}
	g.await("the cancelled move to be told", func(s instanceapi.Status) bool {
		return s.Move != nil && s.Move.Phase == instanceapi.MoveCancelled && s.Move.Token == "1"
	})
}

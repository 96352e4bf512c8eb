// SPDX-License-Identifier: Apache-2.0

package owner_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/owner"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/process"
)

func TestJudge(t *testing.T) {
	const mine, other = "/mine/.sandbox", "/other/.sandbox"
	host := func(state string) process.Host { return process.Host{PID: 7, Name: "node1", State: state} }
	for _, c := range []struct {
		name  string
		scene owner.Scene
		want  owner.Verdict
		state string
	}{
		{name: "an empty machine is free", want: owner.Free},
		{name: "our own hosts are ours", scene: owner.Scene{Running: []process.Host{host(mine)}}, want: owner.Mine, state: mine},
		{
			name:  "one living host of another state is enough to keep us away",
			scene: owner.Scene{Running: []process.Host{host(mine), host(other)}, Record: &owner.Record{State: mine}},
			want:  owner.Foreign, state: other,
		},
		{
			name:  "a record of another state without a living host is a dead sandbox",
			scene: owner.Scene{Record: &owner.Record{State: other}, Leaves: true}, want: owner.Dead, state: other,
		},
		{
			name:  "a record of another state does not make our living hosts foreign",
			scene: owner.Scene{Record: &owner.Record{State: other}, Running: []process.Host{host(mine)}}, want: owner.Mine, state: mine,
		},
		{
			name:  "our own record without a living host is a dead sandbox too",
			scene: owner.Scene{Record: &owner.Record{State: mine}}, want: owner.Dead, state: mine,
		},
		{name: "links without a record are of a dead sandbox that nobody knows", scene: owner.Scene{Leaves: true}, want: owner.Dead},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.scene.State = mine
			if verdict, state := owner.Judge(c.scene); verdict != c.want || state != c.state {
				t.Errorf("Judge = %s of %q, want %s of %q", verdict, state, c.want, c.state)
			}
		})
	}
}

func TestOldSettingsCountOnlyInTheSameBoot(t *testing.T) {
	r := &owner.Record{State: "/x", Boot: "one"}
	if !r.Valid("one") || r.Valid("two") || (*owner.Record)(nil).Valid("one") {
		t.Error("Valid is true in the boot of the record only")
	}
}

func TestARecordIsReadAsItWasWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if r, err := owner.Read(dir); r != nil || err != nil {
		t.Fatalf("Read of nothing = %v, %v", r, err)
	}
	want := &owner.Record{
		State: "/x", Boot: "b", Sysctl: map[string]string{"a": "1"}, Dirs: []string{"/d"},
		Hosts: []process.Host{{PID: 1, Start: 2, Name: "n", State: "/x"}},
	}
	if err := owner.Write(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := owner.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	for range 2 {
		if err := owner.Remove(dir); err != nil {
			t.Errorf("Remove: %v", err)
		}
	}
}

func TestARecordThatCannotBeUnderstoodCountsAsNone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "owner.json"), []byte("{half"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err := owner.Read(dir); r != nil || err != nil {
		t.Errorf("Read = %v, %v", r, err)
	}
}

func TestTheSecondWaitsForTheFirstAndIsToldWhoThatIs(t *testing.T) {
	dir := t.TempDir()
	unlock, err := owner.Lock(t.Context(), dir, "the first", func(string) { t.Error("the first waits") })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	told := ""
	second, err := owner.Lock(ctx, dir, "the second", func(holder string) {
		told = holder
		unlock()
	})
	if err != nil {
		t.Fatal(err)
	}
	second()
	if told != "the first" {
		t.Errorf("the second was told of %q", told)
	}
}

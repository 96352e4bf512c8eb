// SPDX-License-Identifier: Apache-2.0

package pgconf_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/pgconf"
)

func TestAStandbyOfPostgreSQL11IsConfiguredInItsOwnFile(t *testing.T) {
	got := pgconf.Recovery{Primary: "demo-dn1-h.ns.svc", ApplicationName: "demo-dn1-2", Slot: "demo_dn1_2"}.Render(11)
	want := pgconf.RecoveryFiles{Files: map[string]string{"recovery.conf": `primary_conninfo = 'host=''demo-dn1-h.ns.svc'' port=5432 user=postgres sslmode=disable application_name=''demo-dn1-2'''
primary_slot_name = 'demo_dn1_2'
recovery_target_timeline = 'latest'
standby_mode = 'on'
`}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("recovery (-want +got):\n%s", d)
	}
}

func TestAStandbyOfPostgreSQL12IsASignalAndOrdinarySettings(t *testing.T) {
	got := pgconf.Recovery{Primary: `it's\here`, RestoreCommand: `cp '/a/%f' "%p"`}.Render(12)
	want := pgconf.RecoveryFiles{
		Files: map[string]string{"standby.signal": ""},
		Settings: map[string]string{
			"primary_conninfo":         `host='it\'s\\here' port=5432 user=postgres sslmode=disable`,
			"recovery_target_timeline": "latest",
			"restore_command":          `cp '/a/%f' "%p"`,
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("recovery (-want +got):\n%s", d)
	}
}

func TestARestoreEndsAtItsBarrier(t *testing.T) {
	r := pgconf.Recovery{RestoreCommand: "fetch %f %p", Barrier: "b2", Action: "promote"}
	want11 := pgconf.RecoveryFiles{Files: map[string]string{"recovery.conf": `recovery_target_action = 'promote'
recovery_target_barrier = 'b2'
recovery_target_timeline = 'latest'
restore_command = 'fetch %f %p'
`}}
	if d := cmp.Diff(want11, r.Render(11)); d != "" {
		t.Errorf("PostgreSQL 11 (-want +got):\n%s", d)
	}
	want12 := pgconf.RecoveryFiles{
		Files: map[string]string{"recovery.signal": ""},
		Settings: map[string]string{
			"recovery_target_action": "promote", "recovery_target_barrier": "b2", "recovery_target_timeline": "latest",
			"restore_command": "fetch %f %p",
		},
	}
	if d := cmp.Diff(want12, r.Render(12)); d != "" {
		t.Errorf("PostgreSQL 12 (-want +got):\n%s", d)
	}
}

func TestEveryFileOfEitherStyleIsListed(t *testing.T) {
	listed := map[string]bool{}
	for _, name := range pgconf.RecoveryNames() {
		listed[name] = true
	}
	for _, r := range []pgconf.Recovery{{}, {Primary: "h"}} {
		for _, major := range []int{11, 12, 15} {
			for name := range r.Render(major).Files {
				if !listed[name] {
					t.Errorf("%s is not listed, so a leftover of it would not be removed", name)
				}
			}
		}
	}
}

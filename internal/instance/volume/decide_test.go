// SPDX-License-Identifier: Apache-2.0

package volume_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/instance/pod"
	"github.com/antdb-operator/antdb-operator/internal/instance/volume"
)

func self() pod.Identity {
	return pod.Identity{Cluster: "demo", ClusterUID: "uid-1", Namespace: "ns", Node: "dn1", Instance: "demo-dn1-1"}
}

// mine is a folder that belongs to self.
func mine(systemIdentifier string) volume.Folder {
	return volume.Folder{Exists: true, Major: "11", Mark: &volume.Mark{Identity: self(), SystemIdentifier: systemIdentifier}}
}

// found are facts about a volume pair, beginning with empty ones.
func found(change func(*volume.Facts)) volume.Facts {
	f := volume.Facts{Self: self(), EngineMajor: "11", DataPath: "/v/pgdata", WALPath: "/w/pgwal"}
	if change != nil {
		change(&f)
	}
	return f
}

func TestWhatIsInPlaceRunsAndWhatIsMissingIsMade(t *testing.T) {
	for name, c := range map[string]struct {
		facts volume.Facts
		want  volume.Step
	}{
		"an empty volume": {found(nil), volume.Make{}},
		"a finished data directory": {
			found(func(f *volume.Facts) { f.Data = mine("1") }), volume.Run{},
		},
		"a half-made one": {
			found(func(f *volume.Facts) { f.DataHalf = true }), volume.Make{Remove: []string{"/v/pgdata.init"}},
		},
		"a finished one beside the rest of an older attempt": {
			found(func(f *volume.Facts) { f.Data, f.DataHalf = mine("1"), true }), volume.Run{},
		},
		"two empty volumes": {found(func(f *volume.Facts) { f.HasWAL = true }), volume.Make{}},
		"both half made": {
			found(func(f *volume.Facts) { f.HasWAL, f.DataHalf, f.WALHalf = true, true, true }),
			volume.Make{Remove: []string{"/v/pgdata.init", "/w/pgwal.init"}},
		},
		"a crash between the last two renames": {
			found(func(f *volume.Facts) { f.HasWAL, f.DataHalf, f.WAL = true, true, mine("1") }),
			volume.Make{Remove: []string{"/v/pgdata.init", "/w/pgwal"}},
		},
		"both finished": {
			found(func(f *volume.Facts) { f.HasWAL, f.Data, f.WAL, f.WALLink = true, mine("1"), mine("1"), "/w/pgwal" }),
			volume.Run{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, volume.Decide(c.facts)); d != "" {
				t.Errorf("step (-want +got):\n%s", d)
			}
		})
	}
}

func TestWhatIsNotOursIsRefusedWithWhatToDo(t *testing.T) {
	of := func(change func(*pod.Identity)) volume.Folder {
		f := mine("1")
		change(&f.Mark.Identity)
		return f
	}
	for name, c := range map[string]struct {
		facts volume.Facts
		says  []string
	}{
		"no data directory at all": {
			found(func(f *volume.Facts) { f.Data = volume.Folder{Exists: true} }),
			[]string{"/v/pgdata", "no PG_VERSION", "give the instance an empty volume"},
		},
		"a data directory without a mark": {
			found(func(f *volume.Facts) { f.Data = volume.Folder{Exists: true, Major: "11"} }),
			[]string{"antdb-instance.json is missing", "give the instance an empty volume"},
		},
		"a mark that cannot be read": {
			found(func(f *volume.Facts) { f.Data = volume.Folder{Exists: true, Major: "11", Unreadable: "bad JSON"} }),
			[]string{"bad JSON"},
		},
		"another cluster of the same name": {
			found(func(f *volume.Facts) { f.Data = of(func(i *pod.Identity) { i.ClusterUID = "uid-0" }) }), []string{`"uid-0"`, `"uid-1"`},
		},
		"another cluster":   {found(func(f *volume.Facts) { f.Data = of(func(i *pod.Identity) { i.Cluster = "prod" }) }), []string{`"prod"`}},
		"another namespace": {found(func(f *volume.Facts) { f.Data = of(func(i *pod.Identity) { i.Namespace = "other" }) }), []string{`"other"`}},
		"another node":      {found(func(f *volume.Facts) { f.Data = of(func(i *pod.Identity) { i.Node = "dn2" }) }), []string{`"dn2"`}},
		"another instance":  {found(func(f *volume.Facts) { f.Data = of(func(i *pod.Identity) { i.Instance = "demo-dn1-2" }) }), []string{`"demo-dn1-2"`}},
		"another engine": {
			found(func(f *volume.Facts) { f.Data, f.EngineMajor = mine("1"), "15" }), []string{"PostgreSQL 11", "PostgreSQL 15"},
		},
		"a log without its data": {
			found(func(f *volume.Facts) { f.HasWAL, f.WAL = true, mine("1") }), []string{"the data volume is empty"},
		},
		"a log of somebody else beside a half-made directory": {
			found(func(f *volume.Facts) {
				f.HasWAL, f.DataHalf, f.WAL = true, true, of(func(i *pod.Identity) { i.Node = "dn2" })
			}),
			[]string{"the data volume is empty"},
		},
		"data without its log": {
			found(func(f *volume.Facts) { f.HasWAL, f.Data, f.WALLink = true, mine("1"), "/w/pgwal" }), []string{"the WAL volume holds no log"},
		},
		"a log volume that was added": {
			found(func(f *volume.Facts) { f.HasWAL, f.Data = true, mine("1") }), []string{"cannot be added"},
		},
		"a log volume that was taken away": {
			found(func(f *volume.Facts) { f.Data, f.WALLink = mine("1"), "/w/pgwal" }), []string{"no WAL volume"},
		},
		"the log of another database system": {
			found(func(f *volume.Facts) { f.HasWAL, f.Data, f.WAL, f.WALLink = true, mine("1"), mine("2"), "/w/pgwal" }),
			[]string{"system 2", "of 1"},
		},
		"the log of another node": {
			found(func(f *volume.Facts) {
				f.HasWAL, f.Data, f.WALLink, f.WAL = true, mine("1"), "/w/pgwal", of(func(i *pod.Identity) { i.Node = "dn2" })
			}),
			[]string{"/w/pgwal", `"dn2"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			refuse, ok := volume.Decide(c.facts).(volume.Refuse)
			if !ok {
				t.Fatalf("got %#v, want a refusal", volume.Decide(c.facts))
			}
			for _, part := range c.says {
				if !strings.Contains(refuse.Message, part) {
					t.Errorf("message %q does not say %q", refuse.Message, part)
				}
			}
		})
	}
}

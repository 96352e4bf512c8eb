// SPDX-License-Identifier: Apache-2.0

package instance_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance"
	"github.com/antdb-operator/antdb-operator/internal/instance/enginetest"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/scram"
	"github.com/antdb-operator/antdb-operator/internal/topology"
)

// with is a configuration with one parameter.
func with(name, value string) instanceapi.Config {
	return instanceapi.Config{GTMHost: "127.0.0.1", Parameters: map[string]string{name: value}}
}

func (r *rig) put(c instanceapi.Config) instanceapi.ConfigResult {
	r.t.Helper()
	result, err := r.PutConfig(context.Background(), c)
	if err != nil {
		r.t.Fatal(err)
	}
	return result
}

func TestAParameterIsReloadedOnceAndTheSecondTimeNothingHappens(t *testing.T) {
	r := serving(t, antdb.RoleDatanode, "dn1")
	if got := r.put(with("work_mem", "8MB")); !got.Changed || got.Hash != with("work_mem", "8MB").Hash() {
		t.Errorf("result %+v", got)
	}
	if settings := r.read(filepath.Join(r.paths.State(), "antdb.conf")); !strings.Contains(settings, "work_mem = '8MB'") {
		t.Errorf("settings:\n%s", settings)
	}
	before := len(r.control.Events("signal"))
	if got := r.put(with("work_mem", "8MB")); got.Changed {
		t.Errorf("the same again: %+v", got)
	}
	if got := len(r.control.Events("signal")); got != before {
		t.Errorf("%d more signals", got-before)
	}
}

func TestAParameterThatNeedsARestartIsPendingUntilThen(t *testing.T) {
	r := serving(t, antdb.RoleDatanode, "dn1")
	if got := r.put(with("shared_buffers", "64MB")); len(got.PendingRestart) != 1 || got.PendingRestart[0] != "shared_buffers" {
		t.Errorf("result %+v", got)
	}
	if err := r.Restart(context.Background(), instanceapi.Restart{Token: "t"}); err != nil {
		t.Fatal(err)
	}
	s := r.await("it was restarted", func(s instanceapi.Status) bool { return s.Serving && s.RestartedFor == "t" })
	if len(s.Config.PendingRestart) > 0 {
		t.Errorf("still pending: %v", s.Config.PendingRestart)
	}
}

func TestAReloadThatIsAskedForWritesTheFilesAnewAndIsObeyedOnce(t *testing.T) {
	for role, node := range map[antdb.Role]string{antdb.RoleDatanode: "dn1", antdb.RoleCoordinator: "cn1"} {
		t.Run(node, func(t *testing.T) { // one after the other: two managers in one process would reap each other's children
			r := serving(t, role, node)
			r.put(with("work_mem", "8MB"))
			settings, access := filepath.Join(r.paths.State(), "antdb.conf"), filepath.Join(r.paths.State(), "pg_hba.conf")
			written := r.read(settings) + r.read(access)
			r.write(settings, "work_mem = '1kB'\n")
			r.write(access, "host all all all trust\n")
			signals, pools := len(r.control.Events("signal")), r.ran(topology.ReloadPool)
			for range 2 {
				if err := r.Reload(context.Background(), instanceapi.Reload{Token: "r1"}); err != nil {
					t.Fatal(err)
				}
			}
			if got := r.read(settings) + r.read(access); got != written {
				t.Errorf("%s: the files hold\n%s", node, got)
			}
			if got := len(r.control.Events("signal")) - signals; got != 1 {
				t.Errorf("%s was told to read its files %d times", node, got)
			}
			want := 0
			if role.HoldsCatalog() {
				want = 1
			}
			if got := r.ran(topology.ReloadPool) - pools; got != want {
				t.Errorf("%s made its pool anew %d times, not %d", node, got, want)
			}
			if s := r.Status(context.Background()); s.Reload == nil || *s.Reload != (instanceapi.ReloadStatus{Token: "r1"}) {
				t.Errorf("%s tells of the reload: %+v", node, s.Reload)
			}
		})
	}
}

func TestAReloadThatCannotBeConfirmedIsTold(t *testing.T) {
	r := serving(t, antdb.RoleCoordinator, "cn1")
	r.control.On(enginetest.HangSQL)
	defer r.control.Off(enginetest.HangSQL)
	r.await("statements do not come back", func(s instanceapi.Status) bool { return s.State == instanceapi.StateWaiting })
	signals := len(r.control.Events("signal"))
	if err := r.Reload(context.Background(), instanceapi.Reload{Token: "r1"}); err != nil {
		t.Fatal(err)
	}
	if s := r.Status(context.Background()).Reload; s == nil || !strings.Contains(s.Error, "cannot be asked what came of it") {
		t.Errorf("%+v", s)
	}
	r.eventually("it was told once to read its files", func() bool { return len(r.control.Events("signal")) == signals+1 })
	if err := r.Reload(context.Background(), instanceapi.Reload{}); err == nil {
		t.Error("a reload without a token is taken")
	}
}

// ran counts how often a statement ran.
func (r *rig) ran(sql string) int {
	n := 0
	for _, e := range r.control.Events("sql") {
		if strings.Contains(e, sql) {
			n++
		}
	}
	return n
}

func TestARefusedParameterLeavesFilesAndServerAlone(t *testing.T) {
	r := serving(t, antdb.RoleDatanode, "dn1")
	file := filepath.Join(r.paths.State(), "antdb.conf")
	before, signals := r.read(file), len(r.control.Events("signal"))
	for name, c := range map[string]instanceapi.Config{
		"the engine refuses it": with("wal_level", "silly"),
		"the operator keeps it": with("port", "1"),
		"a line that trusts":    {GTMHost: "127.0.0.1", HBA: []string{"host all all all trust"}},
	} {
		got := r.put(c)
		if got.Changed || got.RejectedHash != c.Hash() || len(got.Rejected) != 1 || got.Hash == c.Hash() {
			t.Errorf("%s: result %+v", name, got)
		}
		if again := r.put(c); again.RejectedHash != c.Hash() {
			t.Errorf("%s: a second time %+v", name, again)
		}
	}
	if r.read(file) != before || len(r.control.Events("signal")) != signals {
		t.Error("files or server were touched")
	}
	good := instanceapi.Config{GTMHost: "127.0.0.1"}
	if got := r.put(good); got.RejectedHash != "" || got.Changed {
		t.Errorf("back to the old one: %+v", got)
	}
	_, err := r.PutConfig(context.Background(), instanceapi.Config{})
	wantCode(t, err, http.StatusBadRequest)
}

func TestAConfigurationUnderWhichTheServerDoesNotComeUpIsRolledBack(t *testing.T) {
	r := serving(t, antdb.RoleDatanode, "dn1")
	bad := with("shared_preload_libraries", "nosuch")
	if got := r.put(bad); !got.Changed {
		t.Fatalf("result %+v", got)
	}
	if err := r.Restart(context.Background(), instanceapi.Restart{Token: "t"}); err != nil {
		t.Fatal(err)
	}
	s := r.await("it serves again", func(s instanceapi.Status) bool { return s.Serving && s.Starts == 3 })
	if s.Config.RejectedHash != bad.Hash() || s.Config.Hash == bad.Hash() || s.RestartedFor != "t" {
		t.Errorf("status %+v", s)
	}
	if len(s.Config.Rejected) != 1 || !strings.Contains(s.Config.Rejected[0].Message, "could not access file") {
		t.Errorf("rejected %+v: want the server's words", s.Config.Rejected)
	}
	if got := r.put(bad); got.Changed || got.RejectedHash != bad.Hash() {
		t.Errorf("the same again: %+v", got)
	}
}

func TestTheVeryFirstConfigurationCanFailToo(t *testing.T) {
	r := newRig(t, antdb.RoleDatanode, "dn1")
	bad := with("shared_preload_libraries", "nosuch")
	bad.HBA = []string{"host all all 192.0.2.0/24 md5"}
	r.configure(bad)
	r.start()
	s := r.awaitServing()
	if s.Config.RejectedHash != bad.Hash() {
		t.Errorf("status %+v", s.Config)
	}
	if hba := r.read(filepath.Join(r.paths.State(), "pg_hba.conf")); !strings.Contains(hba, "host all all all reject") {
		t.Errorf("lines that were to keep clients out are gone, and nothing stands in for them:\n%s", hba)
	}
}

func TestAFailureThatIsNotTheConfigurationsFaultRejectsNothing(t *testing.T) {
	r := newRig(t, antdb.RoleDatanode, "dn1")
	r.control.On(enginetest.FailStart)
	r.start()
	r.eventually("four starts failed", func() bool { return len(r.control.Events("start")) >= 4 })
	r.control.Off(enginetest.FailStart)
	r.awaitServing()
}

func TestAPodWithoutAConfigurationWaitsForOne(t *testing.T) {
	r := newRig(t, antdb.RoleDatanode, "dn1")
	if err := os.Remove(filepath.Join(r.paths.Config, "dn1.json")); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.awaitReason(instance.ReasonNoConfiguration)
	r.put(instanceapi.Config{GTMHost: "127.0.0.1"})
	r.awaitServing()
	r.stop()
	r.start() // what was accepted is remembered
	r.awaitServing()
}

func TestPeersAreLetInAsPodsComeAndGo(t *testing.T) {
	r := newRig(t, antdb.RoleDatanode, "dn1")
	r.k.pods = append(r.k.pods, *aPod("demo-cn1-1", "192.0.2.7"))
	r.start()
	r.awaitServing()
	file := filepath.Join(r.paths.State(), "pg_hba.conf")
	has := func(line string) bool { return strings.Contains(r.read(file), line) }
	r.eventually("the first peer is let in", func() bool { return has("host all all 192.0.2.7/32 trust") })
	if !has("host all all 192.0.2.1/32 trust") {
		t.Error("the pod's own address is not let in")
	}
	r.eventually("the pods are watched", func() bool { r.k.mu.Lock(); defer r.k.mu.Unlock(); return r.k.events != nil })
	told := func() int { return len(r.control.Events("signal")) }
	before := told()
	r.k.events.Modify(aPod("demo-cn1-1", "192.0.2.8"))
	r.eventually("the new address is let in", func() bool { return has("192.0.2.8/32 trust") && !has("192.0.2.7/32 trust") })
	r.eventually("the server is told of it", func() bool { return told() > before })
	before = told()
	r.k.events.Delete(aPod("demo-cn1-1", "192.0.2.8"))
	r.eventually("nobody else is let in", func() bool { return !has("192.0.2.8") })
	r.eventually("the server is told of that", func() bool { return told() > before })
}

func TestTheServerRunsWhileTheAPIServerIsAway(t *testing.T) {
	r := newRig(t, antdb.RoleDatanode, "dn1")
	r.k.away = true
	r.start()
	if s := r.awaitServing(); !strings.Contains(s.Message, "not told the addresses") {
		t.Errorf("message %q", s.Message)
	}
	r.k.mu.Lock()
	r.k.away = false
	r.k.mu.Unlock()
	r.eventually("the pod is labelled", func() bool { return r.k.label() == "true" })
}

func TestABootstrapIsCarriedOutOnce(t *testing.T) {
	r := serving(t, antdb.RoleCoordinator, "cn1")
	b := instanceapi.Bootstrap{Database: "app", Owner: "app", PostInitSQL: []string{"grant this to that"}}
	for range 2 {
		if err := r.Bootstrap(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		r.await("it is done", func(s instanceapi.Status) bool { return s.Bootstrap.Phase == instanceapi.BootstrapDone })
	}
	ran := 0
	for _, e := range r.control.Events("sql") {
		if e == "sql grant this to that" {
			ran++
		}
		if strings.Contains(e, "app secret") {
			t.Errorf("the password was sent: %s", e)
		}
	}
	if ran != 1 {
		t.Errorf("the statement ran %d times", ran)
	}
	r.await("its owner's password is right", func(s instanceapi.Status) bool { return len(s.StaleCredentials) == 0 })
}

func TestAFailedBootstrapSaysWhereAndIsNotHurried(t *testing.T) {
	r := serving(t, antdb.RoleCoordinator, "cn1")
	b := instanceapi.Bootstrap{Database: "app", Owner: "app", PostInitApplicationSQL: []string{"use nosuch"}}
	if err := r.Bootstrap(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	s := r.await("it failed", func(s instanceapi.Status) bool { return s.Bootstrap.Phase == instanceapi.BootstrapFailed })
	if s.Bootstrap.Step != "postInitApplicationSQL[0]" || !strings.Contains(s.Bootstrap.Error, "nosuch does not exist") {
		t.Errorf("bootstrap %+v", s.Bootstrap)
	}
	wantCode(t, r.Bootstrap(context.Background(), b), http.StatusConflict)
}

func TestAChangedSecretIsNoticedAndApplied(t *testing.T) {
	r := serving(t, antdb.RoleCoordinator, "cn1")
	catalog := filepath.Join(r.paths.Data(), "catalog.json")
	verifier, err := scram.Verifier("super secret", [scram.SaltBytes]byte{})
	if err != nil {
		t.Fatal(err)
	}
	r.write(catalog, strings.Replace(r.read(catalog), `"roles":null`, `"roles":{"postgres":"`+verifier+`"}`, 1))
	r.await("no role is stale", func(s instanceapi.Status) bool { return len(s.StaleCredentials) == 0 })
	r.write(filepath.Join(r.paths.Superuser, "password"), "another one")
	s := r.await("a role is stale", func(s instanceapi.Status) bool { return len(s.StaleCredentials) > 0 })
	if d := cmp.Diff([]string{"postgres"}, s.StaleCredentials); d != "" {
		t.Errorf("stale (-want +got):\n%s", d)
	}
	if err := r.ApplyCredentials(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.await("no role is stale", func(s instanceapi.Status) bool { return len(s.StaleCredentials) == 0 })
}

func TestACoordinatorReachesEveryOtherNode(t *testing.T) {
	r := serving(t, antdb.RoleCoordinator, "cn1")
	got, err := r.Reach(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := instanceapi.Reach{Datanodes: map[string]string{"dn1": ""}, Coordinators: map[string]string{"gc": ""}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("reach (-want +got):\n%s", d)
	}
}

func TestWhatOnlyCoordinatorsCanDoIsRefusedElsewhere(t *testing.T) {
	r := serving(t, antdb.RoleDatanode, "dn1")
	ctx := context.Background()
	_, reach := r.Reach(ctx)
	for what, err := range map[string]error{
		"reach":       reach,
		"bootstrap":   r.Bootstrap(ctx, instanceapi.Bootstrap{Database: "a", Owner: "b"}),
		"credentials": r.ApplyCredentials(ctx),
		"escape":      r.Escape(ctx, instanceapi.Escape{Token: "t", Drop: []string{"cn1"}, Topology: rows()}),
	} {
		t.Run(what, func(t *testing.T) { wantCode(t, err, http.StatusBadRequest) })
	}
}

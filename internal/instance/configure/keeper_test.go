// SPDX-License-Identifier: Apache-2.0

package configure_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/instance/configure"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/pgconf"
)

// server is a running server and the engine that checks settings for it.
type server struct {
	checkError error
	refuse     map[string]string // by the text that a candidate contains
	objects    []pgconf.Problem  // what the running server says of files on disk
	pending    []string
	reloads    int
}

func (s *server) CheckSettings(_ context.Context, _, configFile string) ([]pgconf.Problem, error) {
	if s.checkError != nil {
		return nil, s.checkError
	}
	settings, err := os.ReadFile(filepath.Join(filepath.Dir(configFile), "antdb.conf"))
	if err != nil {
		return nil, err
	}
	for text, why := range s.refuse {
		if strings.Contains(string(settings), text) {
			return []pgconf.Problem{{Name: "work_mem", Message: why}}, nil
		}
	}
	return nil, nil
}

func (s *server) FileErrors(context.Context) ([]pgconf.Problem, bool) { return s.objects, true }
func (s *server) Reload()                                             { s.reloads++ }
func (s *server) ReloadNow(context.Context) ([]string, bool)          { s.reloads++; return s.pending, true }

// volume is where a keeper's files are.
type volume struct {
	t           *testing.T
	data, state string
	server      *server
}

func newVolume(t *testing.T) volume {
	t.Helper()
	v := volume{t, t.TempDir(), t.TempDir(), &server{}}
	v.write(filepath.Join(v.data, "postgresql.conf"), "include_if_exists = '"+v.state+"/antdb.conf'\n")
	return v
}

func (v volume) write(path, text string) {
	v.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		v.t.Fatal(err)
	}
}

func (v volume) read(path string) string {
	v.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		v.t.Fatal(err)
	}
	return string(text)
}

// keeper is one as a new container has it.
func (v volume) keeper() *configure.Keeper {
	return &configure.Keeper{
		Own:  pgconf.Own{Role: antdb.RoleDatanode, Node: "dn1", Sockets: "/s"},
		Data: v.data, State: v.state, Checker: v.server, Server: v.server, Log: slog.New(slog.DiscardHandler),
	}
}

func (v volume) begin(c instanceapi.Config) *configure.Keeper {
	v.t.Helper()
	k := v.keeper()
	if err := k.Begin(context.Background(), c); err != nil {
		v.t.Fatal(err)
	}
	if err := k.Prepare(); err != nil {
		v.t.Fatal(err)
	}
	return k
}

func config(workMem string) instanceapi.Config {
	return instanceapi.Config{GTMHost: "gc", Parameters: map[string]string{"work_mem": workMem}}
}

func TestThePodsConfigurationWinsOverTheRememberedOne(t *testing.T) {
	v := newVolume(t)
	file := filepath.Join(t.TempDir(), "dn1.json")
	if c, ignored, err := configure.Read(file, v.state); c != nil || ignored != nil || err != nil {
		t.Errorf("nothing there: %v, %v, %v", c, ignored, err)
	}
	v.begin(config("1MB"))
	if c, _, err := configure.Read(file, v.state); err != nil || c == nil || c.Hash() != config("1MB").Hash() {
		t.Errorf("remembered: %v, %v", c, err)
	}
	v.write(file, `{"gtmHost":"other"}`)
	if c, _, err := configure.Read(file, v.state); err != nil || c == nil || c.GTMHost != "other" {
		t.Errorf("of the pod: %v, %v", c, err)
	}
	v.write(file, `{"gtmHost":`)
	if c, ignored, err := configure.Read(file, v.state); err != nil || ignored == nil || c == nil || c.Hash() != config("1MB").Hash() {
		t.Errorf("the pod's is no JSON: %v, ignored %v, %v", c, ignored, err)
	}
}

func TestAServerThatIsKilledTwiceWhileItStartsGoesBackToWhatWorked(t *testing.T) {
	v := newVolume(t)
	k := v.begin(config("1MB"))
	if err := k.CameUp(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // each time the whole container ends, and with it the keeper
		k = v.begin(config("900GB"))
		if got := k.Status(); got.Hash != config("900GB").Hash() || got.RejectedHash != "" {
			t.Fatalf("status %+v", got)
		}
	}
	k = v.begin(config("900GB"))
	got := k.Status()
	if got.Hash != config("1MB").Hash() || got.RejectedHash != config("900GB").Hash() || !strings.Contains(got.Rejected[0].Message, "memory") {
		t.Errorf("status %+v", got)
	}
	if !strings.Contains(v.read(filepath.Join(v.state, "antdb.conf")), "work_mem = '1MB'") {
		t.Error("the server would start with the other one")
	}
}

func TestSharedBuffersThatDoNotFitAreNeverTried(t *testing.T) {
	v := newVolume(t)
	k := v.begin(config("1MB"))
	k.Memory = 1 << 30
	c := config("1MB")
	c.Parameters["shared_buffers"] = "1GB"
	got, err := k.Apply(context.Background(), c)
	if err != nil || got.RejectedHash != c.Hash() || got.Rejected[0].Name != "shared_buffers" || v.server.reloads > 0 {
		t.Errorf("result %+v, %v, %d reloads: want a rejection that names the setting", got, err, v.server.reloads)
	}
}

func TestAKilledServerGetsASecondChanceWithinOneContainerToo(t *testing.T) {
	v := newVolume(t)
	k := v.begin(config("1MB"))
	if err := k.CameUp(); err != nil {
		t.Fatal(err)
	}
	k = v.begin(config("900GB"))
	if k.FailedStart("signal: killed", false) {
		t.Error("rolled back at the first time")
	}
	if err := k.Prepare(); err != nil {
		t.Fatal(err)
	}
	if !k.FailedStart("signal: killed", false) {
		t.Error("not rolled back at the second time")
	}
	if got := k.Status(); got.Hash != config("1MB").Hash() || got.RejectedHash != config("900GB").Hash() {
		t.Errorf("status %+v", got)
	}
}

func TestAProvenConfigurationIsNeverBlamed(t *testing.T) {
	v := newVolume(t)
	k := v.begin(config("1MB"))
	if err := k.CameUp(); err != nil {
		t.Fatal(err)
	}
	k = v.begin(config("1MB"))
	for range 3 {
		if k.FailedStart("exit status 1: no space left on device", true) {
			t.Fatal("rolled back")
		}
	}
	if got := k.Status(); got.RejectedHash != "" {
		t.Errorf("status %+v", got)
	}
}

func TestWhatTheRunningServerObjectsToIsTakenBack(t *testing.T) {
	v := newVolume(t)
	k := v.begin(config("1MB"))
	before := v.read(filepath.Join(v.state, "pg_hba.conf"))
	bad := config("2MB")
	bad.HBA = []string{"host all all nosuchhost.example md5"}
	v.server.objects = []pgconf.Problem{{Name: "hba", Value: "5", Message: "could not translate host name"}}
	got, err := k.Apply(context.Background(), bad)
	if err != nil || got.RejectedHash != bad.Hash() || got.Rejected[0].Value != bad.HBA[0] {
		t.Errorf("result %+v, %v: want a rejection that quotes the line", got, err)
	}
	if v.read(filepath.Join(v.state, "pg_hba.conf")) != before || v.server.reloads > 0 {
		t.Errorf("files changed, or %d reloads", v.server.reloads)
	}
}

func TestWhatCouldNotBeCheckedIsNeitherTakenNorRejected(t *testing.T) {
	v := newVolume(t)
	k := v.begin(config("1MB"))
	v.server.checkError = errors.New("fork: resource temporarily unavailable")
	if _, err := k.Apply(context.Background(), config("2MB")); err == nil {
		t.Error("got no error")
	}
	if got := k.Status(); got.Hash != config("1MB").Hash() || got.RejectedHash != "" {
		t.Errorf("status %+v", got)
	}
}

func TestAReloadedConfigurationWithNothingPendingIsProven(t *testing.T) {
	v := newVolume(t)
	k := v.begin(config("1MB"))
	if err := k.CameUp(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Apply(context.Background(), config("2MB")); err != nil {
		t.Fatal(err)
	}
	v.server.pending = []string{"shared_buffers"}
	if _, err := k.Apply(context.Background(), config("3MB")); err != nil {
		t.Fatal(err)
	}
	if err := k.Prepare(); err != nil {
		t.Fatal(err)
	}
	if !k.FailedStart("exit status 1: FATAL", true) {
		t.Fatal("not rolled back")
	}
	if got := k.Status(); got.Hash != config("2MB").Hash() {
		t.Errorf("back to %s, want %s", got.Hash, config("2MB").Hash())
	}
}

func TestAnEngineThatRefusesTheFirstConfigurationStartsWithDefaults(t *testing.T) {
	v := newVolume(t)
	v.server.refuse = map[string]string{"'lots'": `invalid value for parameter "work_mem"`}
	k := v.begin(config("lots"))
	want := instanceapi.ConfigStatus{
		Hash: instanceapi.Config{GTMHost: "gc"}.Hash(), RejectedHash: config("lots").Hash(),
		Rejected: []instanceapi.Rejected{{Name: "work_mem", Value: "lots", Message: `invalid value for parameter "work_mem"`}},
	}
	if d := cmp.Diff(want, k.Status()); d != "" {
		t.Errorf("status (-want +got):\n%s", d)
	}
}

func TestPeersAreWrittenBeforeTheFirstStartAndReloadedAfterwards(t *testing.T) {
	v := newVolume(t)
	k := v.keeper()
	address := netip.MustParseAddr("192.0.2.1")
	if err := k.SetPeers([]netip.Addr{address}); err != nil { // nothing to write to yet
		t.Fatal(err)
	}
	if err := errors.Join(k.Begin(context.Background(), config("1MB")), k.Prepare()); err != nil {
		t.Fatal(err)
	}
	hba := func() string { return v.read(filepath.Join(v.state, "pg_hba.conf")) }
	if !strings.Contains(hba(), "host all all 192.0.2.1/32 trust") || v.server.reloads != 0 {
		t.Errorf("%d reloads, access:\n%s", v.server.reloads, hba())
	}
	for range 2 {
		if err := k.SetPeers([]netip.Addr{address, address.Next()}); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(hba(), "host all all 192.0.2.2/32 trust") || v.server.reloads != 1 {
		t.Errorf("%d reloads, want 1; access:\n%s", v.server.reloads, hba())
	}
}

func TestAlterSystemIsOverruledBeforeAStart(t *testing.T) {
	v := newVolume(t)
	auto := filepath.Join(v.data, "postgresql.auto.conf")
	v.write(auto, "port = '7'\nwork_mem = '4MB'\n")
	v.begin(config("1MB"))
	if got := v.read(auto); got != "work_mem = '4MB'\n" {
		t.Errorf("left: %q", got)
	}
}

func TestFilesAreWrittenAnewWhateverStandsThere(t *testing.T) {
	v := newVolume(t)
	if _, err := v.keeper().Renew(context.Background()); !errors.Is(err, configure.ErrNone) {
		t.Errorf("without a configuration: %v", err)
	}
	k := v.begin(config("8MB"))
	written := v.read(configure.SettingsPath(v.state)) + v.read(configure.HBAPath(v.state))
	v.write(configure.SettingsPath(v.state), "rubbish")
	v.write(configure.HBAPath(v.state), "")
	v.server.objects, v.server.pending = []pgconf.Problem{{Name: "x", Message: "unrecognized"}}, []string{"max_connections"}
	problems, err := k.Renew(context.Background())
	if err != nil || len(problems) != 1 || problems[0].Name != "x" {
		t.Errorf("%v, %v", problems, err)
	}
	if got := v.read(configure.SettingsPath(v.state)) + v.read(configure.HBAPath(v.state)); got != written {
		t.Errorf("the files hold\n%s", got)
	}
	if s := k.Status(); v.server.reloads != 1 || len(s.PendingRestart) != 1 || s.RejectedHash != "" {
		t.Errorf("%d reloads, %+v", v.server.reloads, s)
	}
}

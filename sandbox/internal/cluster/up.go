// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/artifact"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/cgroup"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/daemons"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/debian"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/network"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/owner"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/pki"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/preflight"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/process"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/sysctl"
)

// Up brings the sandbox to the given number of workers (0: as many as it had, or 2), with the images of
// the given tars on each of them. Whatever it finds of an earlier start is used, repaired or removed.
func (s Sandbox) Up(ctx context.Context, workers int, images []string) error {
	if err := checkImages(images); err != nil {
		return err
	}
	if err := preflight.Rights(procDir); err != nil {
		return err
	}
	unlock, err := s.lock(ctx, "up")
	if err != nil {
		return err
	}
	defer unlock()
	if workers == 0 {
		if workers, err = s.workers(); err != nil {
			return err
		}
	}
	if err := s.clear(ctx); err != nil {
		return err
	}
	assets, err := s.Build(ctx)
	if err != nil {
		return err
	}
	plan, err := s.prepare(workers, assets)
	if err != nil {
		return err
	}
	if err := s.claim(); err != nil {
		return err
	}
	if err := network.Ensure(ctx); err != nil {
		return err
	}
	started, err := s.settleAll(ctx, workers, plan)
	if err != nil {
		return err
	}
	return s.await(ctx, workers, started, append(assets.Images, images...))
}

// clear refuses or cleans what is in the way, and checks the machine before anything is changed on it.
func (s Sandbox) clear(ctx context.Context) error {
	scene, err := s.scene()
	if err != nil {
		return err
	}
	verdict, state := owner.Judge(scene)
	if verdict == owner.Foreign {
		return ForeignError{state}
	}
	if _, err := cgroup.Detect(cgroupDir); err != nil {
		return err
	}
	goVersion, err := artifact.GoVersion(ctx)
	if err != nil {
		return err
	}
	program := artifact.Program{Name: kubernetesBinary, Source: filepath.Join(s.Source, "kubernetes")}
	if err := s.checkRoom(program, goVersion); err != nil {
		return err
	}
	if verdict != owner.Mine {
		if err := preflight.Ranges(layout.Nets(), layout.Bridge); err != nil {
			return err
		}
	}
	if err := s.install(ctx, debian.ForHosts()); err != nil {
		return err
	}
	if verdict == owner.Dead {
		if err := sweep(ctx, scene.Record); err != nil {
			return fmt.Errorf("clean up after a dead sandbox: %w", err)
		}
		s.Out.Step("removed what %s left in the kernel", deadName(state, string(s.State)))
	}
	if verdict != owner.Mine {
		return preflight.Kernel(ctx)
	}
	return nil
}

func deadName(state, mine string) string {
	switch state {
	case "":
		return "an unknown dead sandbox"
	case mine:
		return "the last run of this sandbox"
	}
	return "the dead sandbox of " + state
}

func (s Sandbox) checkRoom(p artifact.Program, goVersion string) error {
	if err := preflight.Place(string(s.State), daemons.Hidden()); err != nil {
		return err
	}
	if err := preflight.Room(string(s.State), 4<<30); err != nil {
		return err
	}
	flags, err := versionFlags(filepath.Join(p.Source, "go.mod"))
	if err != nil {
		return err
	}
	p.Flags = flags
	key, err := p.Key(goVersion)
	if err != nil {
		return err
	}
	if !s.Cache.Has(p.Name, key) {
		return preflight.Room(s.Cache.Dir, 6<<30)
	}
	return nil
}

// install installs the packages that are missing.
func (s Sandbox) install(ctx context.Context, packages []string) error {
	missing, err := debian.Missing(ctx, packages)
	if err != nil || len(missing) == 0 {
		return err
	}
	if err := preflight.Distribution("/etc/os-release", missing); err != nil {
		return err
	}
	s.Out.Step("installing %d packages with apt: %v", len(missing), missing)
	if err := debian.Install(ctx, missing); err != nil {
		return err
	}
	s.Out.Step("packages installed")
	return nil
}

// prepare writes the state's own files: settings, certificates, kubeconfigs, names of the programs.
func (s Sandbox) prepare(workers int, assets Assets) (daemons.Plan, error) {
	text, err := json.Marshal(settings{Workers: workers})
	if err != nil {
		return daemons.Plan{}, fmt.Errorf("encode settings: %w", err)
	}
	if err := replace(s.State.Path(settingsFile), append(text, '\n')); err != nil {
		return daemons.Plan{}, err
	}
	roots, err := s.certificates()
	if err != nil {
		return daemons.Plan{}, err
	}
	return daemons.Plan{State: s.State, Programs: assets.Programs, Roots: roots}, nil
}

func (s Sandbox) certificates() (roots string, err error) {
	authority := pki.Authority{Dir: s.State.PKI(""), Now: s.Out.Start()}
	if _, err := authority.Ensure(pki.Authorities(), pki.Identities()); err != nil {
		return "", err
	}
	configs := map[string]string{
		"admin":              s.State.Kubeconfig(),
		"controller-manager": s.State.PKI("controller-manager.kubeconfig"),
		"scheduler":          s.State.PKI("scheduler.kubeconfig"),
		"proxy":              s.State.PKI("proxy.kubeconfig"),
		"volumes":            s.State.PKI("volumes.kubeconfig"),
	}
	for _, h := range layout.Workers(layout.MaxWorkers) {
		configs[h.Name] = s.State.PKI(h.Name + ".kubeconfig")
	}
	for identity, path := range configs {
		if err := authority.Kubeconfig(identity, path); err != nil {
			return "", err
		}
	}
	var parts []string
	for _, name := range []string{"ca.crt", "front-proxy-ca.crt", "sa.pub"} {
		digest, err := artifact.FileDigest(s.State.PKI(name))
		if err != nil {
			return "", err
		}
		parts = append(parts, digest)
	}
	return string(artifact.KeyOf(parts...)), nil
}

// linkPrograms names the programs in the state, where people and test frameworks look for them.
func (s Sandbox) linkPrograms(dir string) error {
	if err := os.MkdirAll(s.State.Bin(), 0o755); err != nil {
		return fmt.Errorf("make program directory: %w", err)
	}
	for _, name := range programs() {
		link := filepath.Join(s.State.Bin(), name)
		if have, err := os.Readlink(link); err == nil && have == filepath.Join(dir, name) {
			continue
		}
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("name program %s: %w", name, err)
		}
		if err := os.Symlink(filepath.Join(dir, name), link); err != nil {
			return fmt.Errorf("name program %s: %w", name, err)
		}
	}
	return nil
}

// claim writes the owner record before the first change of the kernel, and makes those changes that
// concern the whole machine.
func (s Sandbox) claim() error {
	boot, err := owner.Boot()
	if err != nil {
		return err
	}
	record, err := owner.Read(owner.Dir)
	if err != nil {
		return err
	}
	machine := sysctl.Settings{Root: "/proc/sys"}
	if !record.Valid(boot) || record.State != string(s.State) {
		before, err := machine.Read()
		if err != nil {
			return err
		}
		record = &owner.Record{State: string(s.State), Boot: boot, Sysctl: before}
	}
	for _, dir := range daemons.MountPoints() {
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			record.Dirs = append(record.Dirs, dir)
		}
	}
	if err := owner.Write(owner.Dir, record); err != nil {
		return err
	}
	for _, dir := range daemons.MountPoints() {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make mount point: %w", err)
		}
	}
	return machine.Raise()
}

// settleAll starts the hosts that are not as they should be, and switches off those that are too many.
// It returns when it started which.
func (s Sandbox) settleAll(ctx context.Context, workers int, plan daemons.Plan) (started map[string]time.Time, err error) {
	running, err := s.running()
	if err != nil {
		return nil, err
	}
	tree, err := cgroup.Detect(cgroupDir)
	if err != nil {
		return nil, err
	}
	for _, h := range layout.Workers(layout.MaxWorkers)[workers:] {
		if now, on := running[h.Name]; on {
			if err := s.powerOff(ctx, h, now); err != nil {
				return nil, err
			}
			s.Out.Step("host %s switched off: it is one too many", h.Name)
		}
	}
	started = map[string]time.Time{}
	for _, h := range layout.Hosts(workers) {
		procs, err := tree.Make(h.Name)
		if err != nil {
			return nil, err
		}
		text, err := plan.Host(h, procs)
		if err != nil {
			return nil, err
		}
		begin := time.Now()
		fresh, err := s.settle(ctx, h, text, running)
		if err != nil {
			return nil, err
		}
		if fresh {
			started[h.Name] = begin
		}
	}
	s.Out.Step("%d of %d hosts started", len(started), workers+1)
	return started, s.recordHosts()
}

// await waits for every part of the cluster, and loads images meanwhile.
func (s Sandbox) await(ctx context.Context, workers int, started map[string]time.Time, images []string) error {
	running, err := s.running()
	if err != nil {
		return err
	}
	var loaded error
	var loading sync.WaitGroup
	loading.Go(func() { loaded = s.loadAll(ctx, running, images) })
	ready := s.awaitNodes(ctx, workers, started)
	loading.Wait()
	if err := errors.Join(loaded, ready); err != nil {
		return err
	}
	return s.awaitAddons(ctx, workers)
}

func workersOf(running map[string]process.Host) []process.Host {
	var hosts []process.Host
	for _, h := range layout.Workers(layout.MaxWorkers) {
		if now, on := running[h.Name]; on {
			hosts = append(hosts, now)
		}
	}
	return hosts
}

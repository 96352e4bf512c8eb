// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/daemons"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/kubeapi"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/network"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/owner"
)

// ErrNotUp says that some part of the sandbox does not work.
var ErrNotUp = errors.New("the sandbox is not up")

// hostStatus is one line of the status.
type hostStatus struct {
	host                layout.Host
	pid                 int
	power, link, health string
	images              []string
}

// Status prints what is there, and returns ErrNotUp unless all of it works.
func (s Sandbox) Status(ctx context.Context, out io.Writer) error {
	workers, err := s.workers()
	if err != nil {
		return err
	}
	scene, err := s.scene()
	if err != nil {
		return err
	}
	if verdict, state := owner.Judge(scene); verdict == owner.Foreign {
		return fmt.Errorf("%w: %w", ErrNotUp, ForeignError{state})
	} else if verdict != owner.Mine {
		return fmt.Errorf("%w (state %s)", ErrNotUp, s.State)
	}
	version, ready, apiErr := s.ask(ctx)
	hosts, err := s.hostStatus(ctx, workers, ready, apiErr)
	if err != nil {
		return err
	}
	printStatus(out, s.State, version, apiErr, hosts)
	for _, h := range hosts {
		if h.power != "on" || h.link != "joined" || h.health != "Ready" {
			return fmt.Errorf("%w: host %s is %s, %s, %s", ErrNotUp, h.host.Name, h.power, h.link, h.health)
		}
	}
	return nil
}

func (s Sandbox) ask(ctx context.Context) (version string, ready []string, err error) {
	api, err := kubeapi.New(s.State)
	if err != nil {
		return "", nil, err
	}
	defer api.Close()
	if err := api.Ready(ctx); err != nil {
		return "", nil, err
	}
	if version, err = api.Version(ctx); err != nil {
		return "", nil, err
	}
	ready, err = api.Nodes(ctx)
	return version, ready, err
}

func (s Sandbox) hostStatus(ctx context.Context, workers int, ready []string, apiErr error) ([]hostStatus, error) {
	running, err := s.running()
	if err != nil {
		return nil, err
	}
	var all []hostStatus
	for _, h := range layout.Hosts(workers) {
		st := hostStatus{host: h, power: "off", link: "none", health: "unknown"}
		now, on := running[h.Name]
		if on {
			st.power, st.link, st.pid = "on", "cut", now.PID
		}
		if network.Joined(h) {
			st.link = "joined"
		}
		switch {
		case apiErr != nil:
		case !h.Worker() || slices.Contains(ready, h.Name):
			st.health = "Ready"
		default:
			st.health = "NotReady"
		}
		if on && h.Worker() {
			store := store{socket: fmt.Sprintf("/proc/%d/root%s", now.PID, daemons.ContainerdSocket)}
			// A host whose containerd does not answer has no images to show; the line says enough.
			found, _ := store.images(ctx)
			for _, ref := range slices.Sorted(maps.Keys(found)) {
				if !strings.HasPrefix(ref, "sha256:") {
					st.images = append(st.images, ref)
				}
			}
		}
		all = append(all, st)
	}
	return all, nil
}

func printStatus(out io.Writer, state layout.State, version string, apiErr error, hosts []hostStatus) {
	api := "ready, Kubernetes " + version
	if apiErr != nil {
		api = "not ready: " + apiErr.Error()
	}
	// A terminal that went away is not worth an error.
	_, _ = fmt.Fprintf(out, "state       %s\nkubeconfig  %s\nAPI server  %s, %s\n\n", state, state.Kubeconfig(), layout.APIServer, api)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "HOST\tPOWER\tLINK\tHEALTH\tADDRESS\tPROCESS")
	for _, h := range hosts {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\n", h.host.Name, h.power, h.link, h.health, h.host.IP(), h.pid)
	}
	_ = table.Flush()
	for _, h := range hosts {
		if h.host.Worker() {
			_, _ = fmt.Fprintf(out, "\nimages of %s:\n", h.host.Name)
			for _, ref := range h.images {
				_, _ = fmt.Fprintf(out, "  %s\n", ref)
			}
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// Limits of asking instances: how many at once, and how long one may take.
const (
	instancesAtOnce = 8
	instanceLimit   = 45 * time.Second
)

// inquiry is what is to be found out about a cluster besides its status.
type inquiry struct {
	// objects: pods, claims, events and hosts. sizes: of databases. services: whether they can be reached.
	objects, sizes, services bool
	// holders: only those are asked that hold a catalog.
	holders bool
}

// examine finds the cluster and finds out facts about it. Of one that is stopped there are only its objects to look at.
func (a *app) examine(ctx context.Context, name string, want inquiry) (*v1alpha1.AntDBCluster, *examine.Facts, error) {
	find := a.reachServers
	if want.objects {
		find = a.reach
	}
	k, c, err := find(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	f, err := k.examine(ctx, c, a.Now(), want)
	return c, f, err
}

// examine finds out facts about a cluster. What cannot be had is left out and noted.
func (k *Kube) examine(ctx context.Context, c *v1alpha1.AntDBCluster, now time.Time, want inquiry) (*examine.Facts, error) {
	f := &examine.Facts{Now: now, Cluster: c, Pods: map[string]*corev1.Pod{}, Hosts: map[string]*corev1.Node{}, Probes: map[string]examine.Probed{}}
	if want.objects {
		if err := k.objects(ctx, c, f); err != nil {
			return nil, err
		}
	}
	if examine.Halted(c) == v1alpha1.ReasonStopped {
		return f, nil
	}
	asker := ""
	if want.services {
		asker = tries(c)
	}
	var mu sync.Mutex
	k.each(ctx, c, func(ctx context.Context, n *v1alpha1.NodeStatus) {
		if want.holders && !antdb.Role(n.Role).HoldsCatalog() {
			return
		}
		p := k.probe(ctx, c, n, want, n.Name == asker)
		mu.Lock()
		defer mu.Unlock()
		f.Probes[n.Name] = p
	})
	return f, ctx.Err()
}

// each does something for every node, some at once, each within a limit.
func (k *Kube) each(ctx context.Context, c *v1alpha1.AntDBCluster, do func(context.Context, *v1alpha1.NodeStatus)) {
	var group errgroup.Group
	group.SetLimit(instancesAtOnce)
	for i := range c.Status.Nodes {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, instanceLimit)
			defer cancel()
			do(ctx, &c.Status.Nodes[i])
			return nil
		})
	}
	_ = group.Wait() // nobody returns an error
}

// tries is the node that tries Services: a coordinator that serves, or else any other node that does; gc comes last.
func tries(c *v1alpha1.AntDBCluster) string {
	if node := serving(c); node != "" {
		return node
	}
	for _, role := range []antdb.Role{antdb.RoleDatanode, antdb.RoleCoordinator, antdb.RoleGTM} {
		for _, n := range c.Status.Nodes {
			if antdb.Role(n.Role) == role && n.Primary != "" && !waits(&n) && ready(&n) {
				return n.Name
			}
		}
	}
	return ""
}

func ready(n *v1alpha1.NodeStatus) bool {
	for _, i := range n.Instances {
		if i.Name == n.Primary {
			return i.Ready
		}
	}
	return false
}

// waits tells of a gc that waits for its nodes: a session on it would hang, and could not be ended.
func waits(n *v1alpha1.NodeStatus) bool {
	for _, i := range n.Instances {
		if n.Role == string(antdb.RoleGTM) && i.Name == n.Primary && i.State == string(instanceapi.StateWaiting) {
			return true
		}
	}
	return false
}

// probe asks one instance.
func (k *Kube) probe(ctx context.Context, c *v1alpha1.AntDBCluster, n *v1alpha1.NodeStatus, want inquiry, services bool) examine.Probed {
	p := examine.Probed{}
	args := []string{instanceapi.CommandProbe}
	if waits(n) {
		args = append(args, instanceapi.ProbeWithoutSQL)
	}
	if want.sizes {
		args = append(args, instanceapi.ProbeSizes)
	}
	if services {
		p.AskedFor = addresses(c)
		for _, a := range p.AskedFor {
			args = append(args, a.HostPort)
		}
	}
	if err := k.manager(ctx, c, n.Name, &p.Probe, args...); err != nil {
		p.Err = err.Error()
	}
	return p
}

// addresses are the Services of a cluster that take connections.
func addresses(c *v1alpha1.AntDBCluster) []examine.Address {
	var out []examine.Address
	add := func(service string) {
		host := naming.Host(service, c.Namespace)
		out = append(out, examine.Address{Service: service, HostPort: net.JoinHostPort(host, strconv.Itoa(naming.PortSQL))})
	}
	add(naming.ApplicationService(c.Name))
	for _, n := range c.Status.Nodes {
		if !waits(&n) {
			add(naming.NodeService(c.Name, n.Name))
			add(naming.HeadlessService(c.Name, n.Name))
		}
	}
	return out
}

// manager runs a command of the instance manager in a node's pod and reads the JSON that it prints.
func (k *Kube) manager(ctx context.Context, c *v1alpha1.AntDBCluster, node string, into any, args ...string) error {
	return k.ask(ctx, c, node, nil, into, args...)
}

// ask does the same, and gives the command something to read.
func (k *Kube) ask(ctx context.Context, c *v1alpha1.AntDBCluster, node string, in io.Reader, into any, args ...string) error {
	pod, err := k.pod(c, node)
	if err != nil {
		return err
	}
	var out, said bytes.Buffer
	if err := k.Exec(ctx, pod, Exec{Command: append([]string{manager}, args...), In: in, Out: &out, Err: &said}); err != nil {
		words := strings.TrimSpace(said.String())
		if strings.Contains(words, "unknown command") {
			return fmt.Errorf("the instance manager in pod %s is older than this program and cannot %s: it is renewed when the pod is made anew", pod.Name, args[0])
		}
		// As words: the exit code is not that of this program.
		return errors.New(strings.TrimSuffix(err.Error()+": "+words, ": "))
	}
	if err := json.Unmarshal(out.Bytes(), into); err != nil {
		return fmt.Errorf("read what %s in pod %s printed: %w", args[0], pod.Name, err)
	}
	return nil
}

// objects reads pods, claims, events and hosts.
func (k *Kube) objects(ctx context.Context, c *v1alpha1.AntDBCluster, f *examine.Facts) error {
	mine := client.MatchingLabels{naming.LabelCluster: c.Name}
	pods, claims, events := &corev1.PodList{}, &corev1.PersistentVolumeClaimList{}, &corev1.EventList{}
	for _, read := range []struct {
		what    string
		list    client.ObjectList
		options []client.ListOption
	}{{"pods", pods, []client.ListOption{mine}}, {"claims", claims, []client.ListOption{mine}}, {"events", events, nil}} {
		err := k.List(ctx, read.list, append(read.options, client.InNamespace(c.Namespace))...)
		if apierrors.IsForbidden(err) {
			f.Unknown = append(f.Unknown, read.what+" (your account may not list them)")
		} else if err != nil {
			return err
		}
	}
	for i := range pods.Items {
		f.Pods[pods.Items[i].Name] = &pods.Items[i]
	}
	f.Claims, f.Events = claims.Items, events.Items
	k.hosts(ctx, c, f)
	return nil
}

// hosts reads those of pods that do not serve. Few accounts may; it is no loss for the others.
func (k *Kube) hosts(ctx context.Context, c *v1alpha1.AntDBCluster, f *examine.Facts) {
	for _, n := range c.Status.Nodes {
		pod := f.Pods[n.Primary]
		if pod == nil || pod.Spec.NodeName == "" || f.Hosts[pod.Spec.NodeName] != nil || len(n.Instances) > 0 && n.Instances[0].Serving {
			continue
		}
		host := &corev1.Node{}
		if err := k.Get(ctx, client.ObjectKey{Name: pod.Spec.NodeName}, host); err == nil {
			f.Hosts[host.Name] = host
		}
	}
}

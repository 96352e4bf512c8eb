// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/plan"
	"github.com/antdb-operator/antdb-operator/test/bench/floor"
	"github.com/antdb-operator/antdb-operator/test/e2e/cluster"
)

// script is what a person would let a container do: initdb, a few settings, the server. Whoever starts before gc takes
// connections loses up to 3 s.
const script = `set -e
data=/var/lib/antdb/data
initdb -D $data --nodename $NODE -U postgres -A trust --encoding=UTF8 --locale=C --data-checksums
echo "host all all 0.0.0.0/0 trust" >>$data/pg_hba.conf
cat >>$data/postgresql.conf <<END
listen_addresses = '*'
unix_socket_directories = '/var/lib/antdb'
agtm_host = 'gc'
agtm_port = 5432
max_prepared_transactions = 100
END
test $NODE = gc || until (: </dev/tcp/gc/5432) 2>/dev/null; do sleep 0.1; done
exec postgres --$KIND -D $data
`

// podsByHand is the time that the same six servers take as pods without an operator: two Services, a claim and a pod for
// each, all made at once; the node sync by hand as soon as the pods are ready; and one table used.
func podsByHand(ctx context.Context, o options) (time.Duration, error) {
	return timed(ctx, o, func(ctx context.Context, n *cluster.Namespace) error {
		servers := floor.Six()
		var all errgroup.Group
		for i := range servers {
			all.Go(func() error { return makePod(ctx, n, o.image, &servers[i]) })
		}
		if err := all.Wait(); err != nil {
			return err
		}
		if err := podsReady(ctx, n, len(servers)); err != nil {
			return err
		}
		for _, s := range servers {
			if err := reachable(ctx, cluster.Login{Host: s.Address, Port: "5432", User: antdb.Superuser, Database: antdb.Superuser}); err != nil {
				return err
			}
		}
		if err := floor.Synchronize(ctx, servers); err != nil {
			return err
		}
		return floor.Use(ctx, servers)
	})
}

// makePod makes all that belongs to one server, and notes its addresses.
func makePod(ctx context.Context, n *cluster.Namespace, image string, s *floor.Server) error {
	core := n.Core().CoreV1()
	about := metav1.ObjectMeta{Name: s.Name, Labels: map[string]string{"node": s.Name}}
	ports := []corev1.ServicePort{{Port: antdb.Port}}
	service, err := core.Services(n.Name).Create(ctx, &corev1.Service{
		ObjectMeta: about, Spec: corev1.ServiceSpec{Selector: about.Labels, Ports: ports},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("make Service of %s: %w", s.Name, err)
	}
	// Between nodes the engine uses ports that nobody knows before.
	headless := about
	headless.Name += "-h"
	if _, err = core.Services(n.Name).Create(ctx, &corev1.Service{
		ObjectMeta: headless, Spec: corev1.ServiceSpec{Selector: about.Labels, Ports: ports, ClusterIP: corev1.ClusterIPNone},
	}, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("make headless Service of %s: %w", s.Name, err)
	}
	s.Host, s.Address, s.Port = headless.Name, service.Spec.ClusterIP, antdb.Port
	if _, err = core.PersistentVolumeClaims(n.Name).Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: about,
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("make claim of %s: %w", s.Name, err)
	}
	if _, err := core.Pods(n.Name).Create(ctx, podByHand(about, image, *s), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("make pod of %s: %w", s.Name, err)
	}
	return nil
}

func podByHand(about metav1.ObjectMeta, image string, s floor.Server) *corev1.Pod {
	user := int64(26)
	return &corev1.Pod{ObjectMeta: about, Spec: corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{
			RunAsUser: &user, RunAsGroup: &user, FSGroup: &user, RunAsNonRoot: new(true),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: "antdb", Image: image, Command: []string{"bash", "-c", script},
			Env:          []corev1.EnvVar{{Name: "NODE", Value: s.Name}, {Name: "KIND", Value: s.Kind}, {Name: "PGSSLMODE", Value: "disable"}},
			VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/var/lib/antdb"}},
			ReadinessProbe: &corev1.Probe{
				ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(antdb.Port)}},
				PeriodSeconds: 1,
			},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
		Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: s.Name},
		}}},
		TerminationGracePeriodSeconds: new(int64(5)),
	}}
}

// podsReady waits until as many pods of the namespace are ready.
func podsReady(ctx context.Context, n *cluster.Namespace, number int) error {
	watch, err := n.Core().CoreV1().Pods(n.Name).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	defer watch.Stop()
	ready := map[string]bool{}
	for len(ready) < number {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for pods made by hand: only %d of %d are ready: %w", len(ready), number, ctx.Err())
		case event, open := <-watch.ResultChan():
			if !open {
				return errors.New("watch pods: the API server ended it")
			}
			if pod, isPod := event.Object.(*corev1.Pod); isPod && plan.PodReady(pod) {
				ready[pod.Name] = true
			}
		}
	}
	return nil
}

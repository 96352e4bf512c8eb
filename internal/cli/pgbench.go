// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// benchmark is a run of pgbench.
type benchmark struct {
	scale, clients int
	seconds        time.Duration
	selects, keep  bool
	noInit         bool
	limit          time.Duration
	more           []string // arguments for pgbench
}

func (a *app) pgbench() *cobra.Command {
	var b benchmark
	cmd := &cobra.Command{
		Use:   "pgbench [CLUSTER] [-- ARGUMENTS]",
		Short: "Measure a cluster with pgbench, in a Job",
		Long: `Measure a cluster with pgbench, in a Job of the cluster's namespace.

It connects to the application Service as the owner of the application's database, makes the tables pgbench_* there,
runs, and drops them. What follows -- is given to pgbench. Ctrl-C leaves the Job running. It is deleted an hour after its end.`,
		Example: `  kubectl antdb pgbench
  kubectl antdb pgbench demo --scale 100 --clients 32 --time 5m
  kubectl antdb pgbench demo --select-only -- --protocol=prepared`,
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		own, _ := split(cmd, args)
		return atMost(1)(cmd, own)
	}
	f := cmd.Flags()
	const scale, clients, seconds, limit = 10, 8, time.Minute, 5 * time.Minute
	f.IntVar(&b.scale, "scale", scale, "size of the tables: 100,000 rows each, about 16 MB")
	f.IntVar(&b.clients, "clients", clients, "how many sessions")
	f.DurationVar(&b.seconds, "time", seconds, "how long to run")
	f.BoolVar(&b.selects, "select-only", false, "only read")
	f.BoolVar(&b.noInit, "no-init", false, "use the tables that are there")
	f.BoolVar(&b.keep, "keep", false, "leave the tables")
	f.DurationVar(&b.limit, "timeout", limit, "how long to wait for the Job's pod to start")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		own, rest := split(cmd, args)
		b.more = rest
		if b.scale < 1 || b.clients < 1 || b.seconds < time.Second {
			return errors.New("--scale, --clients: allowed is 1 or more; --time: 1s or more")
		}
		k, c, err := a.reachServers(cmd.Context(), argument(own, 0))
		if err != nil {
			return err
		}
		if c.Spec.Bootstrap == nil {
			return fmt.Errorf("cluster %s has no spec.bootstrap, and so no database and owner that pgbench could use", c.Name)
		}
		job := b.job(c)
		if err := k.Create(cmd.Context(), job); err != nil {
			return err
		}
		a.say("job %s runs pgbench against %s: scale %d, %s, %s\n", job.Name, c.Name, b.scale, view.Noun(b.clients, "session"), view.Span(b.seconds))
		return a.followJob(cmd.Context(), k, job, b.limit)
	}
	return cmd
}

// script makes the tables, measures, and drops them, whatever the measurement gave. $1 and $2 say whether.
const script = `init=$1 drop=$2 scale=$3; shift 3
if [ "$init" = yes ]; then pgbench -i -q -s "$scale"; fi
code=0; pgbench "$@" || code=$?
if [ "$drop" = yes ]; then pgbench -i -q -I d; fi
exit $code`

// command is what the Job's container runs.
func (b *benchmark) command() []string {
	word := map[bool]string{true: "yes", false: "no"}
	threads := min(b.clients, 4)
	run := []string{
		"sh", "-ec", script, "pgbench", word[!b.noInit], word[!b.noInit && !b.keep], strconv.Itoa(b.scale),
		"-n", "-c", strconv.Itoa(b.clients), "-j", strconv.Itoa(threads), "-T", strconv.Itoa(int(b.seconds.Seconds())), "-P", "5",
	}
	if b.selects {
		run = append(run, "-S")
	}
	return append(run, b.more...)
}

// job is a pod that nothing of the cluster trusts more than any application.
func (b *benchmark) job(c *v1alpha1.AntDBCluster) *batchv1.Job {
	want := spec.Resolve(c)
	labels := map[string]string{naming.LabelBenchmark: c.Name}
	yes, no, keepFor, retries := true, false, int32(3600), int32(0)
	secret := func(name, key string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: want.ApplicationSecret}, Key: key,
		}}}
	}
	image := c.Spec.Coordinators.Image
	if image == "" {
		image = c.Spec.Image
	}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: c.Namespace, GenerateName: c.Name + "-pgbench-", Labels: labels,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AntDBCluster", Name: c.Name, UID: c.UID}},
		},
		Spec: batchv1.JobSpec{
			BackoffLimit: &retries, TTLSecondsAfterFinished: &keepFor,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: &no, ImagePullSecrets: c.Spec.ImagePullSecrets,
					SecurityContext: &corev1.PodSecurityContext{
						RunAsNonRoot: &yes, RunAsUser: &want.EngineUser, RunAsGroup: &want.EngineUser,
						SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
					},
					Containers: []corev1.Container{{
						Name: naming.ContainerDatabase, Image: image, ImagePullPolicy: want.PullPolicy, Command: b.command(),
						Env: []corev1.EnvVar{
							{Name: "PGHOST", Value: naming.Host(naming.ApplicationService(c.Name), c.Namespace)},
							{Name: "PGPORT", Value: strconv.Itoa(naming.PortSQL)},
							{Name: "PGDATABASE", Value: want.Bootstrap.Database},
							secret("PGUSER", "username"), secret("PGPASSWORD", "password"),
						},
						SecurityContext: &corev1.SecurityContext{
							AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
						},
					}},
				},
			},
		},
	}
}

// followJob prints what a Job's pod prints, until it ends, and fails if it does.
func (a *app) followJob(ctx context.Context, k *Kube, job *batchv1.Job, limit time.Duration) error {
	var pod *corev1.Pod
	mine := []client.ListOption{client.InNamespace(job.Namespace), client.MatchingLabels{batchv1.JobNameLabel: job.Name}}
	when := func(phases ...corev1.PodPhase) func(map[client.ObjectKey]client.Object) (bool, string) {
		return func(all map[client.ObjectKey]client.Object) (bool, string) {
			why := "it has no pod"
			for _, o := range all {
				p, ok := o.(*corev1.Pod)
				if !ok {
					continue
				}
				if slices.Contains(phases, p.Status.Phase) {
					pod = p
					return true, ""
				}
				why = waitsFor(p)
			}
			return false, why
		}
	}
	stays := func(err error) error {
		var stopped interrupted
		if errors.As(err, &stopped) || ctx.Err() != nil {
			return interrupted{fmt.Sprintf("the Job goes on. Its output:  kubectl logs job/%s; end it:  kubectl delete job %s", job.Name, job.Name)}
		}
		return err
	}
	err := k.until(ctx, &corev1.PodList{}, mine, limit, "job "+job.Name+" to run", when(corev1.PodRunning, corev1.PodSucceeded, corev1.PodFailed))
	if err != nil {
		return stays(err)
	}
	log, err := k.Logs(ctx, client.ObjectKeyFromObject(pod), corev1.PodLogOptions{Follow: true})
	if err != nil {
		return stays(fmt.Errorf("read the output of job %s: %w", job.Name, err))
	}
	defer log.Close() //nolint:errcheck // nothing was written
	if _, err := io.Copy(a.Out, log); err != nil {
		return stays(err)
	}
	if err := k.until(ctx, &corev1.PodList{}, mine, limit, "job "+job.Name+" to end", when(corev1.PodSucceeded, corev1.PodFailed)); err != nil {
		return stays(err)
	}
	if pod.Status.Phase == corev1.PodFailed {
		return fmt.Errorf("job %s failed: what it said is above", job.Name)
	}
	return nil
}

// waitsFor is why a pod does not run.
func waitsFor(p *corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Message
		}
	}
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil {
			return w.Reason + ": " + w.Message
		}
	}
	return "its pod is " + string(p.Status.Phase)
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/bundle"
	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

func (a *app) report() *cobra.Command {
	var file string
	var lines int64
	cmd := &cobra.Command{
		Use:   "report [CLUSTER]",
		Short: "Collect what is needed to find a fault, without secrets",
		Long: `Collect what is needed to find a fault, into one file: objects, events, logs, what doctor, test and topology say, settings.

Secrets are named and not read. Passwords in SQL, in connection strings and in settings are blacked out, also in logs. The
name of the file says the form: .tar.gz, .zip, or a folder that ends with /.`,
		Example: `  kubectl antdb report
  kubectl antdb report demo --file /tmp/demo.zip`,
		Args: atMost(1),
	}
	const usual = 5000
	cmd.Flags().StringVarP(&file, "file", "f", "", "where to write it; without it CLUSTER-TIME.tar.gz in the present folder")
	cmd.Flags().Int64Var(&lines, "lines", usual, "how many of the last lines of each log")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		k, c, err := a.reach(cmd.Context(), argument(args, 0))
		if err != nil {
			return err
		}
		if file == "" {
			file = fmt.Sprintf("%s-%s.tar.gz", c.Name, a.Now().UTC().Format("20060102-150405"))
		}
		b, err := bundle.Create(file, a.Now())
		if err != nil {
			return err
		}
		r := &reporter{app: a, k: k, c: c, b: b, lines: lines}
		if err := errors.Join(r.collect(cmd.Context()), b.Close()); err != nil {
			return err
		}
		a.say("%s: %s\n", file, view.Noun(b.Count(), "file"))
		for _, missing := range r.missing {
			a.say("not in it: %s\n", missing)
		}
		return nil
	}
	return cmd
}

// reporter fills a bundle. What cannot be had is noted, and the rest collected.
type reporter struct {
	*app

	k       *Kube
	c       *v1alpha1.AntDBCluster
	b       *bundle.Bundle
	lines   int64
	missing []string
}

func (r *reporter) miss(what string, err error) {
	if err != nil {
		r.missing = append(r.missing, what+": "+err.Error())
	}
}

// put writes a file of the bundle; a full disk ends the collecting.
func (r *reporter) put(name, text string) error { return r.b.Add(name, text) }

func (r *reporter) collect(ctx context.Context) error {
	f, err := r.k.examine(ctx, r.c, r.Now(), inquiry{objects: true, sizes: true, services: true})
	if err != nil {
		return err
	}
	r.missing = append(r.missing, f.Unknown...)
	operations, err := r.k.operationsOf(ctx, r.c)
	r.miss("operations", err)
	s := view.Style{Now: r.Now()}
	result, comparison := examine.Test(f), examine.Compare(f)
	for name, text := range map[string]string{
		"status.txt":   view.ClusterWith(s, r.c, operations, true, f),
		"doctor.txt":   view.Findings(s, r.c.Name, examine.Diagnose(f), f.Unknown),
		"test.txt":     view.Test(s, r.c.Name, &result),
		"topology.txt": view.Catalogs(s, r.c.Name, &comparison),
		"df.txt":       view.Volumes(s, f),
		"events.txt":   r.events(ctx, s, f.Events),
		"versions.txt": fmt.Sprintf("kubectl antdb  %s\noperator       %s\n", r.Version, r.k.operatorImage(ctx)),
	} {
		if err := r.put(name, text); err != nil {
			return err
		}
	}
	return errors.Join(r.objects(ctx, operations), r.insides(ctx, f), r.logs(ctx))
}

func (r *reporter) events(ctx context.Context, s view.Style, all []corev1.Event) string {
	var b strings.Builder
	for i := range all {
		if e := &all[i]; r.k.concerns(ctx, r.c, e) {
			b.WriteString(view.Event(s, happened(e), e.Type, e.InvolvedObject.Name, e.Reason, e.Message) + "\n")
		}
	}
	return b.String()
}

// objects writes those of the cluster as YAML, and of Secrets their names.
func (r *reporter) objects(ctx context.Context, operations []v1alpha1.AntDBOperation) error {
	if err := r.object("objects/cluster.yaml", r.c); err != nil {
		return err
	}
	for i := range operations {
		if err := r.object("objects/operation-"+operations[i].Name+".yaml", &operations[i]); err != nil {
			return err
		}
	}
	mine := ofCluster(r.c)
	for name, list := range map[string]client.ObjectList{
		"pod": &corev1.PodList{}, "claim": &corev1.PersistentVolumeClaimList{}, "service": &corev1.ServiceList{}, "configmap": &corev1.ConfigMapList{},
	} {
		if err := r.k.List(ctx, list, mine...); err != nil {
			r.miss("objects of kind "+name, err)
			continue
		}
		items, err := meta.ExtractList(list)
		if err != nil {
			return err
		}
		for _, item := range items {
			o, ok := item.(client.Object)
			if !ok {
				continue
			}
			if err := r.object("objects/"+name+"-"+o.GetName()+".yaml", o); err != nil {
				return err
			}
		}
	}
	// Only what stands above the data is asked for: no password leaves the API server.
	secrets := &metav1.PartialObjectMetadataList{}
	secrets.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := r.k.List(ctx, secrets, mine...); err != nil {
		r.miss("names of Secrets", err)
	}
	var names strings.Builder
	for i := range secrets.Items {
		names.WriteString(secrets.Items[i].Name + "  since " + secrets.Items[i].CreationTimestamp.UTC().Format(time.RFC3339) + "\n")
	}
	if err := r.put("objects/secrets.txt", names.String()); err != nil {
		return err
	}
	d := &appsv1.Deployment{}
	if err := r.k.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: naming.Operator}, d); err != nil {
		r.miss("the operator's Deployment", err)
		return nil
	}
	return r.object("objects/operator.yaml", d)
}

// object writes an object with its kind, which the client leaves out of what it reads.
func (r *reporter) object(name string, o client.Object) error {
	kind, err := r.k.GroupVersionKindFor(o)
	if err != nil {
		return err
	}
	o.GetObjectKind().SetGroupVersionKind(kind)
	return r.b.Object(name, o)
}

// insides writes what instances told, and the settings of servers.
func (r *reporter) insides(ctx context.Context, f *examine.Facts) error {
	if err := r.b.JSON("probes.json", f.Probes); err != nil {
		return err
	}
	of, err := askNodes[[]instanceapi.Setting](ctx, r.k, r.c, nil, instanceapi.CommandSettings)
	r.miss("settings", err)
	return r.b.JSON("settings.json", examine.Settings(r.c, of, false))
}

// logs writes those of all instances, also of containers that ended, and of the operator.
func (r *reporter) logs(ctx context.Context) error {
	const limit = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, n := range r.c.Status.Nodes {
		if n.Primary == "" {
			continue
		}
		pod := client.ObjectKey{Namespace: r.c.Namespace, Name: n.Primary}
		if err := r.log(ctx, "logs/"+n.Name+".log", pod, corev1.PodLogOptions{TailLines: &r.lines}); err != nil {
			return err
		}
	}
	pods := &corev1.PodList{}
	if err := r.k.List(ctx, pods, client.InNamespace(operatorNamespace), client.MatchingLabels{naming.LabelName: naming.Operator}); err != nil {
		r.miss("the operator's log", err)
		return nil
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		if err := r.log(ctx, "logs/operator-"+p.Name+".log", client.ObjectKeyFromObject(p), corev1.PodLogOptions{TailLines: &r.lines, Container: "operator"}); err != nil {
			return err
		}
	}
	return nil
}

func (r *reporter) log(ctx context.Context, name string, pod client.ObjectKey, options corev1.PodLogOptions) error {
	stream, err := r.k.Logs(ctx, pod, options)
	if err != nil {
		r.miss(name, err)
		return nil
	}
	defer stream.Close() //nolint:errcheck // nothing was written
	text, err := io.ReadAll(stream)
	r.miss(name, err)
	return r.put(name, string(text))
}

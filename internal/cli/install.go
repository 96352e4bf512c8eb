// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/antdb-operator/antdb-operator/deploy"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// fieldOwner is the name under which this program applies objects.
const fieldOwner = client.FieldOwner("kubectl-antdb")

func (a *app) install() *cobra.Command {
	var image string
	var dry, wait bool
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "install --image IMAGE",
		Short: "Install the operator, or bring it up to date",
		Long: `Install the operator, or bring it up to date: CRDs, admission policy, rights and the Deployment, in the namespace
` + deploy.Namespace + ` unless -n names another.

The objects come with this program and are applied by the API server, so that it may be run again at any time. It waits
until the operator serves. Clusters go on meanwhile.`,
		Example: `  kubectl antdb install --image registry.example/antdb-operator:1.0
  kubectl antdb install --image registry.example/antdb-operator:1.0 --dry-run >operator.yaml`,
		Args: atMost(0),
	}
	cmd.Flags().StringVar(&image, "image", "", "the operator's image (needed)")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "apply nothing, print the objects")
	cmd.Flags().BoolVar(&wait, "wait", true, "wait until the operator serves")
	const usual = 2 * time.Minute
	cmd.Flags().DurationVar(&limit, "timeout", usual, "how long to wait")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if image == "" {
			return errors.New("--image is needed: the operator's image, such as registry.example/antdb-operator:1.0")
		}
		objects, err := deploy.Objects(a.operatorNamespace(), image)
		if err != nil {
			return err
		}
		if dry {
			return a.printObjects(objects)
		}
		k, err := a.connect()
		if err != nil {
			return err
		}
		for _, o := range objects {
			if err := k.Apply(cmd.Context(), client.ApplyConfigurationFromUnstructured(o), fieldOwner, client.ForceOwnership); err != nil {
				return fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
			}
			a.say("%s %s applied\n", o.GetKind(), o.GetName())
			if o.GetKind() == "CustomResourceDefinition" {
				if err := a.established(cmd.Context(), k, o.GetName(), limit); err != nil {
					return err
				}
			}
		}
		if !wait {
			return nil
		}
		return a.served(cmd.Context(), k, a.operatorNamespace(), limit)
	}
	return cmd
}

// operatorNamespace is the one that was named, or the usual one.
func (a *app) operatorNamespace() string {
	if named := *a.flags.Namespace; named != "" {
		return named
	}
	return deploy.Namespace
}

func (a *app) printObjects(objects []*unstructured.Unstructured) error {
	for i, o := range objects {
		text, err := yaml.Marshal(o.Object)
		if err != nil {
			return err
		}
		if i > 0 {
			a.say("---\n")
		}
		a.say("%s", text)
	}
	return nil
}

// established waits until the API server serves the objects of a CRD.
func (a *app) established(ctx context.Context, k *Kube, name string, limit time.Duration) error {
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("apiextensions.k8s.io/v1")
	list.SetKind("CustomResourceDefinitionList")
	return k.until(ctx, list, nil, limit, "CRD "+name+" to be served", func(all map[client.ObjectKey]client.Object) (bool, string) {
		o, ok := all[client.ObjectKey{Name: name}].(*unstructured.Unstructured)
		if !ok {
			return false, "it is not there"
		}
		conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
		for _, c := range conditions {
			if m, ok := c.(map[string]any); ok && m["type"] == "Established" && m["status"] == "True" {
				return true, ""
			}
		}
		return false, "it is not established"
	})
}

// served waits until the operator serves with its newest template.
func (a *app) served(ctx context.Context, k *Kube, namespace string, limit time.Duration) error {
	began := a.Now()
	err := k.until(ctx, &appsv1.DeploymentList{}, []client.ListOption{client.InNamespace(namespace)}, limit, "the operator to serve",
		func(all map[client.ObjectKey]client.Object) (bool, string) {
			d, ok := all[client.ObjectKey{Namespace: namespace, Name: naming.Operator}].(*appsv1.Deployment)
			if !ok {
				return false, "its Deployment is not there"
			}
			want := int32(1)
			if d.Spec.Replicas != nil {
				want = *d.Spec.Replicas
			}
			s := d.Status
			return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == want && s.Replicas == want && s.AvailableReplicas == want,
				fmt.Sprintf("%d of %d replicas are available", s.AvailableReplicas, want)
		})
	if err != nil {
		return errors.Join(err, k.podsSay(ctx, namespace))
	}
	a.say("the operator serves after %s\nmake a cluster:  kubectl antdb create demo --image IMAGE --wait\n", view.Span(a.Now().Sub(began)))
	return nil
}

// podsSay tells what keeps the pods of the operator from running; nil if nothing is known.
func (k *Kube) podsSay(ctx context.Context, namespace string) error {
	pods := &corev1.PodList{}
	var said []error
	if err := k.List(ctx, pods, client.InNamespace(namespace), client.MatchingLabels{naming.LabelName: naming.Operator}); err != nil {
		said = append(said, err)
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
				said = append(said, fmt.Errorf("pod %s: %s", p.Name, c.Message))
			}
		}
		for _, c := range p.Status.ContainerStatuses {
			if w := c.State.Waiting; w != nil {
				said = append(said, fmt.Errorf("pod %s: %s: %s", p.Name, w.Reason, w.Message))
			}
		}
	}
	return errors.Join(said...)
}

// until follows objects until something is true of them. what says what was waited for when time is over.
func (k *Kube) until(ctx context.Context, list client.ObjectList, options []client.ListOption, limit time.Duration, what string,
	done func(map[client.ObjectKey]client.Object) (ok bool, why string),
) error {
	inner, stop := context.WithCancel(ctx)
	changes, ended := make(chan change), make(chan error, 1)
	defer func() {
		stop()
		for range ended { // its end is waited for, whatever it is
		}
	}()
	go func() { ended <- follow(inner, k, list, changes, options...); close(ended) }()
	late, end := timer(limit)
	defer end()
	all, seen, why := map[client.ObjectKey]client.Object{}, false, ""
	for {
		select {
		case <-ctx.Done():
			return interrupted{"what was begun goes on"}
		case err := <-ended:
			return err
		case <-late:
			return fmt.Errorf("waited %s for %s: %s", view.Span(limit), what, why)
		case c := <-changes:
			switch {
			case c.object == nil:
				seen = true
			case c.gone:
				delete(all, client.ObjectKeyFromObject(c.object))
			default:
				all[client.ObjectKeyFromObject(c.object)] = c.object
			}
		}
		if !seen {
			continue
		}
		var ok bool
		if ok, why = done(all); ok {
			return nil
		}
	}
}

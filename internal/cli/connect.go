// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/streaming/pkg/httpstream"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// Connect makes the way to the Kubernetes that the flags of kubectl describe.
func Connect(flags *genericclioptions.ConfigFlags) (*Kube, error) {
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	namespace, _, err := flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, err
	}
	return Dial(config, namespace)
}

// Dial makes the way to a Kubernetes.
func Dial(config *rest.Config, namespace string) (*Kube, error) {
	known := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme} {
		if err := add(known); err != nil {
			return nil, err
		}
	}
	objects, err := client.NewWithWatch(config, client.Options{Scheme: known})
	if err != nil {
		return nil, err
	}
	core, err := typedcorev1.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &Kube{WithWatch: objects, Pods: &pods{config: config, core: core}, Namespace: namespace}, nil
}

// pods are the pods of a real Kubernetes.
type pods struct {
	config *rest.Config
	core   typedcorev1.CoreV1Interface
}

// Exec runs a program in the database container of a pod. It speaks WebSocket, and SPDY with older API servers.
func (p *pods) Exec(ctx context.Context, pod types.NamespacedName, run Exec) error {
	where := p.core.RESTClient().Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: naming.ContainerDatabase, Command: run.Command, Stdin: run.In != nil, Stdout: true, Stderr: !run.Terminal, TTY: run.Terminal,
		}, scheme.ParameterCodec).URL()
	web, err := remotecommand.NewWebSocketExecutor(p.config, "GET", where.String())
	if err != nil {
		return err
	}
	old, err := remotecommand.NewSPDYExecutor(p.config, "POST", where)
	if err != nil {
		return err
	}
	both, err := remotecommand.NewFallbackExecutor(web, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return err
	}
	streams := remotecommand.StreamOptions{Stdin: run.In, Stdout: run.Out, Stderr: run.Err, Tty: run.Terminal, TerminalSizeQueue: run.Sizes}
	if run.Terminal {
		streams.Stderr = nil
	}
	if err := both.StreamWithContext(ctx, streams); err != nil {
		return fmt.Errorf("run %s in pod %s: %w", run.Command[0], pod.Name, err)
	}
	return nil
}

// Logs reads the log of a pod's container; of the database's unless another one is named.
func (p *pods) Logs(ctx context.Context, pod types.NamespacedName, options corev1.PodLogOptions) (io.ReadCloser, error) {
	if options.Container == "" {
		options.Container = naming.ContainerDatabase
	}
	return p.core.Pods(pod.Namespace).GetLogs(pod.Name, &options).Stream(ctx)
}

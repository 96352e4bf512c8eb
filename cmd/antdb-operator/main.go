// SPDX-License-Identifier: Apache-2.0

// Command antdb-operator runs AntDB clusters on Kubernetes.
package main

import (
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/controller/cluster"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi/instanceclient"
	"github.com/antdb-operator/antdb-operator/internal/kube"
	"github.com/antdb-operator/antdb-operator/internal/naming"
	"github.com/antdb-operator/antdb-operator/internal/render"
)

// options are the operator's flags.
type options struct {
	metrics, health string
	leaderElection  bool
	image           string
	namespace       string
	debug           bool
}

func main() {
	o := options{}
	flag.StringVar(&o.metrics, "metrics-bind-address", ":8080", "where Prometheus metrics are served; 0 turns them off")
	flag.StringVar(&o.health, "health-probe-bind-address", ":8081", "where /healthz and /readyz are served")
	flag.BoolVar(&o.leaderElection, "leader-elect", true, "let one of several replicas work at a time")
	flag.StringVar(&o.image, "image", os.Getenv("OPERATOR_IMAGE"), "the operator's own image, from which pods get their instance manager")
	flag.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "the operator's own namespace")
	flag.BoolVar(&o.debug, "debug", false, "log more")
	flag.Parse()
	level := slog.LevelInfo
	if o.debug {
		level = slog.LevelDebug
	}
	log := logr.FromSlogHandler(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: level}))
	ctrl.SetLogger(log)
	if err := run(o); err != nil {
		log.Error(err, "the operator ends")
		os.Exit(1)
	}
}

// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;create;update;patch,namespace=antdb-system

// run serves until a signal comes.
func run(o options) error {
	if o.image == "" {
		return fmt.Errorf("flag --image (or OPERATOR_IMAGE): empty: name the image that holds antdb-instance")
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return fmt.Errorf("register types: %w", err)
		}
	}
	mgr, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       metricsserver.Options{BindAddress: o.metrics},
		HealthProbeBindAddress:        o.health,
		LeaderElection:                o.leaderElection,
		LeaderElectionID:              "antdb-operator.antdb.io",
		LeaderElectionNamespace:       o.namespace,
		LeaderElectionReleaseOnCancel: true,
		Cache:                         cache.Options{ByObject: onlyOurs()},
	})
	if err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	r := &cluster.Reconciler{
		Client:   mgr.GetClient(),
		Live:     mgr.GetAPIReader(),
		Writer:   &kube.Writer{Reader: mgr.GetClient(), Client: mgr.GetClient(), Scheme: scheme},
		Events:   mgr.GetEventRecorder(naming.Operator),
		Operator: render.Operator{Image: o.image, Namespace: o.namespace, Labels: map[string]string{naming.LabelName: naming.Operator}},
		Dial: func(address string, via http.RoundTripper) cluster.Instance {
			return instanceclient.NewClient(address, via)
		},
		Metrics: cluster.NewMetrics(metrics.Registry),
		Now:     time.Now,
	}
	if err := r.Setup(mgr); err != nil {
		return fmt.Errorf("set up controller: %w", err)
	}
	for name, add := range map[string]func(string, healthz.Checker) error{"healthz": mgr.AddHealthzCheck, "readyz": mgr.AddReadyzCheck} {
		if err := add(name, healthz.Ping); err != nil {
			return fmt.Errorf("set up %s: %w", name, err)
		}
	}
	return mgr.Start(ctrl.SetupSignalHandler())
}

// onlyOurs keeps the cache to the objects of clusters, whatever else lives in Kubernetes. Secrets may be made by somebody
// else and say only which cluster they are for.
func onlyOurs() map[client.Object]cache.ByObject {
	ours := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{naming.LabelManagedBy: naming.Operator})}
	forOurs, err := labels.Parse(naming.LabelCluster) // that the label is there
	if err != nil {
		panic(err)
	}
	return map[client.Object]cache.ByObject{
		&corev1.Pod{}: ours, &corev1.PersistentVolumeClaim{}: ours, &corev1.Service{}: ours, &corev1.Secret{}: {Label: forOurs},
		&corev1.ConfigMap{}: ours, &corev1.ServiceAccount{}: ours, &rbacv1.Role{}: ours, &rbacv1.RoleBinding{}: ours,
		&policyv1.PodDisruptionBudget{}: ours, &networkingv1.NetworkPolicy{}: ours,
	}
}

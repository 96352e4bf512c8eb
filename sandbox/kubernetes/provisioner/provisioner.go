// SPDX-License-Identifier: Apache-2.0

// Package provisioner gives claims of the sandbox their volumes: directories on the machine's own disk.
//
// It knows the life of a volume (made for the host the scheduler chose, grown on request, its files
// removed with the PersistentVolume). It knows nothing of who uses a volume, and it enforces no size.
package provisioner

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

const (
	// Name is what a StorageClass of these volumes has as its provisioner.
	Name = "sandbox.antdb.io/directory"

	annProvisioner   = "volume.kubernetes.io/storage-provisioner"
	annSelectedNode  = "volume.kubernetes.io/selected-node"
	annProvisionedBy = "pv.kubernetes.io/provisioned-by"
	finalizerFiles   = "sandbox.antdb.io/files"
	finalizerInUse   = "kubernetes.io/pv-protection"
)

// key is one object to look at: a claim (with namespace) or a volume (without).
type key struct{ namespace, name string }

// Provisioner watches claims and volumes and brings each of them one step further.
type Provisioner struct {
	client  kubernetes.Interface
	files   Files
	log     *slog.Logger
	factory informers.SharedInformerFactory
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	classes storagelisters.StorageClassLister
	queue   workqueue.TypedRateLimitingInterface[key]
}

// New makes a provisioner; Run starts it.
func New(client kubernetes.Interface, files Files, log *slog.Logger) (*Provisioner, error) {
	factory := informers.NewSharedInformerFactory(client, 0)
	core := factory.Core().V1()
	p := &Provisioner{
		client: client, files: files, log: log, factory: factory,
		claims:  core.PersistentVolumeClaims().Lister(),
		volumes: core.PersistentVolumes().Lister(),
		classes: factory.Storage().V1().StorageClasses().Lister(),
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[key](100*time.Millisecond, 10*time.Second)),
	}
	handlers := cache.ResourceEventHandlerFuncs{
		AddFunc:    p.enqueue,
		UpdateFunc: func(_, obj any) { p.enqueue(obj) },
	}
	for _, informer := range []cache.SharedIndexInformer{
		core.PersistentVolumeClaims().Informer(), core.PersistentVolumes().Informer(), factory.Storage().V1().StorageClasses().Informer(),
	} {
		if _, err := informer.AddEventHandler(handlers); err != nil {
			return nil, fmt.Errorf("watch volumes: %w", err)
		}
	}
	return p, nil
}

func (p *Provisioner) enqueue(obj any) {
	switch o := obj.(type) {
	case *corev1.PersistentVolumeClaim:
		p.queue.Add(key{o.Namespace, o.Name})
	case *corev1.PersistentVolume:
		p.queue.Add(key{name: o.Name})
		// A claim that asked to grow before its volume was seen here waits for the volume, not for a resync.
		if ref := o.Spec.ClaimRef; ref != nil {
			p.queue.Add(key{ref.Namespace, ref.Name})
		}
	case *storagev1.StorageClass:
		p.enqueueClaimsOf(o.Name)
	}
}

// enqueueClaimsOf looks again at the claims of a class that came later than they did, or now allows growth.
func (p *Provisioner) enqueueClaimsOf(class string) {
	claims, err := p.claims.List(everything)
	if err != nil {
		p.log.Error("list claims", "class", class, "error", err)
		return
	}
	for _, c := range claims {
		if c.Spec.StorageClassName != nil && *c.Spec.StorageClassName == class {
			p.queue.Add(key{c.Namespace, c.Name})
		}
	}
}

// Run works until ctx ends. One worker is enough: a step is a mkdir and one or two requests.
func (p *Provisioner) Run(ctx context.Context) error {
	p.factory.Start(ctx.Done())
	for kind, ok := range p.factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return fmt.Errorf("read %s: %w", kind, ctx.Err())
		}
	}
	go func() {
		<-ctx.Done()
		p.queue.ShutDown()
	}()
	for {
		k, stop := p.queue.Get()
		if stop {
			return nil
		}
		if err := p.step(ctx, k); err != nil {
			p.log.Error("volume step", "namespace", k.namespace, "name", k.name, "error", err)
			p.queue.AddRateLimited(k)
		} else {
			p.queue.Forget(k)
		}
		p.queue.Done(k)
	}
}

func (p *Provisioner) step(ctx context.Context, k key) error {
	if k.namespace == "" {
		return p.stepVolume(ctx, k.name)
	}
	return p.stepClaim(ctx, k.namespace, k.name)
}

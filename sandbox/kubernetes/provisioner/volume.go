// SPDX-License-Identifier: Apache-2.0

package provisioner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (p *Provisioner) stepVolume(ctx context.Context, name string) error {
	volume, err := p.volumes.Get(name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read volume: %w", err)
	}
	switch {
	case volume.Annotations[annProvisionedBy] != Name:
		return nil
	case FilesDue(volume):
		return p.removeFiles(ctx, volume)
	case volume.DeletionTimestamp == nil && volume.Status.Phase == corev1.VolumeReleased &&
		volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete:
		err := p.client.CoreV1().PersistentVolumes().Delete(ctx, name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &volume.UID},
		})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete released volume %s: %w", name, err)
		}
	}
	return nil
}

// FilesDue says that a volume is going, by whatever hand, and nobody uses it any more.
func FilesDue(volume *corev1.PersistentVolume) bool {
	return volume.DeletionTimestamp != nil &&
		slices.Contains(volume.Finalizers, finalizerFiles) &&
		!slices.Contains(volume.Finalizers, finalizerInUse)
}

func (p *Provisioner) removeFiles(ctx context.Context, volume *corev1.PersistentVolume) error {
	if volume.Spec.Local == nil {
		return fmt.Errorf("remove files of %s: not a local volume", volume.Name)
	}
	if err := p.files.Remove(volume.Spec.Local.Path); err != nil {
		return err
	}
	rest := volume.DeepCopy()
	rest.Finalizers = slices.DeleteFunc(rest.Finalizers, func(f string) bool { return f == finalizerFiles })
	_, err := p.client.CoreV1().PersistentVolumes().Update(ctx, rest, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("release volume %s: %w", volume.Name, err)
	}
	p.log.Info("removed", "volume", volume.Name)
	return nil
}

// Files are the directories of all volumes: Root/HOST/VOLUME.
type Files struct{ Root string }

// Make creates the directory of a volume, open to every user as a fresh disk with fsGroup would be.
func (f Files) Make(host, volume string) (string, error) {
	dir := filepath.Join(f.Root, host, volume)
	if err := f.check(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("make volume directory: %w", err)
	}
	spread(filepath.Dir(dir))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make volume directory: %w", err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		return "", fmt.Errorf("open volume directory: %w", err)
	}
	return dir, nil
}

// topOfHierarchies is FS_TOPDIR_FL of linux/fs.h, what chattr +T sets.
const topOfHierarchies = 0x20000

// spread tells an ext4 that the directories in dir have nothing to do with each other, as if they were disks of their
// own. It puts them far apart then. Next to each other, a new volume looks for free inodes among those of volumes removed
// in the last minutes, which ext4 passes over one by one: seconds of processor time for a cluster. Other file systems
// do not know the wish.
func spread(dir string) {
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil && flags&topOfHierarchies == 0 {
		_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags|topOfHierarchies))
	}
}

// Remove deletes the directory of a volume and all that is in it.
func (f Files) Remove(dir string) error {
	if err := f.check(dir); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove volume directory: %w", err)
	}
	return nil
}

// check refuses a path that is not two levels below the root: a PersistentVolume is written by users,
// and a wrong path in it must never delete something else on the machine.
func (f Files) check(dir string) error {
	if clean := filepath.Clean(dir); clean != dir || filepath.Dir(filepath.Dir(dir)) != filepath.Clean(f.Root) {
		return fmt.Errorf("volume directory %s: not a volume below %s", dir, f.Root)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package provisioner_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/sandbox/kubernetes/provisioner"
)

func claim(change func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "n", Name: "c", UID: "u", Annotations: map[string]string{
				"volume.kubernetes.io/storage-provisioner": provisioner.Name,
				"volume.kubernetes.io/selected-node":       "node2",
			},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: size("1Gi")},
		},
	}
	change(c)
	return c
}

func size(text string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(text)}
}

func class(growable bool) *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "k"}, Provisioner: provisioner.Name, AllowVolumeExpansion: &growable}
}

func TestAClaimGetsAVolumeWhenItsHostIsChosen(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*corev1.PersistentVolumeClaim)
		want   bool
	}{
		{"a host is chosen", func(*corev1.PersistentVolumeClaim) {}, true},
		{"no host is chosen yet", func(c *corev1.PersistentVolumeClaim) {
			delete(c.Annotations, "volume.kubernetes.io/selected-node")
		}, false},
		{"it is somebody else's", func(c *corev1.PersistentVolumeClaim) {
			c.Annotations["volume.kubernetes.io/storage-provisioner"] = "x"
		}, false},
		{"it has one", func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "v" }, false},
	} {
		if got := provisioner.WantsVolume(claim(c.change)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestABoundClaimGrowsWhereItsClassAllowsIt(t *testing.T) {
	bound := func(have string) func(*corev1.PersistentVolumeClaim) {
		return func(c *corev1.PersistentVolumeClaim) {
			c.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: size(have)}
		}
	}
	for _, c := range []struct {
		name     string
		change   func(*corev1.PersistentVolumeClaim)
		growable bool
		want     bool
	}{
		{"it asks for more", bound("512Mi"), true, true},
		{"it has what it asks for", bound("1024Mi"), true, false},
		{"its class does not allow it", bound("512Mi"), false, false},
		{"it is not bound", func(*corev1.PersistentVolumeClaim) {}, true, false},
	} {
		if got := provisioner.WantsGrowth(claim(c.change), class(c.growable)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestAVolumeIsPinnedToItsHostAndBelongsToItsClaim(t *testing.T) {
	v := provisioner.Volume(claim(func(*corev1.PersistentVolumeClaim) {}), class(true), "pvc-u", "node2", "/v/node2/pvc-u")
	term := v.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0]
	if term.Key != corev1.LabelHostname || len(term.Values) != 1 || term.Values[0] != "node2" {
		t.Errorf("affinity %+v", term)
	}
	if v.Spec.ClaimRef.UID != "u" || v.Spec.ClaimRef.Namespace != "n" || v.Spec.ClaimRef.Name != "c" {
		t.Errorf("claim %+v", v.Spec.ClaimRef)
	}
	if v.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete || v.Spec.Local.Path != "/v/node2/pvc-u" {
		t.Errorf("volume %+v", v.Spec)
	}
	if provisioner.FilesDue(v) {
		t.Error("a new volume's files are to be removed")
	}
}

func TestFilesGoWithTheVolumeOnceNobodyUsesIt(t *testing.T) {
	v := provisioner.Volume(claim(func(*corev1.PersistentVolumeClaim) {}), class(true), "pvc-u", "node2", "/v")
	now := metav1.NewTime(time.Unix(1, 0))
	v.DeletionTimestamp = &now
	ours := v.Finalizers
	v.Finalizers = append([]string{"kubernetes.io/pv-protection"}, ours...)
	if provisioner.FilesDue(v) {
		t.Error("the files of a volume in use are to be removed")
	}
	v.Finalizers = ours
	if !provisioner.FilesDue(v) {
		t.Error("the files of a deleted volume stay")
	}
	v.Finalizers = nil
	if provisioner.FilesDue(v) {
		t.Error("the files are removed twice")
	}
}

func TestOnlyVolumesAreRemoved(t *testing.T) {
	root := t.TempDir()
	f := provisioner.Files{Root: filepath.Join(root, "volumes")}
	dir, err := f.Make("node1", "pvc-1")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o777 {
		t.Errorf("directory %v (%v), want one that every user may write", info, err)
	}
	for _, bad := range []string{
		"", "/", root, f.Root, filepath.Join(f.Root, "node1"), dir + "/x", dir + "/../../../other", f.Root + "/../volumes/node1/pvc-1", "/etc/x/y",
	} {
		if err := f.Remove(bad); err == nil {
			t.Errorf("Remove(%q) is accepted", bad)
		}
	}
	if _, err := f.Make("..", "x"); err == nil {
		t.Error("a volume outside the root is made")
	}
	if err := f.Remove(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory is still there (%v)", err)
	}
}

func TestVolumesAreSpreadOverADiskThatCanTellDirectoriesApart(t *testing.T) {
	root := t.TempDir()
	var disk unix.Statfs_t
	if err := unix.Statfs(root, &disk); err != nil || disk.Type != unix.EXT4_SUPER_MAGIC {
		t.Skipf("the file system is no ext4 but 0x%x (%v)", disk.Type, err)
	}
	dir, err := provisioner.Files{Root: root}.Make("node1", "pvc-1")
	if err != nil {
		t.Fatal(err)
	}
	parent, err := os.Open(filepath.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = parent.Close() }()
	const topdir = 0x20000
	if flags, err := unix.IoctlGetUint32(int(parent.Fd()), unix.FS_IOC_GETFLAGS); err != nil || flags&topdir == 0 {
		t.Errorf("flags 0x%x (%v), want the top of hierarchies among them", flags, err)
	}
}

// SPDX-License-Identifier: Apache-2.0

// Package image makes container images out of files, without a container engine, and writes them as one
// tar that containerd, Docker and Podman all read. The same input gives the same digest. It knows layers
// and configuration; where a root file system comes from is not its concern.
package image

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Epoch is the time of every file and image: a build time would change the digest of equal content.
func Epoch() time.Time { return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) }

// Config is how containers of the image run.
type Config struct {
	User       string
	Env        []string
	Entrypoint []string
	Cmd        []string
	WorkingDir string
	StopSignal string
	Labels     map[string]string
}

// New puts layers on a base, which may be nil.
func New(base v1.Image, layers []v1.Layer, c Config) (v1.Image, error) {
	if base == nil {
		base = mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	}
	additions := make([]mutate.Addendum, 0, len(layers))
	for _, l := range layers {
		mediaType, err := l.MediaType()
		if err != nil {
			return nil, fmt.Errorf("add layer: %w", err)
		}
		additions = append(additions, mutate.Addendum{
			Layer: l, MediaType: mediaType,
			History: v1.History{Created: v1.Time{Time: Epoch()}, CreatedBy: "mkimage"},
		})
	}
	img, err := mutate.Append(base, additions...)
	if err != nil {
		return nil, fmt.Errorf("add layers: %w", err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read image configuration: %w", err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created = "linux", runtime.GOARCH, v1.Time{Time: Epoch()}
	c.apply(&file.Config)
	img, err = mutate.ConfigFile(img, file)
	if err != nil {
		return nil, fmt.Errorf("set image configuration: %w", err)
	}
	return img, nil
}

// apply changes what is given and keeps the rest as the base has it.
func (c Config) apply(to *v1.Config) {
	if c.User != "" {
		to.User = c.User
	}
	if c.Entrypoint != nil {
		to.Entrypoint, to.Cmd = c.Entrypoint, nil
	}
	if c.Cmd != nil {
		to.Cmd = c.Cmd
	}
	if c.WorkingDir != "" {
		to.WorkingDir = c.WorkingDir
	}
	if c.StopSignal != "" {
		to.StopSignal = c.StopSignal
	}
	to.Env = append(to.Env, c.Env...)
	if to.Labels == nil && len(c.Labels) > 0 {
		to.Labels = map[string]string{}
	}
	maps.Copy(to.Labels, c.Labels)
}

// Write writes the image under the given reference as an OCI layout with a Docker manifest beside it.
// It appears at path in one step.
func Write(path, ref string, img v1.Image) error {
	f, err := os.Create(path + ".new")
	if err != nil {
		return fmt.Errorf("write image %s: %w", ref, err)
	}
	defer func() { _ = f.Close() }()
	if err := write(f, ref, img); err != nil {
		return fmt.Errorf("write image %s: %w", ref, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write image %s: %w", ref, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write image %s: %w", ref, err)
	}
	return nil
}

func write(out io.Writer, ref string, img v1.Image) error {
	archive := tar.NewWriter(out)
	manifest, err := img.RawManifest()
	if err != nil {
		return err
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	configName, err := img.ConfigName()
	if err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	index, docker, err := tables(ref, img, digest, configName, layers)
	if err != nil {
		return err
	}
	for _, small := range []struct {
		name string
		data []byte
	}{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", index},
		{"manifest.json", docker},
		{blob(digest), manifest},
		{blob(configName), config},
	} {
		if err := put(archive, small.name, small.data); err != nil {
			return err
		}
	}
	if err := putLayers(archive, layers); err != nil {
		return err
	}
	return archive.Close()
}

// tables are the two tables of contents: the OCI index and Docker's manifest list.
func tables(ref string, img v1.Image, digest, config v1.Hash, layers []v1.Layer) (index, docker []byte, err error) {
	size, err := img.Size()
	if err != nil {
		return nil, nil, err
	}
	mediaType, err := img.MediaType()
	if err != nil {
		return nil, nil, err
	}
	index, err = json.Marshal(v1.IndexManifest{
		SchemaVersion: 2, MediaType: types.OCIImageIndex,
		Manifests: []v1.Descriptor{{
			MediaType: mediaType, Size: size, Digest: digest,
			Platform: &v1.Platform{OS: "linux", Architecture: runtime.GOARCH},
			Annotations: map[string]string{
				"io.containerd.image.name": ref, "org.opencontainers.image.ref.name": ref,
			},
		}},
	})
	if err != nil {
		return nil, nil, err
	}
	names := make([]string, 0, len(layers))
	for _, l := range layers {
		d, err := l.Digest()
		if err != nil {
			return nil, nil, err
		}
		names = append(names, blob(d))
	}
	docker, err = json.Marshal([]map[string]any{{"Config": blob(config), "RepoTags": []string{ref}, "Layers": names}})
	return index, docker, err
}

func blob(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

func put(archive *tar.Writer, name string, data []byte) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: Epoch()}); err != nil {
		return err
	}
	_, err := archive.Write(data)
	return err
}

func putLayers(archive *tar.Writer, layers []v1.Layer) error {
	done := map[v1.Hash]bool{}
	for _, l := range layers {
		d, err := l.Digest()
		if err != nil {
			return err
		}
		if done[d] {
			continue
		}
		done[d] = true
		if err := putLayer(archive, l, d); err != nil {
			return err
		}
	}
	return nil
}

func putLayer(archive *tar.Writer, l v1.Layer, digest v1.Hash) error {
	size, err := l.Size()
	if err != nil {
		return err
	}
	content, err := l.Compressed()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	if err := archive.WriteHeader(&tar.Header{Name: blob(digest), Mode: 0o644, Size: size, ModTime: Epoch()}); err != nil {
		return err
	}
	_, err = io.Copy(archive, content)
	return err
}

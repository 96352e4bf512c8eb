// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Contents are the images in a tar, an OCI layout or a Docker archive: for each reference the digest of its
// configuration, which stands for all of the image's content.
func Contents(file string) (map[string]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open image: %w", err)
	}
	defer func() { _ = f.Close() }()
	small, err := smallFiles(f)
	if err != nil {
		return nil, fmt.Errorf("read image %s: %w", file, err)
	}
	found, err := fromIndex(small)
	if err == nil && len(found) == 0 {
		found, err = fromManifest(small)
	}
	if err != nil {
		return nil, fmt.Errorf("read image %s: %w", file, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("read image %s: it is no OCI layout and no Docker archive, or its image has no name", file)
	}
	return found, nil
}

// smallFiles reads everything in the archive that can be a manifest or a configuration.
func smallFiles(r io.Reader) (map[string][]byte, error) {
	const limit = 4 << 20
	files := map[string][]byte{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg || h.Size > limit {
			continue
		}
		if files[path.Clean(h.Name)], err = io.ReadAll(archive); err != nil {
			return nil, err
		}
	}
}

func fromIndex(files map[string][]byte) (map[string]string, error) {
	found := map[string]string{}
	text, ok := files["index.json"]
	if !ok {
		return found, nil
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	for _, d := range index.Manifests {
		name := d.Annotations["io.containerd.image.name"]
		if name == "" {
			continue // containerd would import it without a name, or under a partial one
		}
		var m v1.Manifest
		if err := json.Unmarshal(files[blob(d.Digest)], &m); err != nil {
			return nil, fmt.Errorf("read manifest of %s: %w", name, err)
		}
		found[name] = m.Config.Digest.String()
	}
	return found, nil
}

func fromManifest(files map[string][]byte) (map[string]string, error) {
	found := map[string]string{}
	text, ok := files["manifest.json"]
	if !ok {
		return found, nil
	}
	var images []struct {
		Config   string   `json:"Config"`
		RepoTags []string `json:"RepoTags"`
	}
	if err := json.Unmarshal(text, &images); err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	for _, i := range images {
		digest, _, err := v1.SHA256(strings.NewReader(string(files[path.Clean(i.Config)])))
		if err != nil {
			return nil, fmt.Errorf("read configuration %s: %w", i.Config, err)
		}
		for _, ref := range i.RepoTags {
			found[ref] = digest.String()
		}
	}
	return found, nil
}

// CopyWithout copies an image tar and leaves out the blobs of an OCI layout whose digests are given.
func CopyWithout(out io.Writer, in io.Reader, digests map[string]bool) error {
	from, to := tar.NewReader(in), tar.NewWriter(out)
	layout := false
	for {
		h, err := from.Next()
		if errors.Is(err, io.EOF) {
			return to.Close()
		}
		if err != nil {
			return fmt.Errorf("copy image: %w", err)
		}
		// Only a layout names its blobs by digest; and it must say that it is one before the blobs come.
		layout = layout || path.Clean(h.Name) == "oci-layout"
		if layout && path.Base(path.Dir(h.Name)) == "sha256" && digests["sha256:"+path.Base(h.Name)] {
			continue
		}
		if err := to.WriteHeader(h); err != nil {
			return fmt.Errorf("copy image: %w", err)
		}
		if _, err := io.Copy(to, from); err != nil {
			return fmt.Errorf("copy image: %w", err)
		}
	}
}

// FullName is the name under which containerd keeps an image: Docker's short names are names on its hub.
func FullName(ref string) string {
	first, _, nested := strings.Cut(ref, "/")
	switch {
	case !nested:
		return "docker.io/library/" + ref
	case strings.ContainsAny(first, ".:") || first == "localhost":
		return ref
	}
	return "docker.io/" + ref
}

// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Open reads the one image in a tar, with its layers byte by byte as they are there, so that an image made
// on it shares them with others on the same base.
func Open(file string) (v1.Image, error) {
	a := archive{file: file, at: map[string]place{}}
	if err := a.scan(); err != nil {
		return nil, fmt.Errorf("read image %s: %w", file, err)
	}
	if _, ok := a.at["index.json"]; !ok {
		img, err := tarball.ImageFromPath(file, nil)
		if err != nil {
			return nil, fmt.Errorf("read image %s: %w", file, err)
		}
		return img, nil
	}
	img, err := a.image()
	if err != nil {
		return nil, fmt.Errorf("read image %s: %w", file, err)
	}
	return img, nil
}

// archive is an OCI layout in a tar, with the place of every file in it.
type archive struct {
	file string
	at   map[string]place
}

type place struct{ offset, size int64 }

func (a archive) scan() error {
	f, err := os.Open(a.file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for reader := tar.NewReader(f); ; {
		h, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		// The tar reader stops exactly before the content of the file it has announced.
		offset, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		a.at[path.Clean(h.Name)] = place{offset, h.Size}
	}
}

type section struct {
	io.Reader
	io.Closer
}

func (a archive) open(name string) (io.ReadCloser, error) {
	p, ok := a.at[name]
	if !ok {
		return nil, fmt.Errorf("%s is not in the archive", name)
	}
	f, err := os.Open(a.file)
	if err != nil {
		return nil, err
	}
	return section{io.NewSectionReader(f, p.offset, p.size), f}, nil
}

func (a archive) read(name string) ([]byte, error) {
	r, err := a.open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return io.ReadAll(r)
}

func (a archive) image() (v1.Image, error) {
	text, err := a.read("index.json")
	if err != nil {
		return nil, err
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	if len(index.Manifests) != 1 {
		return nil, fmt.Errorf("it holds %d images, want one", len(index.Manifests))
	}
	manifest, err := a.read(blob(index.Manifests[0].Digest))
	if err != nil {
		return nil, err
	}
	return partial.CompressedToImage(stored{archive: a, manifest: manifest})
}

// stored is an image in an archive, in the form that partial completes.
type stored struct {
	archive  archive
	manifest []byte
}

func (s stored) RawManifest() ([]byte, error) { return s.manifest, nil }

func (s stored) MediaType() (types.MediaType, error) {
	m, err := v1.ParseManifest(bytes.NewReader(s.manifest))
	if err != nil {
		return "", err
	}
	if m.MediaType == "" {
		return types.OCIManifestSchema1, nil
	}
	return m.MediaType, nil
}

func (s stored) RawConfigFile() ([]byte, error) {
	m, err := v1.ParseManifest(bytes.NewReader(s.manifest))
	if err != nil {
		return nil, err
	}
	return s.archive.read(blob(m.Config.Digest))
}

func (s stored) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	m, err := v1.ParseManifest(bytes.NewReader(s.manifest))
	if err != nil {
		return nil, err
	}
	for _, d := range append(m.Layers, m.Config) {
		if d.Digest == h {
			return storedLayer{s.archive, d}, nil
		}
	}
	return nil, fmt.Errorf("no layer %s", h)
}

// storedLayer is a layer in an archive.
type storedLayer struct {
	archive archive
	about   v1.Descriptor
}

func (l storedLayer) Digest() (v1.Hash, error)            { return l.about.Digest, nil }
func (l storedLayer) Size() (int64, error)                { return l.about.Size, nil }
func (l storedLayer) MediaType() (types.MediaType, error) { return l.about.MediaType, nil }
func (l storedLayer) Compressed() (io.ReadCloser, error)  { return l.archive.open(blob(l.about.Digest)) }

// ReadFiles returns the content of files of the image, by their paths without the leading slash. Files
// that the image does not have are not in the answer.
func ReadFiles(img v1.Image, names ...string) (map[string]string, error) {
	layers, err := img.Layers()
	if err != nil {
		return nil, fmt.Errorf("read layers: %w", err)
	}
	found := map[string]string{}
	for _, l := range layers { // later layers win
		if err := readLayer(l, names, found); err != nil {
			return nil, fmt.Errorf("read layer: %w", err)
		}
	}
	return found, nil
}

func readLayer(l v1.Layer, names []string, into map[string]string) error {
	content, err := uncompressed(l)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	for reader := tar.NewReader(content); ; {
		h, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			if strings.TrimPrefix(path.Clean(h.Name), "/") == name && h.Typeflag == tar.TypeReg {
				text, err := io.ReadAll(reader)
				if err != nil {
					return err
				}
				into[name] = string(text)
			}
		}
	}
}

// uncompressed looks at the first bytes instead of the media type, which Docker archives get wrong.
func uncompressed(l v1.Layer) (io.ReadCloser, error) {
	raw, err := l.Compressed()
	if err != nil {
		return nil, err
	}
	var head [2]byte
	n, err := io.ReadFull(raw, head[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, raw.Close())
	}
	whole := io.MultiReader(bytes.NewReader(head[:n]), raw)
	if head != [2]byte{0x1f, 0x8b} {
		return section{whole, raw}, nil
	}
	plain, err := gzip.NewReader(whole)
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return section{plain, raw}, nil
}

// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// fileLayer is a layer in a tar file on disk, uncompressed: compressing costs seconds at every build, and
// nothing is sent anywhere.
type fileLayer struct {
	path   string
	digest v1.Hash
	size   int64
}

// FromTar is the layer in an uncompressed tar file. The file must stay until the image is written.
func FromTar(path string) (v1.Layer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open layer: %w", err)
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	size, err := io.Copy(h, f)
	if err != nil {
		return nil, fmt.Errorf("read layer %s: %w", path, err)
	}
	return fileLayer{path: path, size: size, digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}}, nil
}

func (l fileLayer) Digest() (v1.Hash, error)             { return l.digest, nil }
func (l fileLayer) DiffID() (v1.Hash, error)             { return l.digest, nil }
func (l fileLayer) Compressed() (io.ReadCloser, error)   { return os.Open(l.path) }
func (l fileLayer) Uncompressed() (io.ReadCloser, error) { return os.Open(l.path) }
func (l fileLayer) Size() (int64, error)                 { return l.size, nil }
func (l fileLayer) MediaType() (types.MediaType, error)  { return types.OCIUncompressedLayer, nil }

// Add is one file or directory of the machine and its place in the image.
type Add struct {
	Source string
	Target string // absolute path in the image
	Mode   int64  // for a single file; 0 keeps the source's
	Owned  bool   // keep the owners of the source; otherwise everything is root's
}

// ParseAdd reads SRC:DST or SRC:DST:MODE.
func ParseAdd(text string) (Add, error) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || !strings.HasPrefix(parts[1], "/") {
		return Add{}, fmt.Errorf("addition %q: want SOURCE:/TARGET or SOURCE:/TARGET:MODE", text)
	}
	a := Add{Source: parts[0], Target: parts[1]}
	if len(parts) == 3 {
		if _, err := fmt.Sscanf(parts[2], "%o", &a.Mode); err != nil || a.Mode <= 0 || a.Mode > 0o7777 {
			return Add{}, fmt.Errorf("addition %q: mode %q is not an octal file mode such as 0755", text, parts[2])
		}
	}
	return a, nil
}

// entry is one thing of a layer: a file of the machine, or content made here.
type entry struct {
	header  tar.Header
	source  string
	content []byte
}

// WriteTar writes the additions into a tar file, sorted, with fixed times. Paths in the image for which
// exclude says so are left out; it may be nil.
func WriteTar(path string, adds []Add, exclude func(path string) bool) error {
	var entries []entry
	for _, a := range adds {
		more, err := collect(a, exclude)
		if err != nil {
			return err
		}
		entries = append(entries, more...)
	}
	return writeEntries(path, entries)
}

// WriteFiles writes files with the given content into a tar file; the keys are paths in the image.
func WriteFiles(path string, files map[string]string) error {
	var entries []entry
	for name, content := range files {
		entries = append(entries, entry{
			header:  tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(name, "/"), Mode: 0o644, Size: int64(len(content))},
			content: []byte(content),
		})
	}
	return writeEntries(path, entries)
}

// collect lists what is below the source. Directories above the target are left out: written down, they
// would replace a link of that name in the base, such as /bin.
func collect(a Add, exclude func(path string) bool) ([]entry, error) {
	var entries []entry
	err := filepath.WalkDir(a.Source, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(a.Source, path)
		if err != nil {
			return err
		}
		target := strings.TrimPrefix(filepath.Join(a.Target, name), "/")
		if target == "" || exclude != nil && exclude(target) {
			return nil
		}
		e, ok, err := a.entry(path, target)
		if ok {
			entries = append(entries, e)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("add %s: %w", a.Source, err)
	}
	return entries, nil
}

// entry describes one path of the source. It is not ok for sockets, pipes and devices, which have no place in an image.
func (a Add) entry(path, target string) (e entry, ok bool, err error) {
	look := os.Lstat
	if path == a.Source {
		look = os.Stat // the source itself may be a link to what is meant
	}
	info, err := look(path)
	if err != nil {
		return entry{}, false, err
	}
	link := ""
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		if link, err = os.Readlink(path); err != nil {
			return entry{}, false, err
		}
	case info.IsDir():
		target += "/"
	case !info.Mode().IsRegular():
		return entry{}, false, nil
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return entry{}, false, err
	}
	clean := tar.Header{Typeflag: h.Typeflag, Name: target, Linkname: link, Size: h.Size, Mode: h.Mode}
	if a.Mode != 0 && info.Mode().IsRegular() {
		clean.Mode = a.Mode
	}
	if a.Owned {
		clean.Uid, clean.Gid = h.Uid, h.Gid
	}
	return entry{source: path, header: clean}, true, nil
}

func writeEntries(path string, entries []entry) error {
	sort.SliceStable(entries, func(i, j int) bool { return entries[i].header.Name < entries[j].header.Name })
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write layer: %w", err)
	}
	defer func() { _ = f.Close() }()
	archive := tar.NewWriter(f)
	for _, e := range entries {
		if err := e.write(archive); err != nil {
			return fmt.Errorf("write layer entry %s: %w", e.header.Name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("write layer: %w", err)
	}
	return f.Close()
}

func (e entry) write(archive *tar.Writer) error {
	e.header.ModTime = Epoch()
	if err := archive.WriteHeader(&e.header); err != nil {
		return err
	}
	if e.header.Typeflag != tar.TypeReg {
		return nil
	}
	if e.content != nil {
		_, err := archive.Write(e.content)
		return err
	}
	if e.source == "" {
		return nil
	}
	f, err := os.Open(e.source)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(archive, f)
	return err
}

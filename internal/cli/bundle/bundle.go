// SPDX-License-Identifier: Apache-2.0

// Package bundle writes many texts into one file that people send around: a tar, a zip or a folder. Whatever looks like
// a password is blacked out of every text.
//
// It knows files and secrets. It does not know what is collected.
package bundle

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// Bundle is being written.
type Bundle struct {
	add   func(name string, text []byte) error
	close func() error
	count int
}

// Create begins a bundle. The name says its form: .tar.gz or .tgz, .zip, or a folder with / at its end. Nothing that is
// there is overwritten, and nobody else may read it.
func Create(name string, now time.Time) (*Bundle, error) {
	const mine, folder = 0o600, 0o700
	switch {
	case strings.HasSuffix(name, "/"):
		if err := os.Mkdir(name, folder); err != nil {
			return nil, err
		}
		return &Bundle{close: func() error { return nil }, add: func(file string, text []byte) error {
			full := filepath.Join(name, filepath.FromSlash(file))
			return errors.Join(os.MkdirAll(filepath.Dir(full), folder), os.WriteFile(full, text, mine))
		}}, nil
	case !strings.HasSuffix(name, ".tar.gz") && !strings.HasSuffix(name, ".tgz") && !strings.HasSuffix(name, ".zip"):
		return nil, fmt.Errorf("file %q: allowed are names that end with .tar.gz, .tgz, .zip or /", name)
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mine)
	if err != nil {
		return nil, err
	}
	top := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(filepath.Base(name), ".zip"), ".tgz"), ".tar.gz")
	if strings.HasSuffix(name, ".zip") {
		z := zip.NewWriter(file)
		return &Bundle{close: func() error { return errors.Join(z.Close(), file.Close()) }, add: func(name string, text []byte) error {
			w, err := z.CreateHeader(&zip.FileHeader{Name: path.Join(top, name), Modified: now, Method: zip.Deflate})
			if err == nil {
				_, err = w.Write(text)
			}
			return err
		}}, nil
	}
	g := gzip.NewWriter(file)
	t := tar.NewWriter(g)
	return &Bundle{close: func() error { return errors.Join(t.Close(), g.Close(), file.Close()) }, add: func(name string, text []byte) error {
		err := t.WriteHeader(&tar.Header{Name: path.Join(top, name), Mode: mine, Size: int64(len(text)), ModTime: now})
		if err == nil {
			_, err = t.Write(text)
		}
		return err
	}}, nil
}

// Close ends the bundle.
func (b *Bundle) Close() error { return b.close() }

// Count is the number of its files.
func (b *Bundle) Count() int { return b.count }

// Add writes a text.
func (b *Bundle) Add(name, text string) error {
	if err := b.add(name, []byte(Redact(text))); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	b.count++
	return nil
}

// JSON writes a value.
func (b *Bundle) JSON(name string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return b.Add(name, string(text)+"\n")
}

// Object writes an object of Kubernetes as YAML, without who manages which field and without copies of it.
func (b *Bundle) Object(name string, o runtime.Object) error {
	o = o.DeepCopyObject()
	about, err := meta.Accessor(o)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	about.SetManagedFields(nil)
	notes := about.GetAnnotations()
	delete(notes, "kubectl.kubernetes.io/last-applied-configuration")
	about.SetAnnotations(notes)
	text, err := yaml.Marshal(o)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return b.Add(name, string(text))
}

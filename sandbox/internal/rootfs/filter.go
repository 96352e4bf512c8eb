// SPDX-License-Identifier: Apache-2.0

// Package rootfs makes root file systems for images: from Debian's packages or from a tar of any origin,
// with the same bytes for the same input. It knows files, not images.
package rootfs

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Filter copies a tar, leaving out what matches and what a container gets from its runtime anyway, and
// replacing every time, so that the same packages give the same bytes.
func Filter(in io.Reader, out io.Writer, exclude Globs, at time.Time) error {
	archive, copied := tar.NewReader(in), tar.NewWriter(out)
	gone := map[string]bool{}
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return copied.Close()
		}
		if err != nil {
			return fmt.Errorf("read root file system: %w", err)
		}
		h.Name = strings.TrimPrefix(strings.TrimPrefix(h.Name, "."), "/")
		if h.Name == "" || exclude.Match(h.Name) || runtimeOwned(h) {
			gone[h.Name] = true
			continue
		}
		if err := copyEntry(copied, archive, h, gone, at); err != nil {
			return fmt.Errorf("copy %s: %w", h.Name, err)
		}
	}
}

// runtimeOwned are devices, and the files that a container gets from its host.
func runtimeOwned(h *tar.Header) bool {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeLink, tar.TypeSymlink, tar.TypeDir:
	default:
		return true
	}
	return strings.HasPrefix(h.Name, "dev/") && h.Name != "dev/" ||
		h.Name == "etc/hostname" || h.Name == "etc/resolv.conf" || h.Name == "etc/hosts"
}

func copyEntry(to *tar.Writer, content io.Reader, h *tar.Header, gone map[string]bool, at time.Time) error {
	if h.Typeflag == tar.TypeLink {
		h.Linkname = strings.TrimPrefix(strings.TrimPrefix(h.Linkname, "."), "/")
		if gone[h.Linkname] {
			return fmt.Errorf("it is a hard link to %s, which is left out: leave out both or none", h.Linkname)
		}
	}
	clean := tar.Header{
		Typeflag: h.Typeflag, Name: h.Name, Linkname: h.Linkname, Size: h.Size, Mode: h.Mode,
		Uid: h.Uid, Gid: h.Gid, ModTime: at,
	}
	for key, value := range h.PAXRecords {
		// File capabilities and the like; access times are not kept.
		if strings.HasPrefix(key, "SCHILY.xattr.") {
			if clean.PAXRecords == nil {
				clean.PAXRecords = map[string]string{}
			}
			clean.PAXRecords[key] = value
		}
	}
	if err := to.WriteHeader(&clean); err != nil {
		return err
	}
	_, err := io.Copy(to, content)
	return err
}

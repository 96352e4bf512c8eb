// SPDX-License-Identifier: Apache-2.0

package rootfs_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/rootfs"
)

func TestGlobsMatchAsDpkgsDo(t *testing.T) {
	globs, err := rootfs.ParseGlobs([]string{"/usr/share/doc/*", "/usr/lib/*/libLLVM*", "/opt/x.[ao]"})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"usr/share/doc/bash/README":               true,
		"/usr/share/doc/":                         false,
		"/usr/lib/x86_64-linux-gnu/libLLVM-14.so": true,
		"/usr/lib/libLLVM-14.so":                  false,
		"/opt/x.a":                                true,
		"/opt/x.so":                               false,
		"/opt/xxa":                                false,
	} {
		if got := globs.Match(path); got != want {
			t.Errorf("Match(%s) = %v", path, got)
		}
	}
	if _, err := rootfs.ParseGlobs([]string{"usr/*"}); err == nil {
		t.Error("a pattern without a leading slash is accepted, and would never match")
	}
}

func TestParseAccount(t *testing.T) {
	a, err := rootfs.ParseAccount("postgres:26:27:/var/lib/postgresql")
	if diff := cmp.Diff(rootfs.Account{Name: "postgres", UID: 26, GID: 27, Home: "/var/lib/postgresql"}, a); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, bad := range []string{"", "x", "x:1", "x:a:1", "x:0:1", "x:1:70000", "x:1:1:home", "X:1:1", "x'y:1:1", "x:1:1:/a'b"} {
		if _, err := rootfs.ParseAccount(bad); err == nil || !strings.Contains(err.Error(), "account") {
			t.Errorf("ParseAccount(%q) = %v", bad, err)
		}
	}
}

func TestAnAccountReplacesWhatHasItsNameOrNumber(t *testing.T) {
	passwd := "root:x:0:0:root:/root:/bin/bash\npostgres:x:100:102::/x:/bin/sh\n"
	group := "root:x:0:\ntape:x:26:\npostgres:x:102:"
	users, groups := rootfs.AddAccounts(passwd, group, []rootfs.Account{{Name: "postgres", UID: 26, GID: 26, Home: "/home"}})
	if want := "root:x:0:0:root:/root:/bin/bash\npostgres:x:26:26::/home:/bin/sh\n"; users != want {
		t.Errorf("passwd:\n%s\nwant:\n%s", users, want)
	}
	if want := "root:x:0:\npostgres:x:26:\n"; groups != want {
		t.Errorf("group:\n%s\nwant:\n%s", groups, want)
	}
}

// makeTar writes headers with the given time; regular files contain their names.
func makeTar(t *testing.T, at time.Time, headers ...tar.Header) []byte {
	t.Helper()
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	for _, h := range headers {
		h.ModTime = at
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, h.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func TestFilterGivesTheSameBytesWheneverTheFilesWereMade(t *testing.T) {
	exclude, err := rootfs.ParseGlobs([]string{"/usr/share/doc/*"})
	if err != nil {
		t.Fatal(err)
	}
	headers := []tar.Header{
		{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755},
		{Typeflag: tar.TypeDir, Name: "./dev/", Mode: 0o755},
		{Typeflag: tar.TypeChar, Name: "./dev/null", Mode: 0o666},
		{Typeflag: tar.TypeReg, Name: "./etc/hostname", Mode: 0o644},
		{Typeflag: tar.TypeReg, Name: "./bin/a", Mode: 0o4755, Uid: 26, Gid: 27, Uname: "builder"},
		{Typeflag: tar.TypeLink, Name: "./bin/b", Linkname: "./bin/a"},
		{Typeflag: tar.TypeReg, Name: "./usr/share/doc/a", Mode: 0o644},
	}
	var outputs [2]bytes.Buffer
	for i := range outputs {
		in := makeTar(t, time.Unix(int64(1000+i), 0), headers...)
		if err := rootfs.Filter(bytes.NewReader(in), &outputs[i], exclude, time.Unix(5, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(outputs[0].Bytes(), outputs[1].Bytes()) {
		t.Error("the bytes depend on the time of the files")
	}
	var got []string
	for r := tar.NewReader(&outputs[0]); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, h.Name)
		if h.Name == "bin/a" && (h.Mode != 0o4755 || h.Uid != 26 || h.Gid != 27 || h.Uname != "" || h.ModTime.Unix() != 5) {
			t.Errorf("file %+v", h)
		}
	}
	if diff := cmp.Diff([]string{"dev/", "bin/a", "bin/b"}, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestAHardLinkToWhatIsLeftOutIsAnError(t *testing.T) {
	exclude, err := rootfs.ParseGlobs([]string{"/bin/a"})
	if err != nil {
		t.Fatal(err)
	}
	in := makeTar(t, time.Unix(1, 0),
		tar.Header{Typeflag: tar.TypeReg, Name: "bin/a", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeLink, Name: "bin/b", Linkname: "bin/a"})
	err = rootfs.Filter(bytes.NewReader(in), io.Discard, exclude, time.Unix(1, 0))
	if err == nil || !strings.Contains(err.Error(), "bin/b") || !strings.Contains(err.Error(), "bin/a") {
		t.Errorf("error %v, want one that names both", err)
	}
}

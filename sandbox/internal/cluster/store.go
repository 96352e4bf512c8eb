// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/command"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/image"
)

// store is the image store of one host.
type store struct{ socket string }

func (c store) ctr(ctx context.Context, args ...string) (string, error) {
	return command.Run(ctx, "ctr", append([]string{"--address", c.socket, "--namespace", "k8s.io"}, args...)...)
}

// hasAll says whether the host has every image with exactly this content. When in doubt it has not.
func (c store) hasAll(ctx context.Context, want map[string]string) bool {
	have, err := c.images(ctx)
	if err != nil {
		return false
	}
	for ref, config := range want {
		target, ok := have[image.FullName(ref)]
		if !ok || c.config(ctx, target) != config {
			return false
		}
	}
	return len(want) > 0
}

// images are the references the host has, and the digest each stands for.
func (c store) images(ctx context.Context) (map[string]string, error) {
	out, err := c.ctr(ctx, "images", "list")
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) > 2 && strings.HasPrefix(fields[2], "sha256:") {
			found[fields[0]] = fields[2]
		}
	}
	return found, nil
}

// config is the digest of the configuration of the image that target, a manifest or an index of one, stands for.
func (c store) config(ctx context.Context, target string) string {
	for range 2 {
		out, err := c.ctr(ctx, "content", "get", target)
		if err != nil {
			return ""
		}
		var m struct {
			Config    v1.Descriptor   `json:"config"`
			Manifests []v1.Descriptor `json:"manifests"`
		}
		if json.Unmarshal([]byte(out), &m) != nil {
			return ""
		}
		if m.Config.Digest.Hex != "" || len(m.Manifests) == 0 {
			return m.Config.Digest.String()
		}
		target = m.Manifests[0].Digest.String()
	}
	return ""
}

// load imports a tar, without the layers that the host has already: a base of a hundred megabytes need not
// travel again because a program on top of it has changed.
func (c store) load(ctx context.Context, file string) error {
	out, err := c.ctr(ctx, "content", "list", "--quiet")
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for digest := range strings.FieldsSeq(out) {
		have[digest] = true
	}
	if c.importWithout(ctx, file, have) == nil {
		return nil
	}
	// A layer that was only a leftover may have been collected in the meantime.
	return c.importWithout(ctx, file, nil)
}

func (c store) importWithout(ctx context.Context, file string, digests map[string]bool) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	reader, writer := io.Pipe()
	go func() { _ = writer.CloseWithError(image.CopyWithout(writer, f, digests)) }()
	// Ends the copying if the import ends first.
	defer func() { _ = reader.Close() }()
	_, err = command.RunInput(ctx, reader, "ctr", "--address", c.socket, "--namespace", "k8s.io", "images", "import", "-")
	return err
}

// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/artifact"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/daemons"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/image"
)

// kubernetesBinary is the file with all programs of Kubernetes in it.
const kubernetesBinary = "kubernetes"

// programs are the names under which the one binary is run.
func programs() []string {
	return []string{
		"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl",
		"volume-provisioner",
	}
}

// Assets are what a sandbox is built from.
type Assets struct {
	Programs string   // directory with the programs of Kubernetes
	Images   []string // tars that every host needs
}

// Prepare makes everything that is not in the cache yet and names the programs in the state, where tests
// of an API server alone find them.
func (s Sandbox) Prepare(ctx context.Context) error {
	assets, err := s.Build(ctx)
	if err != nil {
		return err
	}
	return s.linkPrograms(assets.Programs)
}

// Build makes everything that is not in the cache yet, and names the programs in the state.
func (s Sandbox) Build(ctx context.Context) (Assets, error) {
	goVersion, err := artifact.GoVersion(ctx)
	if err != nil {
		return Assets{}, err
	}
	flags, err := versionFlags(filepath.Join(s.Source, "kubernetes", "go.mod"))
	if err != nil {
		return Assets{}, err
	}
	kubernetes := artifact.Program{Name: kubernetesBinary, Source: filepath.Join(s.Source, "kubernetes"), Flags: flags}
	dir, err := s.program(ctx, goVersion, kubernetes, "about ten minutes of two processors, once", func(dir string) error {
		for _, name := range programs() {
			if err := os.Symlink(kubernetesBinary, filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("name program %s: %w", name, err)
			}
		}
		return nil
	})
	if err != nil {
		return Assets{}, err
	}
	assets := Assets{Programs: dir}
	for _, img := range []struct{ name, ref, hint string }{
		{"pause", daemons.PauseImage, "a moment"},
		{"coredns", daemons.CoreDNSImage, "about a minute, once"},
	} {
		program := artifact.Program{Name: img.name, Source: filepath.Join(s.Source, img.name)}
		tar, err := s.programImage(ctx, goVersion, program, img.ref, img.hint)
		if err != nil {
			return Assets{}, err
		}
		assets.Images = append(assets.Images, tar)
	}
	return assets, s.linkPrograms(dir)
}

// program returns the directory of a program's cache entry and builds it if need be.
func (s Sandbox) program(ctx context.Context, goVersion string, p artifact.Program, hint string, finish func(dir string) error) (string, error) {
	key, err := p.Key(goVersion)
	if err != nil {
		return "", err
	}
	return s.Cache.Ensure(ctx, p.Name, key, func(ctx context.Context, dir string) error {
		s.Out.Step("building %s (%s)", p.Name, hint)
		err := p.Build(ctx, dir, func(packages int) { s.Out.Step("building %s: %d packages compiled", p.Name, packages) })
		if err != nil {
			return err
		}
		s.Out.Step("built %s", p.Name)
		return finish(dir)
	})
}

// programImage returns the tar of an image with nothing but one program in it.
func (s Sandbox) programImage(ctx context.Context, goVersion string, p artifact.Program, ref, hint string) (string, error) {
	dir, err := s.program(ctx, goVersion, p, hint, func(dir string) error {
		layerTar := filepath.Join(dir, "layer.tar")
		err := image.WriteTar(layerTar, []image.Add{{Source: filepath.Join(dir, p.Name), Target: "/" + p.Name, Mode: 0o755}}, nil)
		if err != nil {
			return err
		}
		layer, err := image.FromTar(layerTar)
		if err != nil {
			return err
		}
		img, err := image.New(nil, []v1.Layer{layer}, image.Config{Entrypoint: []string{"/" + p.Name}})
		if err != nil {
			return err
		}
		if err := image.Write(filepath.Join(dir, p.Name+".tar"), ref, img); err != nil {
			return err
		}
		return errors.Join(os.Remove(layerTar), os.Remove(filepath.Join(dir, p.Name)))
	})
	return filepath.Join(dir, p.Name+".tar"), err
}

// versionFlags make the programs name the version that go.mod requires; without them they call themselves
// v0.0.0, and version checks of clients misfire.
func versionFlags(goMod string) (string, error) {
	text, err := os.ReadFile(goMod)
	if err != nil {
		return "", fmt.Errorf("read the version of Kubernetes: %w", err)
	}
	found := regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)$`).FindStringSubmatch(string(text))
	if found == nil {
		return "", fmt.Errorf("read the version of Kubernetes: %s does not require k8s.io/kubernetes", goMod)
	}
	var flags []string
	for _, f := range [][2]string{
		{"k8s.io/component-base/version.gitVersion", found[1]},
		{"k8s.io/component-base/version.gitMajor", found[2]},
		{"k8s.io/component-base/version.gitMinor", found[3]},
		{"k8s.io/component-base/version.gitTreeState", "clean"},
		{"k8s.io/client-go/pkg/version.gitVersion", found[1]},
	} {
		flags = append(flags, "-X "+f[0]+"="+f[1])
	}
	return strings.Join(flags, " "), nil
}

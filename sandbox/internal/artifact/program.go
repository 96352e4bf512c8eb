// SPDX-License-Identifier: Apache-2.0

package artifact

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/command"
)

// Program is a Go program that is built from source, statically.
type Program struct {
	Name   string // also the name of the file in the entry
	Source string // directory of its package, and of its module if it has one of its own
	Flags  string // for the linker
}

// Key hashes the compiler's version and every file of the source but tests and prose.
func (p Program) Key(goVersion string) (Key, error) {
	parts := []string{goVersion, runtime.GOARCH, p.Flags}
	err := filepath.WalkDir(p.Source, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() ||
			strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".md") {
			return err
		}
		digest, err := FileDigest(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(p.Source, path)
		parts = append(parts, name, digest)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read source of %s: %w", p.Name, err)
	}
	return KeyOf(parts...), nil
}

// GoVersion is the version of the Go compiler in PATH.
func GoVersion(ctx context.Context) (string, error) {
	version, err := command.Run(ctx, "go", "env", "GOVERSION")
	if err != nil {
		return "", fmt.Errorf("find the Go compiler: %w", err)
	}
	return strings.TrimSpace(version), nil
}

// Build compiles the program into dir. told hears every few seconds how many packages are done.
func (p Program) Build(ctx context.Context, dir string, told func(packages int)) error {
	args := []string{"build", "-v", "-trimpath", "-ldflags", "-s -w " + p.Flags, "-o", filepath.Join(dir, p.Name), "."}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = p.Source
	// The caller's GOFLAGS and workspace must not change what the key stands for.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return fmt.Errorf("build %s: %w", p.Name, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("build %s: %w", p.Name, err)
	}
	last := follow(stderr, told)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("build %s: %w", p.Name, command.Explain(err, last, "go", args...))
	}
	return nil
}

// follow counts the packages that go build -v names and keeps the last lines, which are its errors if it fails.
func follow(stderr io.Reader, told func(packages int)) string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(stderr)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
	}()
	ticker := time.NewTicker(10 * time.Second)
	defer ticker.Stop()
	var tail []string
	for packages := 0; ; {
		select {
		case line, more := <-lines:
			if !more {
				return strings.Join(tail, "\n")
			}
			if !strings.HasPrefix(line, "go: ") {
				packages++
			}
			tail = append(tail[max(0, len(tail)-9):], line)
		case <-ticker.C:
			told(packages)
		}
	}
}

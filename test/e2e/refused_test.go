// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// bad is a sample that must be refused: what comes before it, the sample itself, and the words of the refusal.
type bad struct {
	before, text string
	words        []string
}

// parseBad reads a sample: the words stand in its comments after "# refused:", and of several documents only the last
// is bad.
func parseBad(text string) bad {
	b := bad{text: text}
	for line := range strings.Lines(text) {
		if w, ok := strings.CutPrefix(line, "# refused: "); ok {
			b.words = append(b.words, strings.TrimSpace(w))
		}
	}
	if at := strings.LastIndex(text, "\n---\n"); at >= 0 {
		b.before, b.text = text[:at+1], text[at+len("\n---\n"):]
	}
	return b
}

// missing are the words that a refusal does not say.
func (b bad) missing(refusal string) []string {
	var out []string
	for _, w := range b.words {
		if !strings.Contains(refusal, w) {
			out = append(out, w)
		}
	}
	return out
}

// refused FOLDER: every sample in the folder is refused by kubectl apply, with the words in its own comments.
func refused(ctx context.Context, c *call) error {
	if len(c.args) != 1 {
		return usage("refused FOLDER")
	}
	files, err := filepath.Glob(filepath.Join(c.ts.MkAbs(c.args[0]), "*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no samples in %s (%w)", c.args[0], err)
	}
	var all error
	for _, file := range files {
		if err := c.refuse(ctx, file); err != nil {
			all = errors.Join(all, fmt.Errorf("%s: %w", filepath.Base(file), err))
		}
	}
	_, _ = fmt.Fprintf(c.stdout, "%d samples\n", len(files))
	return all
}

func (c *call) refuse(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	b := parseBad(string(text))
	if len(b.words) < 2 {
		return errors.New("it does not say with what words it is refused")
	}
	var said bytes.Buffer
	one := &call{story: c.story, ts: c.ts, stdout: &said, stderr: &said}
	if b.before != "" {
		if err := one.applyText(ctx, b.before); err != nil {
			return fmt.Errorf("what comes before it is refused: %w", err)
		}
		defer func() {
			_ = one.program(ctx, nil, nil, "kubectl", "delete", "antdbcluster,antdboperation", "--all", "--cascade=foreground", "--wait")
		}()
	}
	err = one.applyText(ctx, b.text)
	if err == nil {
		_ = one.program(ctx, nil, nil, "kubectl", "delete", "antdbcluster,antdboperation", "--all", "--cascade=foreground", "--wait")
		return errors.New("it is taken")
	}
	if missing := b.missing(err.Error()); len(missing) > 0 {
		return fmt.Errorf("the refusal does not say %q: %w", missing, err)
	}
	_, _ = fmt.Fprintf(c.stdout, "%s: %v\n", strings.TrimSuffix(filepath.Base(file), ".yaml"), err)
	return nil
}

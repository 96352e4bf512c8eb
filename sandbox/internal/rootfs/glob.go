// SPDX-License-Identifier: Apache-2.0

package rootfs

import (
	"fmt"
	"regexp"
	"strings"
)

// Globs decide by path what stays out of an image. As in dpkg's path-exclude, a star matches slashes too.
type Globs []*regexp.Regexp

// ParseGlobs reads patterns of absolute paths with *, ? and [sets].
func ParseGlobs(patterns []string) (Globs, error) {
	var globs Globs
	for _, p := range patterns {
		if !strings.HasPrefix(p, "/") {
			return nil, fmt.Errorf("path pattern %q: it must begin with /", p)
		}
		var text strings.Builder
		for _, r := range p {
			switch r {
			case '*':
				text.WriteString(".*")
			case '?':
				text.WriteString(".")
			case '[', ']', '-':
				text.WriteRune(r)
			default:
				text.WriteString(regexp.QuoteMeta(string(r)))
			}
		}
		re, err := regexp.Compile("^" + text.String() + "$")
		if err != nil {
			return nil, fmt.Errorf("path pattern %q: %w", p, err)
		}
		globs = append(globs, re)
	}
	return globs, nil
}

// Match says whether a path of the image, with or without its leading slash, is left out.
func (g Globs) Match(path string) bool {
	path = "/" + strings.Trim(path, "/")
	for _, re := range g {
		if re.MatchString(path) {
			return true
		}
	}
	return false
}

// SPDX-License-Identifier: Apache-2.0

package view

// Notes are comments of a YAML file.
func Notes(s Style, notes []string) string {
	l := &lines{style: s}
	for _, n := range notes {
		for i, line := range wrap(n, max(s.width()-len("# - "), 20)) {
			if i == 0 {
				l.add("# - ", line)
			} else {
				l.add("#   ", line)
			}
		}
	}
	return l.String()
}

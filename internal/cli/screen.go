// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"strings"
)

// screen draws text over what it drew before.
type screen struct {
	out    io.Writer
	height int // lines that stand there
}

// draw replaces what was drawn last. Lines that do not fit are left out, since a terminal cannot take back what it has
// scrolled away.
func (s *screen) draw(text string, room int) {
	if all := strings.SplitAfter(text, "\n"); room > 1 && len(all) > room {
		text = strings.Join(all[:room-1], "")
	}
	var b strings.Builder
	if s.height > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", s.height)
	}
	b.WriteString(text)
	s.height = strings.Count(text, "\n")
	_, _ = io.WriteString(s.out, b.String()) // a terminal that is gone ends the program by a signal
}

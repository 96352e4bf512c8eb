// SPDX-License-Identifier: Apache-2.0

// Package progress prints what a command has done so far, a line at a time, with the seconds since it began.
package progress

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Printer writes lines for people who wait. Its methods may be called from several goroutines.
type Printer struct {
	mu    sync.Mutex
	out   io.Writer
	now   func() time.Time
	start time.Time
}

// New makes a printer whose clock starts now.
func New(out io.Writer, now func() time.Time) *Printer {
	return &Printer{out: out, now: now, start: now()}
}

// Step prints one line with the elapsed time.
func (p *Printer) Step(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A terminal that went away is no reason to stop half-way.
	_, _ = fmt.Fprintf(p.out, "%6.1fs  %s\n", p.now().Sub(p.start).Seconds(), fmt.Sprintf(format, args...))
}

// Start is when the printer's clock began.
func (p *Printer) Start() time.Time { return p.start }

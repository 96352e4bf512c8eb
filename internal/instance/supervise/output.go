// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"sync"
)

// maxLine bounds one line of a server's messages.
const maxLine = 1 << 20

// Output turns what a server writes into log records and remembers its last fatal message.
type Output struct {
	log *slog.Logger

	mu    sync.Mutex
	fatal string
}

// NewOutput writes records to log.
func NewOutput(log *slog.Logger) *Output { return &Output{log: log} }

// severity stands behind the prefix that log_line_prefix puts before it.
var severity = regexp.MustCompile(`(?:^|[\s:])(DEBUG[1-5]?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LOCATION): {1,2}(.*)$`)

// Forward reads messages until r ends.
func (o *Output) Forward(r io.Reader) error {
	level := slog.LevelInfo
	lines := bufio.NewReaderSize(r, 4096)
	for {
		line, err := readLine(lines)
		if line != "" {
			level = o.record(line, level)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readLine returns a line without its end; what exceeds maxLine is left out.
func readLine(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		part, err := r.ReadSlice('\n')
		if b.Len() < maxLine {
			b.Write(part)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return strings.TrimRight(b.String(), "\r\n"), err
		}
	}
}

// record logs one line. Lines that belong to the message before them have its level.
func (o *Output) record(line string, before slog.Level) slog.Level {
	level := before
	m := severity.FindStringSubmatch(line)
	if m != nil {
		level = levelOf(m[1], before)
		if (m[1] == "FATAL" || m[1] == "PANIC") && !ofSession(strings.TrimSuffix(line, m[0])) {
			o.mu.Lock()
			o.fatal = m[2]
			o.mu.Unlock()
		}
	}
	o.log.Log(context.Background(), level, line)
	return level
}

// ofSession tells by the prefix, which names user and database of a session only, that a message is about one client
// and not about the server.
func ofSession(prefix string) bool { return strings.Contains(prefix, "@") }

func levelOf(word string, before slog.Level) slog.Level {
	switch word {
	case "ERROR", "FATAL", "PANIC":
		return slog.LevelError
	case "WARNING":
		return slog.LevelWarn
	case "DETAIL", "HINT", "CONTEXT", "STATEMENT", "QUERY", "LOCATION":
		return before
	}
	if strings.HasPrefix(word, "DEBUG") {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// Fatal is the last fatal message since Forget.
func (o *Output) Fatal() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fatal
}

// Forget forgets the last fatal message.
func (o *Output) Forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fatal = ""
}

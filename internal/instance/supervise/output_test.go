// SPDX-License-Identifier: Apache-2.0

package supervise_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/antdb-operator/antdb-operator/internal/instance/supervise"
)

func TestMessagesKeepTheirTextAndGetTheirLevel(t *testing.T) {
	var out bytes.Buffer
	o := supervise.NewOutput(slog.New(slog.NewJSONHandler(&out, nil)))
	const messages = `[7] LOG:  database system is ready
[9] app@app 192.0.2.1(5) ERROR:  relation "x" does not exist
[9] app@app 192.0.2.1(5) STATEMENT:  select x
2026-11-23 00:59:19.855 UTC [7] WARNING:  careful
	a second line
DEBUG:  nobody reads this
LOG:  00000: could not change directory
no prefix at all`
	if err := o.Forward(strings.NewReader(messages)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		var record struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		got = append(got, record.Level+" "+record.Msg)
	}
	want := []string{
		"INFO [7] LOG:  database system is ready",
		`ERROR [9] app@app 192.0.2.1(5) ERROR:  relation "x" does not exist`,
		"ERROR [9] app@app 192.0.2.1(5) STATEMENT:  select x",
		"WARN 2026-11-23 00:59:19.855 UTC [7] WARNING:  careful",
		"WARN \ta second line",
		"INFO LOG:  00000: could not change directory",
		"INFO no prefix at all",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("records (-want +got):\n%s", d)
	}
}

func TestTheLastFatalMessageOfTheServerIsRememberedAndNotThatOfASession(t *testing.T) {
	o := supervise.NewOutput(slog.New(slog.DiscardHandler))
	forward := func(line string) {
		t.Helper()
		if err := o.Forward(strings.NewReader(line)); err != nil {
			t.Fatal(err)
		}
	}
	forward("[7] FATAL:  could not map anonymous shared memory\n")
	forward("[9] app@app 192.0.2.1(5) FATAL:  password authentication failed\n")
	if got, want := o.Fatal(), "could not map anonymous shared memory"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	o.Forget()
	if got := o.Fatal(); got != "" {
		t.Errorf("after Forget: %q", got)
	}
	forward("[7] LOG:  " + strings.Repeat("x", 3<<20) + "\n[7] PANIC:  could not locate a valid checkpoint record")
	if got, want := o.Fatal(), "could not locate a valid checkpoint record"; got != want {
		t.Errorf("after a line that is too long: %q, want %q", got, want)
	}
}

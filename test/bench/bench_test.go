// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/antdb-operator/antdb-operator/test/bench/floor"
)

func TestPutReplacesOneSectionAndKeepsTheOthers(t *testing.T) {
	report := put(put(header, "ready a", "first"), "ready b", "second")
	report = put(report, "ready a", "third\n\n")
	want := header + "\n<!-- begin ready a -->\nthird\n<!-- end ready a -->\n\n<!-- begin ready b -->\nsecond\n<!-- end ready b -->\n"
	if report != want {
		t.Errorf("report is\n%s\nwanted\n%s", report, want)
	}
}

func TestProcessorTimeIsReadPastANameWithBlanks(t *testing.T) {
	stat := "42 (a (strange) name) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 9 0 1 2 3"
	if d, err := processorTime(stat); err != nil || d != 2*time.Second {
		t.Errorf("it reads %s (%v)", d, err)
	}
	if d, err := processorTime("42 (short) S"); err == nil {
		t.Errorf("a line without times reads %s", d)
	}
}

func TestRatiosAreThoseOfTheMedians(t *testing.T) {
	bare := []floor.Phases{{InitDB: 4 * time.Second}, {InitDB: 5 * time.Second}, {InitDB: 90 * time.Second}}
	pods := []time.Duration{10 * time.Second, 9 * time.Second, 70 * time.Second}
	ready := []time.Duration{8 * time.Second, 6 * time.Second, 70 * time.Second}
	text := readySection(options{engine: "x"}, bare, pods, ready)
	for _, want := range []string{
		"| bare: all | 5.00 s (4.00–90.00) |", "| cluster Ready | 8.00 s (6.00–70.00) |",
		"against bare, ratio of the medians | **1.60**", "against pods by hand, ratio of the medians | **0.80**",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the section does not say %q:\n%s", want, text)
		}
	}
	if text := readySection(options{}, nil, pods, ready); strings.Contains(text, "bare") || !strings.Contains(text, "**0.80**") {
		t.Errorf("without a floor the section is\n%s", text)
	}
}

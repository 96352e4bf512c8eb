// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/antdb-operator/antdb-operator/test/bench/floor"
)

// header opens a new report.
const header = `# Benchmarks

Written by ` + "`make bench`" + `; each section says when and where it was measured. Times are medians, the best and the worst
are beside them. A section is replaced when it is measured again; sections of another engine stay.
`

// put replaces a section of the report, or adds it at the end.
func put(report, name, section string) string {
	begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->\n"
	text := begin + strings.TrimSpace(section) + "\n" + end
	from := strings.Index(report, begin)
	if from < 0 {
		return strings.TrimRight(report, "\n") + "\n\n" + text
	}
	to := strings.Index(report[from:], end)
	if to < 0 { // somebody cut it off: everything after it is lost already
		return report[:from] + text
	}
	return report[:from] + text + report[from+to+len(end):]
}

func measured() string {
	return fmt.Sprintf("Measured on %s on %d processors.\n", time.Now().UTC().Format("2006-01-02"), runtime.NumCPU())
}

// spread is a median with the best and the worst.
func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f s (%.2f–%.2f)", median(all).Seconds(), slices.Min(all).Seconds(), slices.Max(all).Seconds())
}

func readySection(o options, bare []floor.Phases, pods, ready []time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## From `kubectl apply` to Ready (%s)\n\nOne gtm_coord, two coordinators, three datanodes, images loaded. ", o.engine)
	b.WriteString(measured())
	if len(bare) > 0 {
		b.WriteString("Bare is the floor: the same six servers made by hand on the machine itself, initdb, start and node sync in parallel,\n" +
			"one table used. ")
	}
	b.WriteString("Pods by hand are six pods with claims and Services, made at once without an operator, with `trust`\n" +
		"for everyone; the node sync is made when they are ready, and the same table used. Both run initdb, while the cluster\n" +
		"copies the template of its image (decision 0021).\n")
	if len(bare) > 0 {
		b.WriteString("Volumes of the sandbox are spread over the disk. The bare directories lie where those of the run before were removed,\n" +
			"whose inodes ext4 leaves alone for some minutes: that costs bare initdb up to 2 s, and its best time is one without it.\n")
	}
	fmt.Fprintf(&b, "\n| what | %d runs, in turns |\n|---|---|\n", len(ready))
	row := func(what string, all []time.Duration) { fmt.Fprintf(&b, "| %s | %s |\n", what, spread(all)) }
	pick := func(of func(floor.Phases) time.Duration) []time.Duration {
		out := make([]time.Duration, len(bare))
		for i, p := range bare {
			out[i] = of(p)
		}
		return out
	}
	total := pick(floor.Phases.Total)
	if len(bare) > 0 {
		row("bare: initdb", pick(func(p floor.Phases) time.Duration { return p.InitDB }))
		row("bare: start", pick(func(p floor.Phases) time.Duration { return p.Start }))
		row("bare: sync and first use", pick(func(p floor.Phases) time.Duration { return p.Sync + p.Use }))
		row("bare: all", total)
	}
	row("pods by hand", pods)
	row("cluster Ready", ready)
	ratio := func(to string, all []time.Duration) {
		fmt.Fprintf(&b, "| Ready against %s, ratio of the medians | **%.2f** |\n", to, median(ready).Seconds()/median(all).Seconds())
	}
	if len(bare) > 0 {
		ratio("bare", total)
	}
	ratio("pods by hand", pods)
	return b.String()
}

func outageSection(o options, all []outage) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Outage when a pod is deleted (%s)\n\nThe longest time between two successes of a writer (one transaction over several datanodes, again every 20 ms) and of a\n"+
		"reader, both through one coordinator, while a pod is deleted gracefully and made anew. Nothing that was acknowledged\nwas lost. ", o.engine)
	b.WriteString(measured())
	b.WriteString("\n| pod deleted | statements through | outage |\n|---|---|---|\n")
	for _, x := range all {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", x.Kind, x.Through, spread(x.Gaps))
	}
	return b.String()
}

func settledSection(reconciles, writes float64) string {
	return fmt.Sprintf("## Writes over a settled cluster\n\n%s\nWoken %v times over a cluster at rest, the operator made **%v** writes to the API server.\n",
		measured(), reconciles, writes)
}

func scaleSection(all []load) string {
	var b strings.Builder
	b.WriteString("## The operator with many clusters\n\nEach cluster is one gtm_coord, two coordinators and three datanodes in a namespace of its own. The API server is real, the\n" +
		"pods are simulated and take no time, so the times are the operator's and the API server's. ")
	b.WriteString(measured())
	b.WriteString("\n| clusters | all Ready after | processor time for that | memory at rest | processor at rest | reconciles at rest | writes at rest |\n|---|---|---|---|---|---|---|\n")
	for _, l := range all {
		fmt.Fprintf(&b, "| %d | %.1f s | %.1f s | %d MiB | %.2f %% | %v in %s | %v |\n", l.Clusters, l.Ready.Seconds(), l.Busy.Seconds(),
			l.Resident>>20, 100*l.RestBusy.Seconds()/l.Rest.Seconds(), l.Reconciles, l.Rest, l.Writes)
	}
	return b.String()
}

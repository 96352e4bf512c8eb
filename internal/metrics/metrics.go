// SPDX-License-Identifier: Apache-2.0

// Package metrics turns what an instance knows of its server into Prometheus metrics.
//
// It knows names, units and how often the server may be asked. It opens no connection: its source does.
package metrics

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Present is what an instance knows without asking its server.
type Present struct {
	Cluster, Node, Instance, Role, Version string

	Up, Accepting, Serving, GTMReachable bool
	Starts                               int
	Timeline                             int64
	// HoldsCatalog says that Generation and Drifts mean something.
	HoldsCatalog bool
	Generation   int64
	Drifts       int
	Volumes      map[string]Volume
	// Lock is nil but on gc, Drain but on coordinators, Join where the node was not added to a running cluster, and Move
	// where rows were never moved.
	Lock  *Lock
	Drain *Drain
	Join  *Join
	Move  *Move
}

// Volume is how full a volume is, in bytes.
type Volume struct{ Used, Capacity int64 }

// Numbers are what the server counts.
type Numbers struct {
	WALPosition int64
	Databases   []Database
	Connections map[string]int64
	Prepared    int64
}

// Database is what the server counts of one database.
type Database struct {
	Name               string
	Commits, Rollbacks int64
	// Size is 0 where it is not known.
	Size int64
}

// Source knows an instance. Numbers fails while statements do not come back.
type Source interface {
	Present() Present
	Numbers(context.Context) (Numbers, error)
}

// How often the server is asked at most, however many scrape, and how long it may take.
const (
	fresh    = 5 * time.Second
	deadline = 3 * time.Second
)

// Collector collects from a source.
type Collector struct {
	source Source
	now    func() time.Time
	all    descriptions

	mu      sync.Mutex // held while the server is asked, so that scrapes share one answer
	numbers Numbers
	known   bool
	asked   time.Time
}

// NewCollector makes a collector.
func NewCollector(source Source, now func() time.Time) *Collector {
	return &Collector{source: source, now: now, all: describe()}
}

// Handler serves the metrics of a source, and those of the Go runtime below it.
func Handler(source Source) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(NewCollector(source, time.Now))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.all.list() {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	c.collectPresent(out)
	numbers, known := c.ask()
	if known {
		c.collectNumbers(out, numbers)
	}
}

// ask returns a fresh answer of the server, or the last one if that is fresh. A failure counts as an answer: the next
// scrape does not try again at once.
func (c *Collector) ask() (Numbers, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.asked.IsZero() && c.now().Sub(c.asked) < fresh {
		return c.numbers, c.known
	}
	c.asked = c.now()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	numbers, err := c.source.Numbers(ctx)
	c.numbers, c.known = numbers, err == nil
	return c.numbers, c.known
}

func (c *Collector) collectPresent(out chan<- prometheus.Metric) {
	p := c.source.Present()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(c.all.info, 1, p.Cluster, p.Node, p.Instance, p.Role, p.Version)
	gauge(c.all.up, number(p.Up))
	gauge(c.all.accepting, number(p.Accepting))
	gauge(c.all.serving, number(p.Serving))
	gauge(c.all.gtm, number(p.GTMReachable))
	gauge(c.all.timeline, float64(p.Timeline))
	out <- prometheus.MustNewConstMetric(c.all.starts, prometheus.CounterValue, float64(p.Starts))
	if p.HoldsCatalog {
		gauge(c.all.generation, float64(p.Generation))
		out <- prometheus.MustNewConstMetric(c.all.drifts, prometheus.CounterValue, float64(p.Drifts))
	}
	c.collectOperations(out, &p)
	for name, v := range p.Volumes {
		gauge(c.all.volumeUsed, float64(v.Used), name)
		gauge(c.all.volumeCapacity, float64(v.Capacity), name)
	}
}

func (c *Collector) collectNumbers(out chan<- prometheus.Metric, n Numbers) {
	gauge := func(d *prometheus.Desc, v int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	gauge(c.all.walPosition, n.WALPosition)
	gauge(c.all.prepared, n.Prepared)
	for state, count := range n.Connections {
		gauge(c.all.connections, count, state)
	}
	for _, d := range n.Databases {
		for result, count := range map[string]int64{"commit": d.Commits, "rollback": d.Rollbacks} {
			out <- prometheus.MustNewConstMetric(c.all.transactions, prometheus.CounterValue, float64(count), d.Name, result)
		}
		if d.Size > 0 {
			gauge(c.all.databaseSize, d.Size, d.Name)
		}
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

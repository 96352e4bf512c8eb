// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Move is how far the moving of rows is. Pauses are those of all moves since the instance manager began.
type Move struct {
	Running                bool
	TablesDone, TablesLeft int
	RowsDone, RowsLeft     int64
	BytesDone, BytesLeft   int64
	LongestPause           time.Duration
	Retries                int
	Pauses                 Histogram
}

// Lock is the lock that keeps DDL out of the cluster.
type Lock struct {
	Held    bool
	HeldFor time.Duration
	// Losses counts how often it was lost before anybody gave it up.
	Losses int
}

// Drain is the letting go of an application's sessions.
type Drain struct {
	Draining bool
	// Sessions are those that are left, and Ended counts those that did not go by themselves.
	Sessions, Ended int
}

// Join is how the node got its data, if it was added to a running cluster.
type Join struct {
	Kind         string
	Running      bool
	Made, Failed int
	// Took is how long the last one took that has ended.
	Took time.Duration
}

// Histogram counts durations. Its zero value is empty.
type Histogram struct {
	count  uint64
	sum    time.Duration
	within map[time.Duration]uint64
}

// bounds of a Histogram: from what nobody notices to what applications take for an outage.
func bounds() []time.Duration {
	return []time.Duration{
		50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
	}
}

// With is the histogram with one duration more; the old one stays as it is.
func (h Histogram) With(d time.Duration) Histogram {
	h.count, h.sum, h.within = h.count+1, h.sum+d, maps.Clone(h.within)
	if h.within == nil {
		h.within = map[time.Duration]uint64{}
	}
	for _, bound := range bounds() {
		if d <= bound {
			h.within[bound]++
		}
	}
	return h
}

func (h Histogram) metric(d *prometheus.Desc) prometheus.Metric {
	buckets := map[float64]uint64{}
	for _, bound := range bounds() {
		buckets[bound.Seconds()] = h.within[bound]
	}
	return prometheus.MustNewConstHistogram(d, h.count, h.sum.Seconds(), buckets)
}

// collectOperations tells of what is done while nodes come and go.
func (c *Collector) collectOperations(out chan<- prometheus.Metric, p *Present) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	if v := p.Lock; v != nil {
		gauge(c.all.lockHeld, number(v.Held))
		gauge(c.all.lockSeconds, v.HeldFor.Seconds())
		counter(c.all.lockLosses, v.Losses)
	}
	if v := p.Drain; v != nil {
		gauge(c.all.draining, number(v.Draining))
		gauge(c.all.drainSessions, float64(v.Sessions))
		counter(c.all.drainEnded, v.Ended)
	}
	if v := p.Join; v != nil {
		gauge(c.all.joinRunning, number(v.Running), v.Kind)
		gauge(c.all.joinSeconds, v.Took.Seconds(), v.Kind)
		counter(c.all.joins, v.Made, v.Kind, "made")
		counter(c.all.joins, v.Failed, v.Kind, "failed")
	}
	if v := p.Move; v != nil {
		gauge(c.all.moveRunning, number(v.Running))
		gauge(c.all.moveTables, float64(v.TablesDone), "done")
		gauge(c.all.moveTables, float64(v.TablesLeft), "left")
		gauge(c.all.moveRows, float64(v.RowsDone), "done")
		gauge(c.all.moveRows, float64(v.RowsLeft), "left")
		gauge(c.all.moveBytes, float64(v.BytesDone), "done")
		gauge(c.all.moveBytes, float64(v.BytesLeft), "left")
		gauge(c.all.movePause, v.LongestPause.Seconds())
		gauge(c.all.moveRetries, float64(v.Retries))
		out <- v.Pauses.metric(c.all.movePauses)
	}
}

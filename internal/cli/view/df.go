// SPDX-License-Identifier: Apache-2.0

package view

import (
	"maps"
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// Volumes shows how full the volumes of a cluster are, its write-ahead logs, and its databases on each datanode.
func Volumes(s Style, f *examine.Facts) string {
	l := &lines{style: s}
	t := table{heads: []string{"NODE", "VOLUME", "ASKED", "SIZE", "USED", "USE", "", "WAL"}, right: map[int]bool{2: true, 3: true, 4: true, 5: true, 7: true}}
	var used, size, wal int64
	for _, n := range f.Cluster.Status.Nodes {
		p := f.Probes[n.Name]
		if p.Err != "" {
			t.row(n.Name, "-", "", "", "", "", "not asked")
			continue
		}
		wal += p.WALBytes
		for _, kind := range []string{naming.VolumeData, naming.VolumeWAL} {
			v, ok := p.Volumes[kind]
			if !ok || v.Capacity == 0 {
				continue
			}
			log := ""
			if _, own := p.Volumes[naming.VolumeWAL]; own == (kind == naming.VolumeWAL) {
				log = Bytes(p.WALBytes)
			}
			taken := v.Capacity - v.Free
			used, size = used+taken, size+v.Capacity
			t.row(n.Name, kind, asked(f, n.Name, kind), Bytes(v.Capacity), Bytes(taken), s.paint(fullTone(taken, v.Capacity), percent(float64(taken)/float64(v.Capacity))),
				bar(float64(taken)/float64(v.Capacity), barWidth), log)
		}
	}
	t.row("all", "", "", Bytes(size), Bytes(used), "", "", Bytes(wal))
	t.draw(l)
	s.databases(l, f)
	for _, n := range f.Cluster.Status.Nodes {
		if p := f.Probes[n.Name]; p.Err != "" {
			l.paragraph("  ", n.Name+": "+p.Err)
		}
	}
	return l.String()
}

// barWidth is the length of the bar of a volume.
const barWidth = 10

// fullTone warns of a volume as the doctor does.
func fullTone(used, size int64) string {
	const warning, problem = 80, 95
	switch share := used * 100 / size; {
	case share >= problem:
		return red
	case share >= warning:
		return yellow
	}
	return ""
}

// asked is what the claim of a volume asks for.
func asked(f *examine.Facts, node, kind string) string {
	for _, n := range f.Cluster.Status.Nodes {
		for _, i := range n.Instances {
			for _, v := range i.Volumes {
				if n.Name == node && i.Name == n.Primary && strings.HasSuffix(v.Name, "-wal") == (kind == naming.VolumeWAL) {
					return v.Requested
				}
			}
		}
	}
	return ""
}

// databases shows what each datanode holds of each database.
func (s Style) databases(l *lines, f *examine.Facts) {
	total, on := map[string]int64{}, map[string]map[string]int64{}
	var nodes []string
	for _, n := range f.Cluster.Status.Nodes {
		for _, d := range f.Probes[n.Name].Databases {
			if on[d.Database] == nil {
				on[d.Database] = map[string]int64{}
			}
			on[d.Database][n.Name] = d.Bytes
			total[d.Database] += d.Bytes
			if !slices.Contains(nodes, n.Name) {
				nodes = append(nodes, n.Name)
			}
		}
	}
	for some := range slices.Chunk(nodes, columns) {
		l.add()
		t := table{heads: append([]string{"DATABASE", "ALL"}, some...), right: map[int]bool{1: true}}
		for _, name := range slices.Sorted(maps.Keys(total)) {
			row := []string{name, Bytes(total[name])}
			for i, node := range some {
				t.right[i+2] = true
				row = append(row, Bytes(on[name][node]))
			}
			t.row(row...)
		}
		t.draw(l)
	}
}

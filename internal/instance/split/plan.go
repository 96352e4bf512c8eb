// SPDX-License-Identifier: Apache-2.0

package split

import (
	"context"
	"slices"

	"github.com/antdb-operator/antdb-operator/internal/division"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// read reads everything that decides whether the datanodes can be divided.
func (w *work) read(ctx context.Context) (division.Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	s, err := w.Open(ctx, maintenance)
	if err != nil {
		return division.Facts{}, err
	}
	defer s.Close()
	f := division.Facts{Sources: w.sources(), Full: map[string]int{}, Senders: map[string]int{}, Slots: map[string]int{}}
	f.Copies = len(w.order.Pairs) / max(len(f.Sources), 1)
	if f.Able, f.Unclean, err = s.Able(ctx); err != nil || !f.Able {
		return f, err
	}
	if f.Tablespaces, err = s.Tablespaces(ctx); err != nil {
		return f, err
	}
	if f.Databases, err = s.Databases(ctx); err != nil {
		return f, err
	}
	if err := w.readWorkers(ctx, s, &f); err != nil {
		return f, err
	}
	for _, source := range f.Sources {
		if f.Senders[source], f.Slots[source], err = s.Feeding(ctx, source); err != nil {
			return f, err
		}
	}
	for i := range f.Databases {
		if err := w.readTables(ctx, &f.Databases[i]); err != nil {
			return f, err
		}
	}
	return f, w.readSizes(ctx, s, &f)
}

func (w *work) readTables(ctx context.Context, d *division.Database) error {
	if d.Closed {
		return nil
	}
	s, err := w.Open(ctx, d.Name)
	if err != nil {
		return err
	}
	defer s.Close()
	d.Tables, err = s.Tables(ctx)
	return err
}

// readWorkers looks for nodes without room for the one worker that the engine starts on each.
func (w *work) readWorkers(ctx context.Context, s Session, f *division.Facts) error {
	for _, node := range slices.Concat([]string{""}, w.coordinators(), f.Sources) {
		limit, busy, err := s.Workers(ctx, node)
		if err != nil {
			return err
		}
		if node == "" {
			node = "gc"
		}
		if busy >= limit {
			f.Full[node] = limit
		}
	}
	return nil
}

// readSizes measures the databases on the sources.
func (w *work) readSizes(ctx context.Context, s Session, f *division.Facts) error {
	total := map[string]int64{}
	for _, source := range f.Sources {
		sizes, err := s.Sizes(ctx, source)
		if err != nil {
			return err
		}
		for i := range f.Databases {
			d := &f.Databases[i]
			d.Bytes = max(d.Bytes, sizes[d.Name])
			total[source] += sizes[d.Name]
		}
	}
	w.note(func(s *instanceapi.SplitStatus) { s.Bytes = total })
	return nil
}

// coordinators are the names of those that gc knows, without gc itself.
func (w *work) coordinators() []string {
	var names []string
	for _, n := range w.Ways.Coordinators() {
		names = append(names, n.Name)
	}
	return names
}

// sources are the datanodes that are divided, each once.
func (w *work) sources() []string {
	var names []string
	for _, p := range w.order.Pairs {
		if !slices.Contains(names, p.Source) {
			names = append(names, p.Source)
		}
	}
	return names
}

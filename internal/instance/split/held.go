// SPDX-License-Identifier: Apache-2.0

package split

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/division"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// held divides the datanodes while the cluster is held.
func (w *work) held(ctx context.Context, main Session) error {
	if err := w.quiet(ctx, main); err != nil {
		return err
	}
	hidden, tables, err := w.lookAgain(ctx, main)
	if err != nil {
		return err
	}
	if err := w.closed(ctx, main); err != nil {
		return err
	}
	if err := w.divide(ctx, main); err != nil {
		return err
	}
	w.note(func(s *instanceapi.SplitStatus) { s.Tables = tables })
	w.settle(ctx, main)
	for _, r := range hidden {
		if err := errors.Join(r.session.Clean(ctx), r.session.Commit(ctx)); err != nil {
			// It is done later; until then rows that are written into tables at random may be hidden.
			w.Log.Error("rows that lie twice not removed while the cluster was held", "database", r.database.Name, "error", err)
		}
	}
	return nil
}

// quiet waits until nobody is inside a transaction, as long as the cluster may be held for that: what is not committed
// would be on the source and not on its copy.
func (w *work) quiet(ctx context.Context, main Session) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(w.order.MaxPauseMillis)*time.Millisecond)
	defer cancel()
	nodes := slices.Concat([]string{""}, w.coordinators(), w.sources())
	last := ""
	for i := 0; i < len(nodes); {
		found, err := main.Busy(ctx, nodes[i])
		switch {
		case err == nil && len(found) == 0:
			i++
			continue
		case err == nil:
			last = strings.TrimPrefix(nodes[i]+": ", ": ") + found[0]
		case last == "":
			return err
		}
		if err != nil || !w.Sleep(ctx, look) {
			return fmt.Errorf("applications are in the way: %s", last)
		}
		i = 0
	}
	return nil
}

// lookAgain looks whether something came since the plan that the engine cannot divide, and which databases must be cleaned
// before the cluster is let go.
func (w *work) lookAgain(ctx context.Context, main Session) (hidden []reader, tables int, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	f := division.Facts{Sources: w.sources()}
	if f.Able, f.Unclean, err = main.Able(ctx); err != nil {
		return nil, 0, err
	}
	now, err := main.Databases(ctx)
	if err != nil {
		return nil, 0, err
	}
	for _, d := range now {
		if d.Closed {
			f.Databases = append(f.Databases, d)
			continue
		}
		i := slices.IndexFunc(w.readers, func(r reader) bool { return r.database.Name == d.Name })
		if i < 0 {
			return nil, 0, fmt.Errorf("database %s has just been made", d.Name)
		}
		if d.Tables, err = w.readers[i].session.Tables(ctx); err != nil {
			return nil, 0, err
		}
		f.Databases, tables = append(f.Databases, d), tables+len(d.Tables)
		if d.Hides(f.Sources) {
			hidden = append(hidden, w.readers[i])
		}
	}
	if refusals := f.Refusals(); len(refusals) > 0 {
		return nil, 0, fmt.Errorf("%w: %s", errGiveUp, strings.Join(refusals, "; "))
	}
	return hidden, tables, nil
}

// closed waits until the copies hold all that their sources do.
func (w *work) closed(ctx context.Context, main Session) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	for _, p := range w.order.Pairs {
		for {
			lag, following, err := main.Behind(ctx, p.Source, p.Target.Name)
			if err != nil {
				return err
			}
			if following && lag == 0 {
				break
			}
			if !w.Sleep(ctx, look) {
				return fmt.Errorf("%s does not catch up with %s", p.Target.Name, p.Source)
			}
		}
	}
	return nil
}

// divide lets the copies become primaries, and divides everything in one transaction. Once a mark is written there is no
// other try: the copies are of no use after a failure.
func (w *work) divide(ctx context.Context, main Session) (err error) {
	ctx, cancel := context.WithTimeout(ctx, divideLimit)
	defer cancel()
	if err := main.Begin(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil { // an end of the session would do as well
			err = errors.Join(err, limited(context.WithoutCancel(ctx), main.Rollback))
		}
	}()
	for _, p := range w.order.Pairs {
		if err := main.Register(ctx, p.Target); err != nil {
			return err
		}
	}
	if err := w.marked(ctx, main); err != nil {
		return fmt.Errorf("%w: %w", errGiveUp, err)
	}
	if err := main.Divide(ctx, w.order.Pairs, w.coordinators()); err != nil {
		return fmt.Errorf("%w: %w", errGiveUp, err)
	}
	if err := w.commit(main); err != nil {
		return fmt.Errorf("%w whether it is committed: %w", errUnknown, err)
	}
	return nil
}

// commit ends the transaction.
func (w *work) commit(main Session) error {
	datanodes := w.Datanodes()
	for _, p := range w.order.Pairs {
		datanodes = append(datanodes, p.Target)
	}
	return w.crew.Commit(main, datanodes, func(datanode string) {
		w.note(func(s *instanceapi.SplitStatus) {
			s.Message = "it is decided, and the cluster is held until " + datanode + " is back"
		})
	})
}

// marked writes the restore points and waits until all copies are primaries.
func (w *work) marked(ctx context.Context, main Session) error {
	for _, source := range w.sources() {
		if err := main.Mark(ctx, source, w.order.Mark); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, promoteLimit)
	defer cancel()
	for _, p := range w.order.Pairs {
		for {
			primary, err := main.Primary(ctx, p.Target.Name)
			if err == nil && primary {
				break
			}
			if !w.Sleep(ctx, look) {
				return errors.Join(fmt.Errorf("%s has not become a primary within %s", p.Target.Name, promoteLimit), err)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// settle waits until every node has finished what is committed: until then one could read rows twice, or not at all.
func (w *work) settle(ctx context.Context, main Session) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	for {
		open, err := main.Undecided(ctx)
		if err == nil && len(open) == 0 {
			return
		}
		if err != nil || !w.Sleep(ctx, look) {
			w.Log.Warn("a node has not finished its part of the transaction yet", "undecided", open, "error", err)
			return
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package front

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/dialect"
)

// resolver is the remote transaction manager: it finishes what this node's sessions, in this life or an earlier one,
// left prepared on other nodes. A transaction is committed if its decision is in standin_rxact and rolled back if not.
type resolver struct {
	srv   *Server
	waker chan struct{}

	mu  sync.Mutex
	log *rxlog
	// inherited are the nodes whose transactions this data directory tells of though it is not theirs: it is a copy. Like
	// AntDB's, a resolver that finds them decides them, whatever their owner is about to do.
	inherited []string
}

func newResolver(s *Server) *resolver {
	return &resolver{srv: s, waker: make(chan struct{}, 1), log: &rxlog{runs: map[string]*running{}}}
}

// owner is the node that a transaction's name tells.
func owner(gid string) string {
	_, node, _ := strings.Cut(gid, "_")
	return node
}

// open reads what an earlier life, or the source of a copy, left.
func (r *resolver) open() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = openRxlog(r.srv.Data)
	r.inherited = nil
	add := func(node string) {
		if node != "" && node != r.srv.Name() && !slices.Contains(r.inherited, node) {
			r.inherited = append(r.inherited, node)
		}
	}
	add(readOrigin(r.srv.Data))
	for gid := range r.log.runs {
		add(owner(gid))
	}
}

// settled is called when a sweep has reached every node. Nodes that are no longer in the catalog cannot be asked.
func (r *resolver) settled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inherited = nil
	writeOrigin(r.srv.Data, r.srv.Name())
}

// begin keeps the resolver off a transaction until it is handed over.
func (r *resolver) begin(gid, database string, nodes []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.log.runs[gid] != nil {
		return
	}
	t := &running{GID: gid, Database: database, Type: "p", Backend: true, Nodes: nodes, Status: make([]bool, len(nodes))}
	r.log.runs[gid] = t
	r.log.write(*t)
}

// decide notes what becomes of a transaction.
func (r *resolver) decide(gid string, commit bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.log.runs[gid]; t != nil {
		t.Type = map[bool]string{true: "c", false: "r"}[commit]
	}
}

// done notes that a node has finished transactions.
func (r *resolver) done(node string, gids ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, gid := range gids {
		t := r.log.runs[gid]
		if t == nil {
			continue
		}
		if i := slices.Index(t.Nodes, node); i >= 0 {
			t.Status[i] = true
		}
		if !t.Backend && t.finished() {
			r.end(gid)
		}
	}
}

// orphans are the transactions that no session holds.
func (r *resolver) orphans() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for gid, t := range r.log.runs {
		if !t.Backend {
			out = append(out, gid)
		}
	}
	return out
}

// end takes a transaction off the list. The caller holds mu.
func (r *resolver) end(gid string) {
	delete(r.log.runs, gid)
	r.log.write(running{GID: gid, End: true})
}

func (r *resolver) handOver(gid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.log.runs[gid]; t != nil {
		if t.Backend = false; t.finished() {
			r.end(gid)
		}
	}
}

func (r *resolver) isLive(gid string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.log.runs[gid]
	return t != nil && t.Backend
}

// list is what rxact_get_running shows.
func (r *resolver) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, t := range r.log.runs {
		if line, err := json.Marshal(t); err == nil {
			out = append(out, string(line))
		}
	}
	return out
}

// owners are the nodes whose transactions are to be finished, as an array in SQL.
func (r *resolver) owners() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return dialect.Array(append([]string{r.srv.Name()}, r.inherited...))
}

// wake asks for a sweep.
func (r *resolver) wake() {
	select {
	case r.waker <- struct{}{}:
	default:
	}
}

const resolveEvery = time.Second

// quiet is how many sweeps in a row must find every node reachable: a PREPARE that was under way when its session
// ended may arrive after the first.
const quiet = 2

// run sweeps at the start and whenever it is woken, every second until all nodes were reached.
func (r *resolver) run(ctx context.Context) {
	if r.srv.Role == Datanode || r.srv.Restore {
		return
	}
	r.open()
	left := quiet
	for ctx.Err() == nil {
		if r.sweep(ctx) {
			r.settled()
			left--
		}
		var again <-chan time.Time
		if left > 0 {
			again = time.After(resolveEvery)
		}
		select {
		case <-ctx.Done():
		case <-r.waker:
			left = quiet
		case <-again:
		}
	}
}

// inDoubt is one transaction prepared on one node.
type inDoubt struct{ gid, database string }

// sweep finishes everything it can and tells whether nothing is left.
func (r *resolver) sweep(ctx context.Context) bool {
	if standby, err := r.srv.InRecovery(ctx); err != nil || standby {
		return false
	}
	rows, err := r.srv.ctl.rows(ctx, nodeColumns)
	if err != nil {
		return false
	}
	complete := true
	nodes := nodesOf(rows)
	orphans := r.orphans()
	for _, n := range nodes {
		if n.Name == r.srv.Name() || n.Type == "E" {
			continue
		}
		if err := r.node(ctx, n); err != nil {
			r.srv.Log.Printf("LOG:  remote transaction manager: %v", err)
			complete = false
			continue
		}
		r.done(n.Name, orphans...)
	}
	return complete && r.forget(ctx) == nil
}

// node finishes what is in doubt on one node.
func (r *resolver) node(ctx context.Context, n Node) error {
	list, err := r.ask(ctx, n, Superuser, fmt.Sprintf("SELECT gid, database FROM pg_catalog.pg_prepared_xacts "+
		"WHERE gid ~ '^T[0-9]+_' AND substr(gid, strpos(gid, '_') + 1) = ANY (%s)", r.owners()))
	if err != nil {
		return err
	}
	for _, row := range list {
		d := inDoubt{row[0], row[1]}
		if r.isLive(d.gid) {
			continue
		}
		decided, err := r.decided(ctx, d)
		if err != nil {
			return err
		}
		r.decide(d.gid, decided)
		verb := "ROLLBACK PREPARED "
		if decided {
			verb = "COMMIT PREPARED "
		}
		if _, err := r.ask(ctx, n, d.database, verb+dialect.Literal(d.gid)); err != nil && !strings.Contains(err.Error(), "does not exist") {
			return err
		}
		r.srv.Log.Printf("LOG:  remote transaction manager: %s%s on node %s", verb, d.gid, n.Name)
	}
	return nil
}

// ask runs one statement on another node.
func (r *resolver) ask(ctx context.Context, n Node, database, sql string) ([][]string, error) {
	conn, _, _, werr := r.srv.dialNode(ctx, n, map[string]string{
		"user": Superuser, "database": database, "application_name": "pgxc rxact", peerKey: rxactPeer,
	})
	if werr != nil {
		return nil, fmt.Errorf("reach node %s: %w", n.Name, werr)
	}
	b := &branch{node: n, conn: conn}
	defer conn.Close()
	res := b.query(sql)
	if res.err != nil {
		return nil, fmt.Errorf("ask node %s: %w", n.Name, res.err)
	}
	return res.rows, nil
}

// decided looks a decision up: where the transaction was, or, for one that ended inside a statement, in postgres.
func (r *resolver) decided(ctx context.Context, d inDoubt) (bool, error) {
	for _, database := range []string{d.database, Superuser} {
		conn, err := connect(ctx, r.srv.childSocket(), database)
		if err != nil {
			return false, fmt.Errorf("look up decision of %s: %w", d.gid, err)
		}
		rows, err := query(ctx, conn, "SELECT 1 FROM pg_catalog.standin_rxact WHERE gid = $1", d.gid)
		_ = conn.Close(ctx)
		if err != nil {
			return false, fmt.Errorf("look up decision of %s: %w", d.gid, err)
		}
		if len(rows) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// forget drops the decisions that no node waits for any more: all nodes have just been asked.
func (r *resolver) forget(ctx context.Context) error {
	databases, err := r.srv.ctl.rows(ctx, "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate")
	if err != nil {
		return err
	}
	for _, db := range databases {
		conn, err := connect(ctx, r.srv.childSocket(), db[0])
		if err != nil {
			return err
		}
		rows, err := query(ctx, conn, "SELECT gid FROM pg_catalog.standin_rxact")
		for _, row := range rows {
			if err == nil && !r.isLive(row[0]) && strings.Compare(row[0], fmt.Sprintf("T%d", r.srv.Start)) < 0 {
				_, err = query(ctx, conn, "DELETE FROM pg_catalog.standin_rxact WHERE gid = $1", row[0])
			}
		}
		_ = conn.Close(ctx)
		if err != nil {
			return err
		}
	}
	return nil
}

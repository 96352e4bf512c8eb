// SPDX-License-Identifier: Apache-2.0

package metrics

import "github.com/prometheus/client_golang/prometheus"

// descriptions are all metrics of an instance.
type descriptions struct {
	info, up, accepting, serving, gtm, timeline, starts *prometheus.Desc
	generation, drifts                                  *prometheus.Desc
	volumeUsed, volumeCapacity                          *prometheus.Desc
	walPosition, prepared, connections                  *prometheus.Desc
	transactions, databaseSize                          *prometheus.Desc
	moveRunning, moveBytes, movePause, moveRetries      *prometheus.Desc
	moveTables, moveRows, movePauses                    *prometheus.Desc
	lockHeld, lockSeconds, lockLosses                   *prometheus.Desc
	draining, drainSessions, drainEnded                 *prometheus.Desc
	joins, joinRunning, joinSeconds                     *prometheus.Desc
}

func describe() descriptions {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("antdb_"+name, help, labels, nil)
	}
	return descriptions{
		info:           d("info", "Always 1; its labels tell which instance this is.", "cluster", "node", "instance", "role", "version"),
		up:             d("up", "Whether the server process runs."),
		accepting:      d("accepting", "Whether the server accepts connections."),
		serving:        d("serving", "Whether SQL runs and, on gc and coordinators, the node catalog is right."),
		gtm:            d("gtm_reachable", "Whether a statement that needs a snapshot from gc comes back in time."),
		timeline:       d("timeline", "Timeline of the server's write-ahead log."),
		starts:         d("server_starts_total", "Starts of the server since the pod began."),
		generation:     d("topology_generation", "Generation of the topology that the instance was given last."),
		drifts:         d("catalog_drift_total", "How often the node catalog was found changed by somebody else."),
		volumeUsed:     d("volume_used_bytes", "Bytes in use on a volume.", "volume"),
		volumeCapacity: d("volume_capacity_bytes", "Size of a volume.", "volume"),
		walPosition:    d("wal_position_bytes", "Position in the write-ahead log, counted from its beginning."),
		prepared:       d("prepared_transactions", "Transactions that are prepared and not yet decided."),
		connections:    d("connections", "Client connections by their state.", "state"),
		transactions:   d("transactions_total", "Transactions that ended on this server.", "database", "result"),
		moveRunning:    d("move_running", "Whether gc is moving rows between datanodes."),
		moveBytes:      d("move_bytes", "Bytes of the last move that are done, and that are left.", "state"),
		movePause:      d("move_longest_pause_seconds", "The longest time that the last move held statements back."),
		moveRetries:    d("move_retries", "How often the last move put a table off."),
		moveTables:     d("move_tables", "Tables of the last move that are done, and that are left.", "state"),
		moveRows:       d("move_rows", "Rows of the last move that are done, and that are left, as far as they were counted.", "state"),
		movePauses:     d("move_pause_seconds", "How long moves held all statements of the cluster back at a time."),
		lockHeld:       d("ddl_lock_held", "Whether DDL is kept out of the cluster."),
		lockSeconds:    d("ddl_lock_held_seconds", "For how long DDL has been kept out; 0 while it is not."),
		lockLosses:     d("ddl_lock_losses_total", "How often the lock that keeps DDL out was lost before it was given up."),
		draining:       d("draining", "Whether this coordinator lets no applications in and lets their sessions end."),
		drainSessions:  d("drain_sessions", "Sessions of applications that are left on a coordinator that is drained."),
		drainEnded:     d("drain_ended_sessions_total", "Sessions of applications that were ended since their time was over."),
		joins:          d("joins_total", "How often the data of this node were made from another node, by how and how it ended.", "kind", "result"),
		joinRunning:    d("join_running", "Whether the data of this node are being made from another node.", "kind"),
		joinSeconds:    d("join_duration_seconds", "How long the last making of this node's data took that has ended.", "kind"),
		databaseSize:   d("database_size_bytes", "Size of a database on this datanode.", "database"),
	}
}

func (d descriptions) list() []*prometheus.Desc {
	return []*prometheus.Desc{
		d.info, d.up, d.accepting, d.serving, d.gtm, d.timeline, d.starts, d.generation, d.drifts, d.volumeUsed,
		d.volumeCapacity, d.walPosition, d.prepared, d.connections, d.transactions, d.databaseSize,
		d.moveRunning, d.moveBytes, d.movePause, d.moveRetries, d.moveTables, d.moveRows, d.movePauses,
		d.lockHeld, d.lockSeconds, d.lockLosses, d.draining, d.drainSessions, d.drainEnded, d.joins, d.joinRunning, d.joinSeconds,
	}
}

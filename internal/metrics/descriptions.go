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
		databaseSize:   d("database_size_bytes", "Size of a database on this datanode.", "database"),
	}
}

func (d descriptions) list() []*prometheus.Desc {
	return []*prometheus.Desc{
		d.info, d.up, d.accepting, d.serving, d.gtm, d.timeline, d.starts, d.generation, d.drifts, d.volumeUsed,
		d.volumeCapacity, d.walPosition, d.prepared, d.connections, d.transactions, d.databaseSize,
		d.moveRunning, d.moveBytes, d.movePause, d.moveRetries,
	}
}

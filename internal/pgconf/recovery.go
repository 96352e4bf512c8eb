// SPDX-License-Identifier: Apache-2.0

package pgconf

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
)

// firstWithSignalFiles is the PostgreSQL version that gave up recovery.conf.
const firstWithSignalFiles = 12

// Recovery is how a server recovers when it starts: as a standby of another one, from an archive, or both.
type Recovery struct {
	// Primary is the host that a standby follows; empty for a restore that ends by itself.
	Primary string
	// ApplicationName under which the primary knows the standby.
	ApplicationName string
	// Slot on the primary, if there is one.
	Slot string
	// RestoreCommand fetches archived segments.
	RestoreCommand string
	// Barrier is where a restore ends; empty for the end of the archive. Mark is the same as a restore point by name, which
	// ends the following of a standby too.
	Barrier, Mark string
	// Action at the barrier or mark: pause, promote or shutdown.
	Action string
}

// RecoveryFiles is what makes a server recover.
type RecoveryFiles struct {
	// Files to write into the data directory, by name. An empty text is a file whose presence is the message.
	Files map[string]string
	// Settings that belong to the server's ordinary settings.
	Settings map[string]string
}

// RecoveryNames are the files of both styles. Those that RecoveryFiles does not list must not be there.
func RecoveryNames() []string { return []string{"recovery.conf", "recovery.signal", "standby.signal"} }

// Render writes the recovery settings in the style of a PostgreSQL major version.
func (r Recovery) Render(major int) RecoveryFiles {
	settings := r.settings()
	if major >= firstWithSignalFiles {
		signal := "recovery.signal"
		if r.Primary != "" {
			signal = "standby.signal"
		}
		return RecoveryFiles{Files: map[string]string{signal: ""}, Settings: settings}
	}
	if r.Primary != "" {
		settings["standby_mode"] = "on"
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		b.WriteString(name + " = " + Quote(settings[name]) + "\n")
	}
	return RecoveryFiles{Files: map[string]string{"recovery.conf": b.String()}}
}

func (r Recovery) settings() map[string]string {
	// A standby must follow its primary over a failover to the next timeline.
	settings := map[string]string{"recovery_target_timeline": "latest"}
	if r.Primary != "" {
		settings["primary_conninfo"] = r.conninfo()
	}
	for name, value := range map[string]string{
		"primary_slot_name":       r.Slot,
		"restore_command":         r.RestoreCommand,
		"recovery_target_barrier": r.Barrier,
		"recovery_target_name":    r.Mark,
		"recovery_target_action":  r.Action,
	} {
		if value != "" {
			settings[name] = value
		}
	}
	return settings
}

// conninfo never asks for TLS: the engine cannot speak it between nodes.
func (r Recovery) conninfo() string {
	pairs := []string{
		"host=" + quoteConninfo(r.Primary),
		"port=" + strconv.Itoa(antdb.Port),
		"user=" + antdb.Superuser,
		"sslmode=disable",
	}
	if r.ApplicationName != "" {
		pairs = append(pairs, "application_name="+quoteConninfo(r.ApplicationName))
	}
	return strings.Join(pairs, " ")
}

func quoteConninfo(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

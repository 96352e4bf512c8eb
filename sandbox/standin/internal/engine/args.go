// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/sandbox/standin/internal/front"
)

// invocation is the command line of postgres, read.
type invocation struct {
	dataDir  string
	role     front.Role
	restore  bool
	settings map[string]string
	show     string   // -C
	pass     []string // for the child as they are
	single   bool     // --single and its like: not a server
	localXID bool     // --localxid: transaction numbers that do not come from gc, as initdb's
}

// settingOptions are PostgreSQL's short options that stand for a setting.
var settingOptions = map[string]string{
	"-p": "port", "-h": "listen_addresses", "-k": "unix_socket_directories", "-N": "max_connections", "-B": "shared_buffers", "-S": "work_mem",
}

func parseArgs(args []string) (invocation, error) {
	v := invocation{settings: map[string]string{}, dataDir: os.Getenv("PGDATA")}
	for i := 0; i < len(args); i++ {
		a := args[i]
		value := func() (string, error) {
			if len(a) > 2 && !strings.HasPrefix(a, "--") {
				return a[2:], nil
			}
			if i++; i >= len(args) {
				return "", fmt.Errorf("option %s needs a value", a)
			}
			return args[i], nil
		}
		var err error
		switch {
		case a == "--gtm_coord" || a == "--coordinator" || a == "--datanode":
			v.role = front.Role(a[2:])
		case a == "--restoremode":
			v.restore = true
		case slices.Contains([]string{"--single", "--boot", "--check", "--describe-config", "--help", "-?"}, a):
			v.single = true
		case a == "--localxid":
			v.localXID = true
		case a == "-F":
			v.settings["fsync"] = "off"
		case a == "-i":
			v.settings["listen_addresses"] = "*"
		case strings.HasPrefix(a, "-D"):
			v.dataDir, err = value()
		case strings.HasPrefix(a, "-C"):
			v.show, err = value()
		case strings.HasPrefix(a, "-c"):
			var s string
			if s, err = value(); err == nil {
				err = v.set(s)
			}
		case strings.HasPrefix(a, "--"):
			err = v.set(a[2:])
		case len(a) >= 2 && settingOptions[a[:2]] != "":
			v.settings[settingOptions[a[:2]]], err = value()
		default:
			v.pass = append(v.pass, a)
		}
		if err != nil {
			return v, err
		}
	}
	return v, nil
}

func (v *invocation) set(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok {
		return fmt.Errorf("--%s requires a value", s)
	}
	v.settings[strings.ToLower(strings.ReplaceAll(name, "-", "_"))] = value
	return nil
}

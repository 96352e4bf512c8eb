// SPDX-License-Identifier: Apache-2.0

package pgconf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
)

// DefaultHBA lets clients in when the user wrote no line: anybody with a password.
const DefaultHBA = "host all all all scram-sha-256"

// NobodyHBA keeps every client out. It stands in for lines that the server refused while there are no older ones.
const NobodyHBA = "host all all all reject"

// HBAProblem is the Name of a Problem with a line of pg_hba.conf.
const HBAProblem = "hba"

// Access is who may come in.
type Access struct {
	// Peers are the addresses of the cluster's own pods. Nodes talk to each other without a password, as the engine
	// cannot send one.
	Peers []netip.Addr
	// Closed keeps everybody else out, whatever Lines say.
	Closed bool
	// SuperuserAccess lets the superuser in from elsewhere, as Lines say.
	SuperuserAccess bool
	// Lines for clients.
	Lines []string
}

// HBA is the text of pg_hba.conf. The first line that fits decides: the socket, which only the pod itself reaches; the
// peers, each address on its own; the superuser; clients.
func HBA(a Access) string {
	var b strings.Builder
	b.WriteString("# Written by the AntDB instance manager; changes are lost. Set spec.hba of the AntDBCluster instead.\n")
	b.WriteString("local all all trust\n")
	peers := slices.Clone(a.Peers)
	for i := range peers {
		peers[i] = peers[i].Unmap().WithZone("")
	}
	slices.SortFunc(peers, netip.Addr.Compare)
	for _, p := range slices.Compact(peers) {
		fmt.Fprintf(&b, "host all all %s/%d trust\n", p, p.BitLen())
		fmt.Fprintf(&b, "host replication all %s/%d trust\n", p, p.BitLen())
	}
	if a.Closed {
		b.WriteString(NobodyHBA + "\n")
	}
	if !a.SuperuserAccess {
		fmt.Fprintf(&b, "host all %s 0.0.0.0/0 reject\n", antdb.Superuser)
		fmt.Fprintf(&b, "host all %s ::/0 reject\n", antdb.Superuser)
	}
	lines := a.Lines
	if len(lines) == 0 {
		lines = []string{DefaultHBA}
	}
	for _, l := range lines {
		b.WriteString(l + "\n")
	}
	return b.String()
}

// methods that a client may be asked to use. trust, peer and ident are not among them: nobody gets in without proof
// but the cluster itself.
func methods() []string {
	return []string{"scram-sha-256", "md5", "password", "reject", "cert", "gss", "ldap", "pam", "radius", "bsd"}
}

// CheckHBA lists the lines that cannot be used.
func CheckHBA(lines []string) []Problem {
	var problems []Problem
	for _, l := range lines {
		if message := checkLine(l); message != "" {
			problems = append(problems, Problem{Name: HBAProblem, Value: l, Message: fmt.Sprintf("hba line %q: %s", l, message)})
		}
	}
	return problems
}

func checkLine(line string) string {
	if strings.ContainsAny(line, "\n\r\x00") || strings.HasSuffix(strings.TrimRight(line, " \t"), `\`) {
		return "it must be one line"
	}
	fields, ok := tokens(line)
	if !ok {
		return "a quotation mark is not closed"
	}
	if len(fields) == 0 {
		return ""
	}
	at := 3
	switch fields[0] {
	case "local":
	case "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc":
		at = 4
		if len(fields) > 4 && isAddress(fields[3]) && isAddress(fields[4]) {
			at = 5
		}
	default:
		return fmt.Sprintf("%q is no type of connection: allowed are local, host, hostssl, hostnossl, hostgssenc and hostnogssenc", fields[0])
	}
	if at > 3 && len(fields) > 3 && strings.Contains(fields[3], "/") {
		if _, err := netip.ParsePrefix(fields[3]); err != nil {
			return fmt.Sprintf("%q is no range of addresses: expected an address, \"/\" and a number of bits", fields[3])
		}
	}
	if len(fields) <= at {
		return "it has too few fields: expected type, database, user, address, method"
	}
	if method := fields[at]; !slices.Contains(methods(), method) {
		return fmt.Sprintf("method %q is not allowed: allowed are %s", method, strings.Join(methods(), ", "))
	}
	return ""
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// tokens splits a line as the engine does: at blanks outside quotation marks, and up to a "#".
func tokens(line string) (fields []string, ok bool) {
	var field strings.Builder
	quoted, begun := false, false
	end := func() {
		if begun {
			fields = append(fields, field.String())
		}
		field.Reset()
		begun = false
	}
	for _, r := range line {
		switch {
		case r == '"':
			quoted, begun = !quoted, true
		case quoted:
			field.WriteRune(r)
		case r == '#':
			end()
			return fields, true
		case (r == ' ' || r == '\t') && strings.HasSuffix(field.String(), ","):
			// A list goes on after a comma, whatever blanks follow.
		case r == ' ' || r == '\t':
			end()
		default:
			field.WriteRune(r)
			begun = true
		}
	}
	end()
	return fields, !quoted
}

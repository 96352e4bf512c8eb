// SPDX-License-Identifier: Apache-2.0

// Package hba reads pg_hba.conf and says which of its lines governs a connection. It refuses to know how a method
// is carried out. The front must do this itself because the server behind it sees only the front's socket.
package hba

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Methods that the front can carry out.
var methods = []string{"trust", "reject", "scram-sha-256", "md5", "password", "peer"}

// Rule is one line of the file. In JSON it is a row of pg_hba_file_rules.
type Rule struct {
	Line      int          `json:"line_number"`
	Type      string       `json:"type,omitempty"`
	Databases []string     `json:"database,omitempty"`
	Users     []string     `json:"user_name,omitempty"`
	Address   string       `json:"address,omitempty"` // "", "all" or a network
	Network   netip.Prefix `json:"-"`
	Method    string       `json:"auth_method,omitempty"`
	Error     string       `json:"error,omitempty"`
}

// Client is what a rule is compared with.
type Client struct {
	Local       bool
	TLS         bool
	Addr        netip.Addr
	Database    string
	User        string
	Replication bool // physical replication: matches only the keyword "replication"
}

// Parse reads the whole file; one bad line refuses all of it, as PostgreSQL does on reload.
func Parse(text string) ([]Rule, error) {
	rules := Read(text)
	for _, r := range rules {
		if r.Error != "" {
			return nil, fmt.Errorf("line %d: %s", r.Line, r.Error)
		}
	}
	return rules, nil
}

// Read reads the whole file, bad lines included: they say what is wrong with them.
func Read(text string) []Rule {
	var rules []Rule
	for i, line := range strings.Split(text, "\n") {
		fields := tokens(line)
		if len(fields) == 0 {
			continue
		}
		r, err := rule(fields)
		if r.Line = i + 1; err != nil {
			r = Rule{Line: i + 1, Error: err.Error()}
		}
		rules = append(rules, r)
	}
	return rules
}

// Match returns the first rule that covers the client.
func Match(rules []Rule, c Client) (Rule, bool) {
	for _, r := range rules {
		if r.covers(c) {
			return r, true
		}
	}
	return Rule{}, false
}

func (r Rule) covers(c Client) bool {
	switch r.Type {
	case "local":
		if !c.Local {
			return false
		}
	case "hostssl":
		if c.Local || !c.TLS {
			return false
		}
	case "hostnossl", "host":
		if c.Local || (c.TLS && r.Type == "hostnossl") {
			return false
		}
	default: // hostgssenc: GSS is never spoken here
		return false
	}
	if r.Type != "local" && r.Address != "all" && !r.Network.Contains(c.Addr.Unmap()) {
		return false
	}
	return r.database(c) && (slices.Contains(r.Users, "all") || slices.Contains(r.Users, c.User))
}

func (r Rule) database(c Client) bool {
	for _, d := range r.Databases {
		switch {
		case c.Replication:
			if d == "replication" {
				return true
			}
		case d == "all", d == c.Database && d != "replication", d == "sameuser" && c.Database == c.User:
			return true
		}
	}
	return false
}

func rule(f []string) (Rule, error) {
	r := Rule{Type: f[0]}
	if !slices.Contains([]string{"local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"}, r.Type) {
		return r, fmt.Errorf("invalid connection type %q", r.Type)
	}
	if r.Type == "hostnogssenc" {
		r.Type = "host"
	}
	need := 4
	if r.Type != "local" {
		need = 5
	}
	if len(f) < need {
		return r, fmt.Errorf("end-of-line before authentication method")
	}
	r.Databases, r.Users = strings.Split(f[1], ","), strings.Split(f[2], ",")
	for _, name := range append(slices.Clone(r.Databases), r.Users...) {
		if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "@") || name == "samerole" || name == "samegroup" {
			return r, fmt.Errorf("AntDB stand-in does not do %q in pg_hba.conf: name databases and users", name)
		}
	}
	rest := f[3:]
	if r.Type != "local" {
		var err error
		if rest, err = r.address(f[3:]); err != nil {
			return r, err
		}
	}
	if r.Method = rest[0]; !slices.Contains(methods, r.Method) {
		return r, fmt.Errorf("AntDB stand-in does not do authentication method %q, only %s", r.Method, strings.Join(methods, ", "))
	}
	if r.Method == "peer" && r.Type != "local" {
		return r, fmt.Errorf("peer authentication is only supported on local sockets")
	}
	if len(rest) > 1 {
		return r, fmt.Errorf("AntDB stand-in does not do authentication option %q", rest[1])
	}
	return r, nil
}

// address reads the address columns and returns what follows them.
func (r *Rule) address(f []string) ([]string, error) {
	r.Address = f[0]
	if r.Address == "all" {
		return f[1:], nil
	}
	if p, err := netip.ParsePrefix(r.Address); err == nil {
		r.Network = p.Masked()
		return f[1:], nil
	}
	a, err := netip.ParseAddr(r.Address)
	if err != nil {
		return nil, fmt.Errorf("AntDB stand-in does not do address %q in pg_hba.conf: give an IP address with a mask length, or all", r.Address)
	}
	mask, err := netip.ParseAddr(f[1])
	if err != nil || len(f) < 3 {
		return nil, fmt.Errorf("specify a mask for address %q", r.Address)
	}
	bits := 0
	for _, b := range mask.AsSlice() {
		for ; b&0x80 != 0; b <<= 1 {
			bits++
		}
	}
	p, err := a.Prefix(bits)
	r.Network = p
	return f[2:], err
}

// tokens splits a line at blanks, joins lists written with blanks after commas, and drops quotes and the comment.
func tokens(line string) []string {
	var out []string
	var cur strings.Builder
	started, quoted, comma := false, false, false
	flush := func() {
		if !started {
			return
		}
		if comma && len(out) > 0 {
			out[len(out)-1] += cur.String()
		} else {
			out = append(out, cur.String())
		}
		comma = strings.HasSuffix(cur.String(), ",")
		cur.Reset()
		started = false
	}
	for _, c := range line {
		switch {
		case c == '"':
			quoted, started = !quoted, true
		case quoted:
			cur.WriteRune(c)
		case c == '#':
			flush()
			return out
		case c == ' ' || c == '\t' || c == '\r':
			flush()
		default:
			cur.WriteRune(c)
			started = true
		}
	}
	flush()
	return out
}

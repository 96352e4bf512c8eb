// SPDX-License-Identifier: Apache-2.0

package bundle

import "regexp"

// black takes the place of a secret.
const black = "█████"

// secrets are what passwords look like in SQL, in connection strings, in settings and in YAML or JSON. The first group
// is what stays. A quote may be escaped, since SQL stands in JSON lines of logs.
var secrets = []*regexp.Regexp{
	// PASSWORD 'x' of CREATE and ALTER ROLE, with doubled quotes inside; also E'…' and U&'…'.
	regexp.MustCompile(`(?i)(\bpassword\s+(?:e|u&)?)'(?:[^']|'')*'`),
	// PASSWORD $$x$$ and PASSWORD $tag$x$tag$.
	regexp.MustCompile(`(?is)(\bpassword\s+)\$(\w*)\$.*?\$\w*\$`),
	// password=x of connection strings, password = 'x' of settings, PGPASSWORD=x.
	regexp.MustCompile(`(?i)(password["']?\s*[=]\s*)(?:'(?:[^']|'')*'|"[^"]*"|[^\s,;"'\\]+)`),
	// password: x of YAML and "password": "x" of JSON.
	regexp.MustCompile(`(?i)(password"?[ \t]*:[ \t]*)(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s,}{\[]+)`),
	// user:x@ of addresses.
	regexp.MustCompile(`(?i)(postgres(?:ql)?://[^:/@\s]*:)[^@\s]+(@)`),
	// What the engine stores of a password.
	regexp.MustCompile(`()SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=:]+`),
	regexp.MustCompile(`()\bmd5[0-9a-f]{32}\b`),
	// Keys in PEM.
	regexp.MustCompile(`(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----)`),
}

// Redact blacks out what looks like a secret.
func Redact(text string) string {
	for _, s := range secrets {
		with := "${1}" + black
		if s.NumSubexp() > 1 && s.String()[len(s.String())-1] == ')' {
			with += "${2}"
		}
		text = s.ReplaceAllString(text, with)
	}
	return text
}

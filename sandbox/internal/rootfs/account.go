// SPDX-License-Identifier: Apache-2.0

package rootfs

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Account is a user and the group of the same name, with fixed numbers: files on a volume outlive the
// image that wrote them.
type Account struct {
	Name     string
	UID, GID int
	Home     string
}

// ParseAccount reads NAME:UID:GID or NAME:UID:GID:HOME.
func ParseAccount(text string) (Account, error) {
	fields := strings.Split(text, ":")
	if len(fields) == 3 {
		fields = append(fields, "/nonexistent")
	}
	if len(fields) != 4 || !strings.HasPrefix(fields[3], "/") {
		return Account{}, fmt.Errorf("account %q: want NAME:UID:GID or NAME:UID:GID:/HOME", text)
	}
	if !regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`).MatchString(fields[0]) || strings.ContainsAny(fields[3], "'\"\n") {
		return Account{}, fmt.Errorf("account %q: the name may have small letters, digits, - and _", text)
	}
	a := Account{Name: fields[0], Home: fields[3]}
	for i, to := range []*int{&a.UID, &a.GID} {
		n, err := strconv.Atoi(fields[i+1])
		if err != nil || n < 1 || n > 65533 {
			return Account{}, fmt.Errorf("account %q: %q is not a number from 1 to 65533", text, fields[i+1])
		}
		*to = n
	}
	return a, nil
}

func (a Account) passwd() string {
	return fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh", a.Name, a.UID, a.GID, a.Home)
}

func (a Account) group() string { return fmt.Sprintf("%s:x:%d:", a.Name, a.GID) }

// hook is a shell command that does to the root directory $1 what AddAccounts does to texts.
func (a Account) hook() string {
	return fmt.Sprintf(`sed -i -e '/^%[1]s:/d' -e '/^[^:]*:[^:]*:%[2]d:/d' "$1/etc/passwd"; echo '%[4]s' >> "$1/etc/passwd"; `+
		`sed -i -e '/^%[1]s:/d' -e '/^[^:]*:[^:]*:%[3]d:/d' "$1/etc/group"; echo '%[5]s' >> "$1/etc/group"`,
		a.Name, a.UID, a.GID, a.passwd(), a.group())
}

// AddAccounts returns the given /etc/passwd and /etc/group with the accounts in them. What has the same
// name or number is replaced: with two names for a number, programs show the other one.
func AddAccounts(passwd, group string, accounts []Account) (newPasswd, newGroup string) {
	for _, a := range accounts {
		passwd = withLine(passwd, a.Name, a.UID, a.passwd())
		group = withLine(group, a.Name, a.GID, a.group())
	}
	return passwd, group
}

func withLine(text, name string, number int, line string) string {
	var lines strings.Builder
	for l := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(l, "\n"), ":")
		if fields[0] != name && (len(fields) < 3 || fields[2] != strconv.Itoa(number)) {
			lines.WriteString(strings.TrimSuffix(l, "\n") + "\n")
		}
	}
	return lines.String() + line + "\n"
}

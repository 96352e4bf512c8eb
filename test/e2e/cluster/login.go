// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Login is how somebody comes into a database.
type Login struct {
	Host, Port, User, Password, Database string
}

// Application is the target of the application: its Service, its user.
const Application = "app"

// Target is where a statement goes: a node of a cluster as the superuser, or the application's Service as its owner.
type Target struct{ Cluster, Node string }

// ParseTarget reads "cn1", "app", "east/cn1" or "east/app"; without a cluster it is the usual one.
func ParseTarget(s, usual string) (Target, error) {
	name, node, ok := strings.Cut(s, "/")
	if !ok {
		name, node = usual, s
	}
	if name == "" || node == "" || strings.Contains(node, "/") {
		return Target{}, fmt.Errorf("target %q: write NODE, app, CLUSTER/NODE or CLUSTER/app", s)
	}
	return Target{Cluster: name, Node: node}, nil
}

// Login finds the address and the password of a target.
func (n *Namespace) Login(ctx context.Context, t Target) (Login, error) {
	service, secret := t.Cluster+"-"+t.Node, t.Cluster+"-superuser"
	if t.Node == Application {
		service, secret = t.Cluster, t.Cluster+"-app"
	}
	s, err := n.core.CoreV1().Services(n.Name).Get(ctx, service, metav1.GetOptions{})
	if err != nil {
		return Login{}, fmt.Errorf("find the address of %s: %w", service, err)
	}
	password, err := n.core.CoreV1().Secrets(n.Name).Get(ctx, secret, metav1.GetOptions{})
	if err != nil {
		return Login{}, fmt.Errorf("find the password for %s: %w", service, err)
	}
	l := Login{
		Host: s.Spec.ClusterIP, Port: "5432", Database: "postgres",
		User: string(password.Data["username"]), Password: string(password.Data["password"]),
	}
	if name := string(password.Data["dbname"]); name != "" {
		l.Database = name
	}
	return l, nil
}

// Environment are the variables that psql reads. The password is not seen on a command line.
func (l Login) Environment() []string {
	return []string{
		"PGHOST=" + l.Host, "PGPORT=" + l.Port, "PGUSER=" + l.User, "PGPASSWORD=" + l.Password,
		"PGDATABASE=" + l.Database, "PGCONNECT_TIMEOUT=5", "PGPASSFILE=/dev/null", "PSQLRC=/dev/null",
	}
}

// Address is host and port.
func (l Login) Address() string { return net.JoinHostPort(l.Host, l.Port) }

// Connect opens a session. The simple protocol is what every engine of the PostgreSQL family speaks.
func (l Login) Connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig("sslmode=disable connect_timeout=10")
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", l.Address(), err)
	}
	config.Host, config.Port, config.User, config.Password, config.Database = l.Host, 5432, l.User, l.Password, l.Database
	config.Fallbacks = nil
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	return pgx.ConnectConfig(ctx, config)
}

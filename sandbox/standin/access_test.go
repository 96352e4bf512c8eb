// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// from connects with a given source address.
func (c *cluster) from(ctx context.Context, source, node, user, pw string, params map[string]string) error {
	cfg, err := pgx.ParseConfig("postgres://" + user + ":" + pw + "@127.0.0.1:" + strconv.Itoa(c.port[node]) + "/postgres?sslmode=disable")
	if err != nil {
		return err
	}
	for k, v := range params {
		cfg.RuntimeParams[k] = v
	}
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
		return d.DialContext(ctx, network, addr)
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "select 1")
	return err
}

func TestAccessFollowsTheClientsTrueAddress(t *testing.T) {
	c := whole
	t.Cleanup(func() { c.sql(t, "cn1", "drop role app, bare") })
	c.sql(t, "cn1", "create role app login password 'one'", "create role bare login", "alter role app password 'two'")
	for _, try := range []struct{ source, node, user, pw, refusal string }{
		{"127.0.0.1", "cn2", "app", "wrong-but-unasked", ""},
		{"127.0.0.2", "cn2", "app", "two", ""},
		{"127.0.0.2", "gc", "app", "two", ""},
		{"127.0.0.2", "gc", "postgres", password, ""},
		{"127.0.0.2", "cn2", "app", "one", `password authentication failed for user "app"`},
		{"127.0.0.2", "cn2", "bare", "x", `password authentication failed for user "bare"`},
		{"127.0.0.2", "cn2", "nobody", "x", `password authentication failed for user "nobody"`},
		{"127.0.0.1", "cn2", "nobody", "x", `role "nobody" does not exist`},
		{"127.0.0.3", "cn2", "app", "two", `pg_hba.conf rejects connection for host "127.0.0.3", user "app", database "postgres", no encryption`},
		{"127.0.0.4", "cn2", "app", "two", ""},
		{"127.0.0.4", "cn2", "app", "one", `password authentication failed for user "app"`},
		{"127.0.0.5", "cn2", "app", "two", `no pg_hba.conf entry for host "127.0.0.5", user "app", database "postgres", no encryption`},
	} {
		err := c.from(t.Context(), try.source, try.node, try.user, try.pw, nil)
		if (err == nil) != (try.refusal == "") || err != nil && !strings.Contains(err.Error(), try.refusal) {
			t.Errorf("%+v: %v", try, err)
		}
	}
	if err := c.from(t.Context(), "127.0.0.2", "dn1", "postgres", password, map[string]string{"standin.peer": "cn1"}); err == nil ||
		!strings.Contains(err.Error(), "fe_sendauth: no password supplied") {
		t.Errorf("a stranger poses as a node: %v", err)
	}
}

func TestAReloadOfAccessRulesTakesEffectAndABadFileChangesNothing(t *testing.T) {
	c := whole
	path := filepath.Join(c.data("cn2"), "pg_hba.conf")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	reload := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c.sql(t, "cn2", "select pg_reload_conf()")
	}
	t.Cleanup(func() { reload(string(good)) })
	reload("host all all 127.0.0.5/32 trust\n" + string(good))
	if err := c.from(t.Context(), "127.0.0.5", "cn2", "postgres", "", nil); err != nil {
		t.Error(err)
	}
	if got := c.sql(t, "cn2", "select type, address, error from pg_hba_file_rules limit 1"); got != "host|127.0.0.5/32|" {
		t.Errorf("pg_hba_file_rules: %q", got)
	}
	reload("host all all nonsense\n")
	if got := c.sql(t, "cn2", "select line_number, error from pg_hba_file_rules"); !strings.HasPrefix(got, "1|end-of-line before") {
		t.Errorf("pg_hba_file_rules: %q", got)
	}
	if err := c.from(t.Context(), "127.0.0.5", "cn2", "postgres", "", nil); err != nil {
		t.Error(err)
	}
}

func TestAClientCannotPoseAsANodeByItsOptions(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), whole.url("dn1", "&options=-c%20remotetype%3Dcoordinator"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "create table x (a int)"); err == nil || !strings.Contains(err.Error(), "read-only transaction") {
		t.Errorf("local DDL: %v", err)
	}
}

func TestARunningStatementCanBeCanceledOnAllNodes(t *testing.T) {
	c := whole
	c.drop(t, "slow")
	c.sql(t, "cn1", "create table slow (a int)", "insert into slow values (1)")
	locker := c.conn(t, "cn2")
	if _, err := locker.Exec(t.Context(), "begin"); err != nil {
		t.Fatal(err)
	}
	if _, err := locker.Exec(t.Context(), "update slow set a = a where a = 1"); err != nil {
		t.Fatal(err)
	}
	conn := c.conn(t, "cn1")
	result := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "delete from slow where a = 1")
		result <- err
	}()
	time.Sleep(300 * time.Millisecond)
	if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-result:
		if err == nil || !strings.Contains(err.Error(), "57014") {
			t.Errorf("canceled: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the cancel request does not reach the datanode")
	}
	if _, err := locker.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	if got := c.sql(t, "cn1", "delete from slow returning a"); got != "1" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestClientsCanUseTLS(t *testing.T) {
	c := whole
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	crt, pk := filepath.Join(c.dir, "tls.crt"), filepath.Join(c.dir, "tls.key")
	for path, block := range map[string]*pem.Block{crt: {Type: "CERTIFICATE", Bytes: cert}, pk: {Type: "EC PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	connect := func() error {
		conn, err := pgx.Connect(t.Context(), strings.Replace(c.url("cn2", ""), "sslmode=disable", "sslmode=require", 1))
		if err == nil {
			_ = conn.Close(t.Context())
		}
		return err
	}
	if connect() == nil {
		t.Error("TLS without ssl = on")
	}
	if err := os.WriteFile(c.extra("cn2"), []byte("ssl = on\nssl_cert_file = '"+crt+"'\nssl_key_file = '"+pk+"'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = os.Remove(c.extra("cn2"))
		c.sql(t, "cn2", "select pg_reload_conf()")
	})
	c.sql(t, "cn2", "select pg_reload_conf()")
	if err := connect(); err != nil {
		t.Error(err)
	}
}

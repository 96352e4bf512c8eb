// SPDX-License-Identifier: Apache-2.0

// Package probe finds out how a server is, for a person who asks from outside: whether statements come back, what its
// catalogs hold, which datanodes and addresses it reaches, how full its volumes are.
//
// It looks once and changes nothing. What cannot be found out is told as a problem; nothing keeps the rest from being
// told. What it means is for those to say who asked.
package probe

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/antdb-operator/antdb-operator/internal/antdb"
	"github.com/antdb-operator/antdb-operator/internal/dbadmin"
	"github.com/antdb-operator/antdb-operator/internal/instance/pod"
	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// Limits of a probe: of one try, and how many there are at once.
const (
	tryLimit = 5 * time.Second
	atOnce   = 8
)

// Question is whom a probe is about and what is wanted.
type Question struct {
	Server dbadmin.Server
	Paths  pod.Paths
	Node   string
	Role   antdb.Role
	// WALVolume says that the write-ahead log has a volume of its own.
	WALVolume bool
	// WithoutSQL opens no session, Sizes measures databases, Addresses are tried.
	WithoutSQL, Sizes bool
	Addresses         []string
}

// Look answers.
func Look(ctx context.Context, q Question) instanceapi.Probe {
	p := &probe{Question: q, out: instanceapi.Probe{Node: q.Node, Role: q.Role}}
	p.files()
	if q.WithoutSQL {
		p.out.SQL.Left = true
	} else {
		p.out.SQL = try(func() error { return ask(ctx, q.Server) })
	}
	if !q.WithoutSQL && p.out.SQL.Error == "" {
		p.note("", p.sql(ctx))
	}
	if !q.WithoutSQL {
		p.out.Addresses = p.each(q.Addresses, func(address string) error { return reach(ctx, address) })
	}
	return p.out
}

type probe struct {
	Question
	out instanceapi.Probe
}

// note keeps what went wrong.
func (p *probe) note(what string, err error) {
	if err != nil {
		p.out.Problems = append(p.out.Problems, what+err.Error())
	}
}

// try measures how long something takes.
func try(do func() error) instanceapi.Attempt {
	began := time.Now()
	if err := do(); err != nil {
		return instanceapi.Attempt{Error: err.Error()}
	}
	return instanceapi.Attempt{Micros: max(time.Since(began).Microseconds(), 1)}
}

// each tries many at once.
func (p *probe) each(names []string, do func(string) error) map[string]instanceapi.Attempt {
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(atOnce)
	out := map[string]instanceapi.Attempt{}
	for _, name := range names {
		group.Go(func() error {
			a := try(func() error { return do(name) })
			mu.Lock()
			defer mu.Unlock()
			out[name] = a
			return nil
		})
	}
	_ = group.Wait() // what failed is in the attempts
	return out
}

// ask opens a session and runs a statement.
func ask(ctx context.Context, server dbadmin.Server) error {
	ctx, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	db, err := server.Open(ctx, dbadmin.Maintenance, tryLimit)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Ask(ctx)
}

// reach runs a statement over the network.
func reach(ctx context.Context, address string) error {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return fmt.Errorf("address %s: port: %w", address, err)
	}
	err = ask(ctx, dbadmin.At(host, uint16(port)))
	if dbadmin.TurnedAway(err) {
		return nil // a pod that comes to itself through a Service has its host's address: the way is right all the same
	}
	return err
}

// sql finds out what only statements tell.
func (p *probe) sql(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 4*tryLimit)
	defer cancel()
	db, err := p.Server.Open(ctx, dbadmin.Maintenance, tryLimit)
	if err != nil {
		return err
	}
	defer db.Close()
	if position, err := db.Position(ctx); err != nil {
		p.note("", err)
	} else {
		p.out.LSN = position.LSN
	}
	p.out.Prepared, err = db.InDoubt(ctx)
	p.note("", err)
	if p.Sizes && p.Role == antdb.RoleDatanode {
		p.out.Databases, err = db.DatabaseSizes(ctx)
		p.note("", err)
	}
	if p.Role.HoldsCatalog() {
		p.catalogs(ctx, db)
	}
	return nil
}

// catalogs reads the catalogs and tries the way to each datanode that they name.
func (p *probe) catalogs(ctx context.Context, db *dbadmin.Session) {
	open := func(ctx context.Context, database string) (*dbadmin.Session, error) {
		return p.Server.Open(ctx, database, tryLimit)
	}
	var err error
	p.out.SchemaDigest, err = dbadmin.Digest(ctx, db, open)
	p.note("", err)
	p.out.Catalog, err = db.Catalog(ctx)
	p.note("", err)
	var datanodes []string
	for _, n := range p.out.Catalog {
		if n.Type == antdb.TypeDatanode {
			datanodes = append(datanodes, n.Name)
		}
	}
	p.out.Datanodes = p.each(datanodes, func(name string) error {
		ctx, cancel := context.WithTimeout(ctx, tryLimit)
		defer cancel()
		own, err := open(ctx, dbadmin.Maintenance)
		if err != nil {
			return err
		}
		defer own.Close()
		return own.Reach(ctx, name)
	})
}

// files looks at what lies in the pod.
func (p *probe) files() {
	until, err := certificate(filepath.Join(p.Paths.Certificate, "tls.crt"))
	p.note("read certificate: ", err)
	p.out.CertificateUntil = until
	folders := map[string]string{naming.VolumeData: p.Paths.Volume}
	if p.WALVolume {
		folders[naming.VolumeWAL] = p.Paths.WALVolume
	}
	p.out.Volumes = map[string]instanceapi.Volume{}
	for name, folder := range folders {
		var fs unix.Statfs_t
		if err := unix.Statfs(folder, &fs); err != nil {
			p.note("measure volume "+name+": ", err)
			continue
		}
		p.out.Volumes[name] = instanceapi.Volume{Capacity: fs.Bsize * int64(fs.Blocks), Free: fs.Bsize * int64(fs.Bavail)}
	}
	p.out.WALBytes, err = sum(filepath.Join(p.Paths.Data(), "pg_wal"))
	p.note("measure write-ahead log: ", err)
}

func certificate(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return "", errors.New("no certificate in " + file)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", err
	}
	return c.NotAfter.UTC().Format(time.RFC3339), nil
}

// sum of the sizes of the files in a folder. One that does not exist yet is empty; files may go away meanwhile.
func sum(folder string) (int64, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	var all int64
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			all += info.Size()
		}
	}
	return all, err
}

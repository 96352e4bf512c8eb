// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Certificate reads a server's certificate, its key and the authority of its clients from a folder, and reads them
// again when they changed.
type Certificate struct {
	Folder string

	mu     sync.Mutex
	stamp  stamp
	config *tls.Config
}

// stamp tells versions of the three files apart.
type stamp [3]struct {
	size    int64
	changed time.Time
}

func names() [3]string { return [3]string{"tls.crt", "tls.key", "ca.crt"} }

// Server is the TLS configuration of a server. A client that shows a certificate must show a good one; which requests
// need one is decided by request.
func (c *Certificate) Server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return c.current()
		},
		// Never used, since every connection gets a configuration of its own; without it a server does not start.
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return nil, errors.New("no certificate")
		},
	}
}

func (c *Certificate) current() (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, err := c.look()
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	if c.config != nil && now == c.stamp {
		return c.config, nil
	}
	config, err := c.load()
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	c.stamp, c.config = now, config
	return config, nil
}

func (c *Certificate) look() (stamp, error) {
	var s stamp
	for i, name := range names() {
		info, err := os.Stat(filepath.Join(c.Folder, name))
		if err != nil {
			return s, err
		}
		s[i].size, s[i].changed = info.Size(), info.ModTime()
	}
	return s, nil
}

func (c *Certificate) load() (*tls.Config, error) {
	file := names()
	pair, err := tls.LoadX509KeyPair(filepath.Join(c.Folder, file[0]), filepath.Join(c.Folder, file[1]))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(filepath.Join(c.Folder, file[2]))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s holds no certificate", file[2])
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
		Certificates: []tls.Certificate{pair},
		ClientCAs:    pool,
		ClientAuth:   tls.VerifyClientCertIfGiven,
	}, nil
}

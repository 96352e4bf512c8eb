// SPDX-License-Identifier: Apache-2.0

// Package instanceclient calls the API of an instance manager over HTTPS with the operator's certificate.
package instanceclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
)

// maxBody bounds what the client reads of a response.
const maxBody = 4 << 20

// Client calls one instance.
type Client struct {
	http *http.Client
	base string
}

// idle is how long a connection is kept for the next question: while a cluster changes, they follow each other closely.
const idle = 15 * time.Second

// NewTransport makes connections to the instances of one cluster and keeps them for a while. conf holds the operator's
// certificate, the cluster's authority and the server name to expect.
func NewTransport(conf *tls.Config) *http.Transport {
	return &http.Transport{TLSClientConfig: conf, IdleConnTimeout: idle}
}

// NewClient calls the instance at https://ADDRESS (host and port).
func NewClient(address string, via http.RoundTripper) *Client {
	return &Client{base: "https://" + address, http: &http.Client{Transport: via}}
}

// Status asks how the instance is.
func (c *Client) Status(ctx context.Context) (instanceapi.Status, error) {
	var s instanceapi.Status
	return s, c.do(ctx, http.MethodGet, instanceapi.PathStatus, nil, &s)
}

// PutTopology hands out the wanted node catalog and waits until it is applied.
func (c *Client) PutTopology(ctx context.Context, t instanceapi.Topology) (instanceapi.TopologyResult, error) {
	var r instanceapi.TopologyResult
	return r, c.do(ctx, http.MethodPut, instanceapi.PathTopology, t, &r)
}

// PutConfig hands out the configuration and waits until the server took or refused it.
func (c *Client) PutConfig(ctx context.Context, conf instanceapi.Config) (instanceapi.ConfigResult, error) {
	var r instanceapi.ConfigResult
	return r, c.do(ctx, http.MethodPut, instanceapi.PathConfig, conf, &r)
}

// Restart asks for a restart; the instance reports when it is done.
func (c *Client) Restart(ctx context.Context, r instanceapi.Restart) error {
	return c.do(ctx, http.MethodPost, instanceapi.PathRestart, r, nil)
}

// Reload makes the server read its files anew; the instance reports what became of it.
func (c *Client) Reload(ctx context.Context, r instanceapi.Reload) error {
	return c.do(ctx, http.MethodPost, instanceapi.PathReload, r, nil)
}

// Bootstrap asks a coordinator to fill the cluster; the instance reports when it is done.
func (c *Client) Bootstrap(ctx context.Context, b instanceapi.Bootstrap) error {
	return c.do(ctx, http.MethodPost, instanceapi.PathBootstrap, b, nil)
}

// ApplyCredentials makes the database's passwords equal to the mounted Secrets.
func (c *Client) ApplyCredentials(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, instanceapi.PathCredentials, nil, nil)
}

// PutRoles hands out the roles that are wanted and waits until they are made, as far as the server lets them.
func (c *Client) PutRoles(ctx context.Context, w instanceapi.Roles) (instanceapi.RolesStatus, error) {
	var s instanceapi.RolesStatus
	return s, c.do(ctx, http.MethodPut, instanceapi.PathRoles, w, &s)
}

// Reach runs a statement through a coordinator on every datanode.
func (c *Client) Reach(ctx context.Context) (instanceapi.Reach, error) {
	var r instanceapi.Reach
	return r, c.do(ctx, http.MethodGet, instanceapi.PathReach, nil, &r)
}

// Escape asks gc to forget coordinators that it waits for; the instance reports when it is done.
func (c *Client) Escape(ctx context.Context, e instanceapi.Escape) error {
	return c.do(ctx, http.MethodPost, instanceapi.PathEscape, e, nil)
}

// Lock asks gc for the lock that keeps DDL out, or gives it up.
func (c *Client) Lock(ctx context.Context, l instanceapi.Lock) (instanceapi.LockStatus, error) {
	var s instanceapi.LockStatus
	return s, c.do(ctx, http.MethodPut, instanceapi.PathLock, l, &s)
}

// Join asks a node that is added to make its data; the instance reports how far it is.
func (c *Client) Join(ctx context.Context, j instanceapi.Join) error {
	return c.do(ctx, http.MethodPost, instanceapi.PathJoin, j, nil)
}

// Drain asks a coordinator to let its sessions end and to take no new ones.
func (c *Client) Drain(ctx context.Context, d instanceapi.Drain) (instanceapi.DrainStatus, error) {
	var s instanceapi.DrainStatus
	return s, c.do(ctx, http.MethodPut, instanceapi.PathDrain, d, &s)
}

// Move asks gc to move rows between datanodes, or to stop that; the instance reports when it is done.
func (c *Client) Move(ctx context.Context, m instanceapi.Move) error {
	return c.do(ctx, http.MethodPost, instanceapi.PathMove, m, nil)
}

// Empty asks gc which tables still lie on a datanode.
func (c *Client) Empty(ctx context.Context, datanode string) (instanceapi.Emptiness, error) {
	var e instanceapi.Emptiness
	return e, c.do(ctx, http.MethodGet, instanceapi.PathEmpty+url.PathEscape(datanode), nil, &e)
}

// Feed asks a datanode to keep its log for copies of it, or to let it go.
func (c *Client) Feed(ctx context.Context, f instanceapi.Feed) (instanceapi.FeedStatus, error) {
	var s instanceapi.FeedStatus
	return s, c.do(ctx, http.MethodPut, instanceapi.PathFeed, f, &s)
}

// Split asks gc to divide datanodes with copies of them; the instance reports what became of it.
func (c *Client) Split(ctx context.Context, s instanceapi.Split) error {
	return c.do(ctx, http.MethodPost, instanceapi.PathSplit, s, nil)
}

// Clean asks gc to remove rows that lie twice; the instance reports how far it is.
func (c *Client) Clean(ctx context.Context, o instanceapi.Clean) error {
	return c.do(ctx, http.MethodPost, instanceapi.PathClean, o, nil)
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) (err error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %w", method, path, problem(resp.StatusCode, text))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s %s: read answer: %w", method, path, err)
	}
	return nil
}

// problem turns a refusal into an error that keeps the instance's own words.
func problem(code int, text []byte) error {
	var p instanceapi.Problem
	if json.Unmarshal(text, &p) != nil || p.Error == "" {
		p.Error = fmt.Sprintf("status %d", code)
	}
	if code == http.StatusConflict {
		return fmt.Errorf("%w: %s", instanceapi.ErrNotYet, p.Error)
	}
	return errors.New(p.Error)
}

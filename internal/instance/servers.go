// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/antdb-operator/antdb-operator/internal/instance/serve"
	"github.com/antdb-operator/antdb-operator/internal/metrics"
)

// serveAPI serves the instance API until ctx ends.
func (m *Manager) serveAPI(ctx context.Context) error {
	certificate := &serve.Certificate{Folder: m.o.Paths.Certificate}
	s := m.httpServer(m.o.API, serve.Handler(m))
	s.TLSConfig = certificate.Server()
	return serveUntil(ctx, s, func() error { return s.ListenAndServeTLS("", "") })
}

// httpServer bounds how long a client may keep a connection busy.
func (m *Manager) httpServer(address string, h http.Handler) *http.Server {
	return &http.Server{
		Addr:              address,
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      3 * writeLimit,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(m.log.Handler(), slog.LevelDebug),
	}
}

func serveUntil(ctx context.Context, s *http.Server, listen func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := listen(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", s.Addr, err)
	}
	return nil
}

// serveMetrics serves metrics until ctx ends.
func (m *Manager) serveMetrics(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.Handler(metricsSource{m}))
	s := m.httpServer(m.o.Metrics, mux)
	return serveUntil(ctx, s, s.ListenAndServe)
}

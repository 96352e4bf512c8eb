// SPDX-License-Identifier: Apache-2.0

// Package serve is the instance API on the wire: it lets the operator in by certificate and turns requests into calls.
//
// It decodes and encodes; what a request means is up to the one who answers.
package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/antdb-operator/antdb-operator/internal/instanceapi"
	"github.com/antdb-operator/antdb-operator/internal/naming"
)

// Instance answers.
type Instance interface {
	Status(context.Context) instanceapi.Status
	PutTopology(context.Context, instanceapi.Topology) (instanceapi.TopologyResult, error)
	PutConfig(context.Context, instanceapi.Config) (instanceapi.ConfigResult, error)
	Restart(context.Context, instanceapi.Restart) error
	Reload(context.Context, instanceapi.Reload) error
	Bootstrap(context.Context, instanceapi.Bootstrap) error
	ApplyCredentials(context.Context) error
	PutRoles(context.Context, instanceapi.Roles) (instanceapi.RolesStatus, error)
	Reach(context.Context) (instanceapi.Reach, error)
	Escape(context.Context, instanceapi.Escape) error
	Lock(context.Context, instanceapi.Lock) (instanceapi.LockStatus, error)
	Join(context.Context, instanceapi.Join) error
	Drain(context.Context, instanceapi.Drain) (instanceapi.DrainStatus, error)
	Move(context.Context, instanceapi.Move) error
	Empty(ctx context.Context, datanode string) (instanceapi.Emptiness, error)
	Feed(context.Context, instanceapi.Feed) (instanceapi.FeedStatus, error)
	Split(context.Context, instanceapi.Split) error
	Clean(context.Context, instanceapi.Clean) error
}

// Refusal is an error that has its own HTTP status. Every other error is answered with 500.
type Refusal struct {
	Code int
	Err  error
}

func (r *Refusal) Error() string { return r.Err.Error() }

func (r *Refusal) Unwrap() error { return r.Err }

// NotYet refuses what will be possible later.
func NotYet(format string, args ...any) error {
	return &Refusal{http.StatusConflict, fmt.Errorf(format, args...)}
}

// Never refuses what this instance cannot do.
func Never(format string, args ...any) error {
	return &Refusal{http.StatusBadRequest, fmt.Errorf(format, args...)}
}

// maxRequest bounds the body of a request: the longest is a bootstrap with its statements.
const maxRequest = 4 << 20

// Handler serves the API.
func Handler(i Instance) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+instanceapi.PathHealth, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]bool{"alive": true})
	})
	v1 := http.NewServeMux()
	v1.HandleFunc("GET "+instanceapi.PathStatus, get(func(ctx context.Context) (instanceapi.Status, error) {
		return i.Status(ctx), nil
	}))
	v1.HandleFunc("GET "+instanceapi.PathReach, get(i.Reach))
	v1.HandleFunc("PUT "+instanceapi.PathTopology, put(i.PutTopology))
	v1.HandleFunc("PUT "+instanceapi.PathConfig, put(i.PutConfig))
	v1.HandleFunc("PUT "+instanceapi.PathRoles, put(i.PutRoles))
	v1.HandleFunc("POST "+instanceapi.PathRestart, post(http.StatusAccepted, i.Restart))
	v1.HandleFunc("POST "+instanceapi.PathReload, post(http.StatusOK, i.Reload))
	v1.HandleFunc("POST "+instanceapi.PathBootstrap, post(http.StatusAccepted, i.Bootstrap))
	v1.HandleFunc("POST "+instanceapi.PathEscape, post(http.StatusAccepted, i.Escape))
	v1.HandleFunc("PUT "+instanceapi.PathLock, put(i.Lock))
	v1.HandleFunc("POST "+instanceapi.PathJoin, post(http.StatusAccepted, i.Join))
	v1.HandleFunc("PUT "+instanceapi.PathDrain, put(i.Drain))
	v1.HandleFunc("POST "+instanceapi.PathMove, post(http.StatusAccepted, i.Move))
	v1.HandleFunc("PUT "+instanceapi.PathFeed, put(i.Feed))
	v1.HandleFunc("POST "+instanceapi.PathSplit, post(http.StatusAccepted, i.Split))
	v1.HandleFunc("POST "+instanceapi.PathClean, post(http.StatusAccepted, i.Clean))
	v1.HandleFunc("GET "+instanceapi.PathEmpty+"{datanode}", func(w http.ResponseWriter, r *http.Request) {
		get(func(ctx context.Context) (instanceapi.Emptiness, error) { return i.Empty(ctx, r.PathValue("datanode")) })(w, r)
	})
	v1.HandleFunc("POST "+instanceapi.PathCredentials, get(func(ctx context.Context) (struct{}, error) {
		return struct{}{}, i.ApplyCredentials(ctx)
	}))
	v1.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusNotFound, instanceapi.Problem{Error: fmt.Sprintf("%s %s is not served", r.Method, r.URL.Path)})
	})
	mux.Handle("/v1/", operatorOnly(v1))
	return mux
}

// operatorOnly lets the operator in. That the certificate is genuine was checked when the connection was made.
func operatorOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || r.TLS.VerifiedChains[0][0].Subject.CommonName != naming.OperatorCommonName {
			writeJSON(w, http.StatusForbidden, instanceapi.Problem{
				Error: fmt.Sprintf("a client certificate of %q is needed", naming.OperatorCommonName),
			})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func get[Out any](answer func(context.Context) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out, err := answer(r.Context())
		if err != nil {
			refuse(w, err)
			return
		}
		writeJSON(w, http.StatusOK, out)
	}
}

func put[In, Out any](answer func(context.Context, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := decode(w, r, &in); err != nil {
			refuse(w, err)
			return
		}
		out, err := answer(r.Context(), in)
		if err != nil {
			refuse(w, err)
			return
		}
		writeJSON(w, http.StatusOK, out)
	}
}

func post[In any](code int, act func(context.Context, In) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		err := decode(w, r, &in)
		if err == nil {
			err = act(r.Context(), in)
		}
		if err != nil {
			refuse(w, err)
			return
		}
		writeJSON(w, code, struct{}{})
	}
}

func decode(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	if err := d.Decode(into); err != nil {
		return Never("read request: %w", err)
	}
	return nil
}

func refuse(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if r, ok := errors.AsType[*Refusal](err); ok {
		code = r.Code
	}
	writeJSON(w, code, instanceapi.Problem{Error: err.Error()})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // who asked is gone if it cannot be written
}

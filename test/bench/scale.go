// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/antdb-operator/antdb-operator/test/bench/simulated"
	"github.com/antdb-operator/antdb-operator/test/e2e/cluster"
)

// load is what the operator takes for a number of clusters.
type load struct {
	Clusters int
	// Ready is the time until all were Ready, and Busy the processor time that took.
	Ready, Busy time.Duration
	// Resident is the memory at rest, in bytes.
	Resident int64
	// Rest is how long it was watched at rest; RestBusy, Reconciles and Writes are what it did then.
	Rest, RestBusy     time.Duration
	Reconciles, Writes float64
}

// scale runs the operator against a real API server whose pods are simulated.
func scale(ctx context.Context, o options, clusters int, say func(string, ...any)) (l load, err error) {
	l = load{Clusters: clusters, Rest: o.rest}
	env := &envtest.Environment{CRDDirectoryPaths: []string{filepath.Join(o.deploy, "crds")}, ErrorIfCRDPathMissing: true, BinaryAssetsDirectory: o.assets}
	env.ControlPlane.GetAPIServer().Configure().Append("max-requests-inflight", "3000").Append("max-mutating-requests-inflight", "1000").
		Set("service-cluster-ip-range", "10.0.0.0/16") // seven addresses for each cluster
	config, err := env.Start()
	if err != nil {
		return l, fmt.Errorf("start API server: %w", err)
	}
	defer func() { err = errors.Join(err, env.Stop()) }()
	config.QPS, config.Burst = -1, -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return l, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	failed := make(chan error, 1)
	hosts := &simulated.Hosts{Client: client, Failed: func(err error) {
		select {
		case failed <- err:
		default: // the first tells enough
		}
	}}
	ended := make(chan error, 1)
	running, stop := context.WithCancel(ctx)
	go func() { ended <- hosts.Run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	p, err := startOperator(ctx, o, env.KubeConfig)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := l.measure(ctx, config, client, p, failed); err != nil {
		return l, fmt.Errorf("%d clusters: %w", clusters, errors.Join(err, p.complaint()))
	}
	say("%d simulated clusters: Ready after %s, %s of processor; at rest %d MiB", clusters, round(l.Ready), round(l.Busy), l.Resident>>20)
	return l, nil
}

// measure makes the clusters and then looks at the operator at rest.
func (l *load) measure(ctx context.Context, config *rest.Config, client kubernetes.Interface, p *process, failed <-chan error) error {
	before, err := p.busy()
	if err != nil {
		return err
	}
	begin := time.Now()
	for i := range l.Clusters {
		name := fmt.Sprintf("c%03d", i)
		if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			return err
		}
		if err := cluster.Using(config, client, name).Create(ctx, manifest("simulated", "none", false)); err != nil {
			return err
		}
	}
	ready := make(chan error, 1)
	go func() { ready <- cluster.Using(config, client, "").WaitReady(ctx, l.Clusters) }()
	select {
	case err = <-ready:
	case err = <-failed:
	}
	if err != nil {
		return err
	}
	l.Ready = time.Since(begin)
	after, err := p.busy()
	if err != nil {
		return err
	}
	l.Busy = after - before
	return l.rest(ctx, p)
}

// rest watches the operator with nothing to do.
func (l *load) rest(ctx context.Context, p *process) error {
	if err := pause(ctx, 5*time.Second); err != nil { // what creation left to do is not rest
		return err
	}
	before, err := p.metrics(ctx)
	if err != nil {
		return err
	}
	busy, err := p.busy()
	if err != nil {
		return err
	}
	if err := pause(ctx, l.Rest); err != nil {
		return err
	}
	after, err := p.metrics(ctx)
	if err != nil {
		return err
	}
	end, err := p.busy()
	if err != nil {
		return err
	}
	l.RestBusy = end - busy
	l.Reconciles = after[cluster.MetricReconciles] - before[cluster.MetricReconciles]
	l.Writes = after[cluster.MetricWrites] - before[cluster.MetricWrites]
	l.Resident, err = p.resident()
	return err
}

// process is a running operator.
type process struct {
	cmd     *exec.Cmd
	log     *os.File
	address string // of its metrics
}

func startOperator(ctx context.Context, o options, kubeconfig []byte) (*process, error) {
	log, err := os.CreateTemp("", "bench-operator-*.log")
	if err != nil {
		return nil, err
	}
	file := log.Name() + ".kubeconfig"
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &process{log: log, address: l.Addr().String()}
	if err := l.Close(); err != nil {
		return nil, err
	}
	p.cmd = exec.CommandContext(ctx, o.operator, "--leader-elect=false", "--image=none", "--namespace=antdb-system",
		"--metrics-bind-address="+p.address, "--health-probe-bind-address=0")
	p.cmd.Env = append(os.Environ(), "KUBECONFIG="+file)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start operator %s: %w", o.operator, err)
	}
	return p, nil
}

func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	_ = p.cmd.Wait()
	return errors.Join(p.log.Close(), os.Remove(p.log.Name()), os.Remove(p.log.Name()+".kubeconfig"))
}

// complaint is the last error in the operator's log.
func (p *process) complaint() error {
	text, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err
	}
	last := ""
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, `"ERROR"`) {
			last = strings.TrimSpace(line)
		}
	}
	if last == "" {
		return nil
	}
	return errors.New("the operator says: " + last)
}

func (p *process) metrics(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	text, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return cluster.SumMetrics(text)
}

// busy is the processor time that the process has used.
func (p *process) busy() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	return processorTime(string(text))
}

// tick is the unit of /proc/PID/stat on every Linux.
const tick = 10 * time.Millisecond

// processorTime reads user and system time out of /proc/PID/stat, whose second field is a name that may hold blanks.
func processorTime(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("read processor time: %q", stat)
	}
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	system, err := strconv.Atoi(fields[12])
	return time.Duration(user+system) * tick, err
}

// resident is the memory that the process has.
func (p *process) resident() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("read memory: no VmRSS")
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

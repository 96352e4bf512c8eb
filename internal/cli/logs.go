// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/cli/examine"
	"github.com/antdb-operator/antdb-operator/internal/cli/view"
)

// longestLine is the length of a log line that is still read.
const longestLine = 1 << 20

func (a *app) logs() *cobra.Command {
	var following, previous bool
	var tail int64
	var since time.Duration
	var named string
	cmd := &cobra.Command{
		Use:   "logs [NODE…]",
		Short: "Read the logs of nodes, merged by time",
		Long: `Read the logs of instance managers and servers, of all nodes or of the named ones, merged by time.

With -f new lines are shown as they come.`,
		Example: `  kubectl antdb logs
  kubectl antdb logs gc cn1 --since 10m
  kubectl antdb logs dn1 -f --cluster demo`,
		Args: cobra.ArbitraryArgs,
	}
	cmd.Flags().StringVar(&named, "cluster", "", "the cluster, where the namespace has several")
	cmd.Flags().BoolVarP(&following, "follow", "f", false, "show new lines as they come")
	cmd.Flags().BoolVarP(&previous, "previous", "p", false, "of the container that ran before the present one")
	const usual = 100
	cmd.Flags().Int64Var(&tail, "tail", usual, "how many of the last lines of each node; -1 for all")
	cmd.Flags().DurationVar(&since, "since", 0, "only lines that are not older, such as 10m")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		k, c, err := a.reach(cmd.Context(), named)
		if err != nil {
			return err
		}
		if examine.Halted(c) == v1alpha1.ReasonStopped {
			return halted(c)
		}
		options := corev1.PodLogOptions{Follow: following, Previous: previous}
		if tail >= 0 {
			options.TailLines = &tail
		}
		if since > 0 {
			seconds := max(int64(since.Seconds()), 1)
			options.SinceSeconds = &seconds
		}
		if len(args) == 0 {
			for _, n := range c.Status.Nodes {
				args = append(args, n.Name)
			}
		}
		return a.readLogs(cmd.Context(), k, c, args, options)
	}
	return cmd
}

// readLogs prints the logs of nodes: what there is in order of time, or, when it follows them, line by line as they come.
func (a *app) readLogs(ctx context.Context, k *Kube, c *v1alpha1.AntDBCluster, nodes []string, options corev1.PodLogOptions) error {
	var mu sync.Mutex
	var all []view.LogLine
	group, ctx := errgroup.WithContext(ctx)
	for _, node := range nodes {
		pod, err := k.pod(c, node)
		if err != nil {
			return err
		}
		group.Go(func() error {
			stream, err := k.Logs(ctx, pod, options)
			if err != nil {
				return fmt.Errorf("read the log of %s: %w", node, err)
			}
			defer stream.Close() //nolint:errcheck // nothing was written
			err = eachLine(stream, func(text string) {
				line := view.ParseLogLine(node, text)
				mu.Lock()
				defer mu.Unlock()
				if options.Follow {
					a.say("%s\n", line.Text(a.style()))
				} else {
					all = append(all, line)
				}
			})
			if ctx.Err() != nil {
				return nil // nobody reads on
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b view.LogLine) int { return a.Time.Compare(b.Time) })
	for _, line := range all {
		a.say("%s\n", line.Text(a.style()))
	}
	return nil
}

func eachLine(from io.Reader, do func(string)) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		do(lines.Text())
	}
	if err := lines.Err(); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return nil
}

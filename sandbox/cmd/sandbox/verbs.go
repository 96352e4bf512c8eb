// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/antdb-operator/antdb-operator/sandbox/internal/cluster"
	"github.com/antdb-operator/antdb-operator/sandbox/internal/layout"
)

func up(o *options) *cobra.Command {
	var hosts int
	var images []string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the cluster, or repair it; harmless when it is up",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("hosts") && (hosts < 1 || hosts > layout.MaxWorkers) {
				return fmt.Errorf("--hosts %d: there can be 1 to %d", hosts, layout.MaxWorkers)
			}
			s, err := o.sandbox()
			if err != nil {
				return err
			}
			if err := s.Up(cmd.Context(), hosts, images); err != nil {
				return err
			}
			s.Out.Step("up; export KUBECONFIG=%s", s.State.Kubeconfig())
			return nil
		},
	}
	cmd.Flags().IntVar(&hosts, "hosts", 0, "hosts with a kubelet, 1 to 3 (default as many as last time, at first 2)")
	cmd.Flags().StringArrayVar(&images, "image", nil, "image tar to load on every host; may be repeated")
	return cmd
}

func down(o *options) *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Switch everything off and leave nothing in the kernel",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := o.sandbox()
			if err != nil {
				return err
			}
			return s.Down(cmd.Context(), purge)
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "remove the state too: objects, volumes, images")
	return cmd
}

func status(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show hosts, control plane and images; fails unless everything is up",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := o.sandbox()
			if err != nil {
				return err
			}
			return s.Status(cmd.Context(), os.Stdout)
		},
	}
}

func load(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "load IMAGE.tar...",
		Short: "Put images on every host that is on; what a host has already is skipped",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, tars []string) error {
			s, err := o.sandbox()
			if err != nil {
				return err
			}
			return s.Load(cmd.Context(), tars)
		},
	}
}

func host(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "host", Short: "Do to one host (control, node1, node2, node3) what happens to machines"}
	for _, verb := range []struct {
		name, pod, short string
		do               func(ctx context.Context, s cluster.Sandbox, name, pod string) error
	}{
		{"kill", "", "Switch it off, as a power failure does", func(ctx context.Context, s cluster.Sandbox, name, _ string) error {
			return s.Power(ctx, name, false)
		}},
		{"start", "", "Switch it on again", func(ctx context.Context, s cluster.Sandbox, name, _ string) error {
			return s.Power(ctx, name, true)
		}},
		{"cut", " [POD-ADDRESS]", "Cut it, or one of its pods, off the network", func(ctx context.Context, s cluster.Sandbox, name, pod string) error {
			return s.Cut(ctx, name, pod)
		}},
		{"join", "", "Put it and all its pods back on the network", func(ctx context.Context, s cluster.Sandbox, name, _ string) error {
			return s.Join(ctx, name)
		}},
	} {
		args := cobra.ExactArgs(1)
		if verb.pod != "" {
			args = cobra.RangeArgs(1, 2)
		}
		cmd.AddCommand(&cobra.Command{
			Use: verb.name + " NAME" + verb.pod, Short: verb.short, Args: args,
			RunE: func(cmd *cobra.Command, args []string) error {
				s, err := o.sandbox()
				if err != nil {
					return err
				}
				return verb.do(cmd.Context(), s, args[0], strings.Join(args[1:], ""))
			},
		})
	}
	return cmd
}

func kubeconfig(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the path of the administrator's kubeconfig",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := o.sandbox()
			if err != nil {
				return err
			}
			if _, err := os.Stat(s.State.Kubeconfig()); err != nil {
				return fmt.Errorf("no kubeconfig, run sandbox up: %w", err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), s.State.Kubeconfig())
			return err
		},
	}
}

func build(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "build",
		Short: "Make programs and base images that are not cached yet, name them in the state, and start nothing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := o.sandbox()
			if err != nil {
				return err
			}
			if err := s.Prepare(cmd.Context()); err != nil {
				return err
			}
			s.Out.Step("programs in %s", s.State.Bin())
			return nil
		},
	}
}

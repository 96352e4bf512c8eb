// SPDX-License-Identifier: Apache-2.0

package provisioner

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// NewCommand is the program: volume-provisioner --kubeconfig FILE --root DIR.
func NewCommand() *cobra.Command {
	var kubeconfig, root string
	cmd := &cobra.Command{
		Use:          "volume-provisioner",
		Short:        "Makes, grows and removes the sandbox's local volumes",
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
			if err != nil {
				return err
			}
			client, err := kubernetes.NewForConfig(config)
			if err != nil {
				return err
			}
			p, err := New(client, Files{Root: root}, slog.New(slog.NewTextHandler(os.Stderr, nil)))
			if err != nil {
				return err
			}
			return p.Run(ctx)
		},
	}
	cmd.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	cmd.Flags().StringVar(&root, "root", "", "directory of all volumes")
	return cmd
}

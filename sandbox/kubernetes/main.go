// SPDX-License-Identifier: Apache-2.0

// Command kubernetes is every Kubernetes program of the sandbox in one static binary.
//
// It knows which name starts which program. It knows nothing of the sandbox's hosts, addresses
// or files: those arrive as flags.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/sandbox/kubernetes/provisioner"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// programs are the names the binary answers to, as argv[0] or as its first argument.
var programs = []string{
	"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl",
	"volume-provisioner",
}

func main() {
	args := os.Args
	args[0] = filepath.Base(args[0])
	if !slices.Contains(programs, args[0]) {
		args = args[1:]
	}
	if len(args) == 0 || !slices.Contains(programs, args[0]) {
		fmt.Fprintf(os.Stderr, "usage: kubernetes %s [flags]\n", strings.Join(programs, "|"))
		os.Exit(2)
	}
	os.Args = args
	if args[0] == "etcd" {
		etcdmain.Main(args)
		return
	}
	os.Exit(cli.Run(command(args[0])))
}

func command(name string) *cobra.Command {
	switch name {
	case "kube-apiserver":
		return apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		return controllers.NewControllerManagerCommand()
	case "kube-scheduler":
		return scheduler.NewSchedulerCommand()
	case "kubelet":
		return kubelet.NewKubeletCommand(context.Background())
	case "kube-proxy":
		return proxy.NewProxyCommand()
	case "volume-provisioner":
		return provisioner.NewCommand()
	default:
		return cmd.NewDefaultKubectlCommand()
	}
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/exec"
)

// interrupted is how a command ends that waited and was told to stop waiting.
type interrupted struct{ goesOn string }

func (i interrupted) Error() string { return "interrupted; " + i.goesOn }

// exitInterrupted is what shells give a program that SIGINT ended.
const exitInterrupted = 130

// report prints an error with what can be done about it, and returns the exit code.
func report(env *Env, err error) int {
	var stopped interrupted
	var remote exec.ExitError
	switch {
	case errors.As(err, &stopped):
		env.warn("%v\n", err)
		return exitInterrupted
	case errors.As(err, &remote):
		return remote.ExitStatus()
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, errQuiet):
		return 1
	}
	env.warn("error: %v\n", err)
	if next := advice(err); next != "" {
		env.warn("%s\n", next)
	}
	return 1
}

// advice is the next thing to do about an error that Kubernetes gave.
func advice(err error) string {
	switch {
	case meta.IsNoMatchError(err):
		return "The API server knows no AntDB clusters: install the operator, or choose another Kubernetes with --context."
	case apierrors.IsForbidden(err):
		return "Your account lacks a right: the guide of kubectl antdb lists what each command needs."
	case apierrors.IsUnauthorized(err):
		return "The API server does not know you: log in again, or choose another account with --context."
	case clientcmd.IsEmptyConfig(err):
		return "There is no kubeconfig: set KUBECONFIG, or use --kubeconfig."
	}
	return ""
}

// atMost takes up to n arguments and says what they are for.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return fmt.Errorf("%q is one argument too many: usage is %s", args[n], cmd.UseLine())
		}
		return nil
	}
}

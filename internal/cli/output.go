// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// The forms that -o names.
const (
	formJSON = "json"
	formYAML = "yaml"
	formWide = "wide"
)

// form is the flag -o.
type form struct {
	value string
	words []string
}

// formFlag adds -o with the allowed words.
func formFlag(cmd *cobra.Command, words ...string) *form {
	f := &form{words: words}
	cmd.Flags().VarP(f, "output", "o", "print as "+strings.Join(words, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	return f
}

func (f *form) String() string { return f.value }
func (f *form) Type() string   { return "form" }
func (f *form) Set(value string) error {
	if !slices.Contains(f.words, value) {
		return fmt.Errorf("allowed are %s", strings.Join(f.words, ", "))
	}
	f.value = value
	return nil
}

// machine tells whether a program reads the output.
func (f *form) machine() bool { return f.value == formJSON || f.value == formYAML }

func (f *form) print(out io.Writer, value any) error {
	if o, ok := value.(runtime.Object); ok {
		name(o)
	}
	text, err := json.MarshalIndent(value, "", "  ")
	if err == nil && f.value == formYAML {
		text, err = yaml.JSONToYAML(text)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, strings.TrimRight(string(text), "\n"))
	return err
}

// name says what an object is: the client leaves that out of what it reads.
func name(o runtime.Object) {
	version := v1alpha1.GroupVersion
	switch o := o.(type) {
	case *v1alpha1.AntDBCluster:
		o.SetGroupVersionKind(version.WithKind("AntDBCluster"))
	case *v1alpha1.AntDBOperation:
		o.SetGroupVersionKind(version.WithKind("AntDBOperation"))
	case *v1alpha1.AntDBClusterList:
		o.SetGroupVersionKind(version.WithKind("AntDBClusterList"))
		for i := range o.Items {
			name(&o.Items[i])
		}
	case *v1alpha1.AntDBOperationList:
		o.SetGroupVersionKind(version.WithKind("AntDBOperationList"))
		for i := range o.Items {
			name(&o.Items[i])
		}
	}
}

// confirm asks a person, and fails unless the answer is yes.
func (a *app) confirm(yes bool, question string) error {
	return a.agreed(yes, question+" [y/N] ", "y", "yes")
}

// agreed asks a person, and fails unless one of some answers is given.
func (a *app) agreed(yes bool, question string, answers ...string) error {
	if yes {
		return nil
	}
	if !a.Interactive {
		return errors.New("nobody can be asked here: --yes does it without asking")
	}
	a.say("%s", question)
	answer, err := bufio.NewReader(a.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if slices.Contains(answers, strings.ToLower(strings.TrimSpace(answer))) {
		return nil
	}
	return errors.New("not done")
}

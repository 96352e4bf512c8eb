// SPDX-License-Identifier: Apache-2.0

// Package deploy is the installation of the operator as objects: the files of this folder, carried along in programs that
// install it.
//
// It knows the objects and their order. It applies nothing.
package deploy

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

//go:embed crds/*.yaml policy.yaml operator.yaml rbac/*.yaml
var files embed.FS

// Namespace and DevelopmentImage stand in the files; Objects puts others in their place.
const (
	Namespace        = "antdb-system"
	DevelopmentImage = "localhost/antdb-operator:dev"
)

// Objects are the objects of an installation in the order in which they are applied: CRDs, policy, namespace, rights and
// the Deployment last, so that the operator may do what it does when it starts.
func Objects(namespace, image string) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for _, pattern := range []string{"crds/*.yaml", "policy.yaml", "operator.yaml", "rbac/*.yaml"} {
		names, err := fs.Glob(files, pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			text, err := files.ReadFile(name)
			if err != nil {
				return nil, err
			}
			objects, err := parse(text)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", name, err)
			}
			all = append(all, objects...)
		}
	}
	for _, o := range all {
		place(o, namespace)
		if o.GetKind() == "Deployment" {
			o.Object, _ = replaced(o.Object, DevelopmentImage, image).(map[string]any)
		}
	}
	slices.SortStableFunc(all, func(a, b *unstructured.Unstructured) int { return last(a) - last(b) })
	return all, nil
}

func last(o *unstructured.Unstructured) int {
	if o.GetKind() == "Deployment" {
		return 1
	}
	return 0
}

// parse reads the documents of a file.
func parse(text []byte) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), len(text)); ; {
		o := &unstructured.Unstructured{}
		switch err := d.Decode(&o.Object); {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, err
		case len(o.Object) > 0:
			out = append(out, o)
		}
	}
}

// place puts an object into another namespace.
func place(o *unstructured.Unstructured, namespace string) {
	switch {
	case o.GetKind() == "Namespace":
		o.SetName(namespace)
	case o.GetNamespace() == Namespace:
		o.SetNamespace(namespace)
	}
	subjects, _ := o.Object["subjects"].([]any)
	for _, s := range subjects {
		if subject, ok := s.(map[string]any); ok && subject["namespace"] == Namespace {
			subject["namespace"] = namespace
		}
	}
}

// replaced puts one text in the place of another, wherever it stands.
func replaced(value any, old, with string) any {
	switch v := value.(type) {
	case string:
		if v == old {
			return with
		}
	case []any:
		for i := range v {
			v[i] = replaced(v[i], old, with)
		}
	case map[string]any:
		for key := range v {
			v[key] = replaced(v[key], old, with)
		}
	}
	return value
}

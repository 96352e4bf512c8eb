// SPDX-License-Identifier: Apache-2.0

// Package legacy reads how a cluster was described before there was this operator: the file antdb_info.txt of the scripts
// for postgres-operator 4, and the Patroni configuration postgres-ha.yaml. It makes the equal AntDBCluster of them.
//
// Nothing of the files is executed. Nothing is dropped in silence: what has no place any more is told in a note. It is
// pure: it reads no file.
package legacy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
	"github.com/antdb-operator/antdb-operator/internal/spec"
)

// Wish is what the files do not tell.
type Wish struct {
	// Name of the cluster. Image for all roles in place of the images of the file, if it is not empty.
	Name, Image string
	// Sizes of volumes, and their class; the default class without it.
	GTM, Coordinator, Datanode, Class string
}

// imported is a cluster that is being made, with notes.
type imported struct {
	cluster *v1alpha1.AntDBCluster
	notes   []string
}

func (i *imported) note(format string, args ...any) {
	i.notes = append(i.notes, fmt.Sprintf(format, args...))
}

// Import makes a cluster of the text of antdb_info.txt and, if it is not empty, of postgres-ha.yaml.
func Import(info, ha string, w Wish) (*v1alpha1.AntDBCluster, []string, error) {
	settings, err := parseShell(info)
	if err != nil {
		return nil, nil, err
	}
	i := &imported{cluster: &v1alpha1.AntDBCluster{ObjectMeta: metav1.ObjectMeta{Name: w.Name}}}
	i.cluster.Spec.Bootstrap = &v1alpha1.BootstrapSpec{}
	i.volumes(w)
	if err := i.info(settings, w); err != nil {
		return nil, nil, err
	}
	if ha != "" {
		if err := i.patroni(ha); err != nil {
			return nil, nil, err
		}
	} else {
		i.note("postgres-ha.yaml was not given: its parameters and pg_hba lines are not in the cluster; --postgres-ha reads it")
	}
	check := i.cluster.DeepCopy()
	if check.Namespace == "" {
		check.Namespace = metav1.NamespaceDefault
	}
	if wrong := spec.Check(check); len(wrong) > 0 {
		return nil, nil, fmt.Errorf("%s", strings.Join(wrong, "\n"))
	}
	return i.cluster, i.notes, nil
}

// volumes sets sizes, which were those of hand-made volumes before.
func (i *imported) volumes(w Wish) {
	s := &i.cluster.Spec
	for storage, size := range map[*v1alpha1.StorageSpec]string{&s.GTM.Storage: w.GTM, &s.Coordinators.Storage: w.Coordinator, &s.Datanodes.Storage: w.Datanode} {
		storage.Size = size
		if w.Class != "" {
			storage.StorageClassName = &w.Class
		}
	}
	i.note("sizes of volumes: the files name none, since volumes were made by hand with one size for all. They are %s for gc, %s for each coordinator, %s for each datanode: see that the datanodes' is enough",
		w.GTM, w.Coordinator, w.Datanode)
}

// The variables of antdb_info.txt. Their arrays stand in the order of the roles: gtm_coord, coordinator, datanode.
const (
	varNumber    = "num_node"
	varPrefix    = "image_prefix"
	varImage     = "image_name"
	varVersion   = "image_version"
	varNamespace = "namespace"
	roles        = 3
)

// info takes over the variables of antdb_info.txt.
func (i *imported) info(settings []setting, w Wish) error {
	by := map[string]setting{}
	for _, s := range settings {
		if old, twice := by[s.name]; twice {
			i.note("%s is set in line %d and again in line %d: the last one counts, as in a shell", s.name, old.line, s.line)
		}
		by[s.name] = s
	}
	if err := i.counts(by); err != nil {
		return err
	}
	if err := i.images(by, w); err != nil {
		return err
	}
	if s, ok := by[varNamespace]; ok {
		if len(s.values) != 1 || s.values[0] == "" {
			return fmt.Errorf("line %d: %s must be one word", s.line, varNamespace)
		}
		i.cluster.Namespace = s.values[0]
	}
	known := []string{varNumber, varPrefix, varImage, varVersion, varNamespace}
	for _, s := range settings {
		if !slices.Contains(known, s.name) {
			i.note("%s (line %d of antdb_info.txt) has no place here: %s", s.name, s.line, strings.Join(s.values, " "))
		}
	}
	return nil
}

func (i *imported) counts(by map[string]setting) error {
	s, ok := by[varNumber]
	if !ok {
		return fmt.Errorf("%s is missing: it is the number of gtm_coords, coordinators and datanodes, such as %s=(1 2 3)", varNumber, varNumber)
	}
	if len(s.values) != roles {
		return fmt.Errorf("line %d: %s has %d numbers: expected are three, of gtm_coords, coordinators and datanodes", s.line, varNumber, len(s.values))
	}
	var n [roles]int32
	for at, text := range s.values {
		value, err := strconv.ParseInt(text, 10, 16)
		if err != nil || value < 1 {
			return fmt.Errorf("line %d: %s: %q: allowed are numbers from 1", s.line, varNumber, text)
		}
		n[at] = int32(value)
	}
	const most, mostDatanodes = 15, 16
	switch {
	case n[0] != 1:
		return fmt.Errorf("line %d: %s: there is exactly one gtm_coord, not %d", s.line, varNumber, n[0])
	case n[1] > most || n[2] > mostDatanodes:
		return fmt.Errorf("line %d: %s: allowed are up to %d coordinators and %d datanodes", s.line, varNumber, most, mostDatanodes)
	}
	i.cluster.Spec.Coordinators.Count, i.cluster.Spec.Datanodes.Count = n[1], n[2]
	return nil
}

// images makes an image of prefix, name and version for each role. One that all roles share stands once.
func (i *imported) images(by map[string]setting, w Wish) error {
	names, versions := by[varImage], by[varVersion]
	var images []string
	for at := range names.values {
		image := names.values[at]
		if prefix := strings.Join(by[varPrefix].values, ""); prefix != "" {
			image = prefix + "/" + image
		}
		if at < len(versions.values) && versions.values[at] != "" {
			image += ":" + versions.values[at]
		}
		images = append(images, image)
	}
	if w.Image != "" {
		i.cluster.Spec.Image = w.Image
		if len(images) > 0 {
			i.note("the images %s are left out: --image names one for all roles", strings.Join(slices.Compact(images), ", "))
		}
		return nil
	}
	if len(images) != roles || len(versions.values) > 0 && len(versions.values) != roles {
		return fmt.Errorf("%s and %s have %d and %d words: expected are three of each, for gtm_coord, coordinator and datanode; or --image names one for all roles",
			varImage, varVersion, len(names.values), len(versions.values))
	}
	s := &i.cluster.Spec
	s.Image = images[0]
	if images[1] != images[0] {
		s.Coordinators.Image = images[1]
	}
	if images[2] != images[0] {
		s.Datanodes.Image = images[2]
	}
	i.note("images: those of the file were made for Patroni, one for each role. The operator runs the engine of any image that has its programs in PATH, for all roles: --image names it")
	return nil
}

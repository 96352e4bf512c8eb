// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/antdb-operator/antdb-operator/api/v1alpha1"
)

// Request is something that a user asked for once, by an annotation of the cluster: an id, such as the time, and after "/"
// the nodes that are meant.
type Request struct {
	// Annotation and Value are what the user wrote.
	Annotation, Value string
	// ID tells one request from the next.
	ID string
	// Nodes that are meant; all if there are none.
	Nodes []string
	// Holders says that only nodes that hold the node catalog can be meant.
	Holders bool
	// Wrong tells why nothing is done.
	Wrong string
}

// Asks tells whether something is asked of a node. Of a nil Request nothing is.
func (r *Request) Asks(node string) bool {
	return r != nil && r.Wrong == "" && (len(r.Nodes) == 0 || slices.Contains(r.Nodes, node))
}

// requestID keeps ids short, and apart from the nodes.
var requestID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.:+_-]{0,62}$`)

// request reads a request of the user; nil where there is none.
func (c *Cluster) request(of *v1alpha1.AntDBCluster, annotation string) *Request {
	value, given := of.Annotations[annotation]
	if !given {
		return nil
	}
	r := &Request{Annotation: annotation, Value: value, Holders: annotation == v1alpha1.AnnotationTopologySync}
	id, nodes, named := strings.Cut(value, "/")
	r.ID, r.Nodes = id, names(nodes)
	if !requestID.MatchString(id) || named && len(r.Nodes) == 0 {
		r.Wrong = fmt.Sprintf("annotation %s: %q: allowed is an id of at most 63 letters, digits and .:+_- such as the time, and after \"/\" "+
			"names of nodes, for instance 2026-01-02T03:04:05Z/dn1,cn2", annotation, value)
		return r
	}
	for _, name := range r.Nodes {
		switch n, known := c.Node(name); {
		case !known:
			r.Wrong = fmt.Sprintf("annotation %s: %q is not a node of this cluster", annotation, name)
		case r.Holders && !n.Role.HoldsCatalog():
			r.Wrong = fmt.Sprintf("annotation %s: %s is a datanode: only gc and coordinators hold the node catalog", annotation, name)
		}
	}
	return r
}

// SPDX-License-Identifier: Apache-2.0

package redistribute

import "slices"

// group puts together what has to be moved in one transaction: a table and what inherits from it, since the engine
// moves those with it, and tables that are bound by a foreign key. A datanode checks a foreign key among its own rows,
// so a row and the one that it refers to must never be on two of them. A replicated table is whole on each datanode and
// binds nobody.
func group(tables []Table) [][]Table {
	type key struct {
		database string
		id       int64
	}
	at := map[key]int{}
	for i, t := range tables {
		at[key{t.Database, t.ID}] = i
	}
	leader := make([]int, len(tables))
	for i := range leader {
		leader[i] = i
	}
	find := func(i int) int {
		for leader[i] != i {
			i = leader[i]
		}
		return i
	}
	for i, t := range tables {
		for _, id := range t.Parents {
			if j, ok := at[key{t.Database, id}]; ok {
				leader[find(i)] = find(j)
			}
		}
		for _, id := range t.References {
			if j, ok := at[key{t.Database, id}]; ok && tables[j].Locator != replicated {
				leader[find(i)] = find(j)
			}
		}
	}
	groups := make(map[int][]Table)
	for i, t := range tables {
		groups[find(i)] = append(groups[find(i)], t)
	}
	var out [][]Table
	for i := range tables {
		if g, ok := groups[i]; ok {
			out = append(out, g)
		}
	}
	return out
}

// roots are the members that inherit from no other one.
func roots(members []Table) []Table {
	return slices.DeleteFunc(slices.Clone(members), func(t Table) bool {
		return slices.ContainsFunc(members, func(p Table) bool { return slices.Contains(t.Parents, p.ID) })
	})
}

// below is a table and everything that inherits from it.
func below(root Table, members []Table) []Table {
	tree := []Table{root}
	for i := 0; i < len(tree); i++ {
		for _, t := range members {
			if slices.Contains(t.Parents, tree[i].ID) && !slices.ContainsFunc(tree, func(o Table) bool { return o.ID == t.ID }) {
				tree = append(tree, t)
			}
		}
	}
	return tree
}

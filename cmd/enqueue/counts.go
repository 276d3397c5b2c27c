package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// counts writes how many jobs are of which kind, one kind a line.
type counts struct{ w *tabwriter.Writer }

func newCounts(out io.Writer) *counts {
	return &counts{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
}

// always writes a line even if there is none of the kind; then it needs no note.
func (t *counts) always(n int, name, note string) {
	if n == 0 {
		note = ""
	}
	fmt.Fprintf(t.w, "  %s\t%d\t%s\n", name, n, note)
}

// row writes a line if there is one of the kind.
func (t *counts) row(n int, name, note string) {
	if n > 0 {
		t.always(n, name, note)
	}
}

// left writes what a rule has left out, over all projects.
func (t *counts) left(projects []leftOut) {
	all := sum(projects)
	t.row(all.Unstoppable, "unstoppable", "left out: not in a status that can be stopped")
	t.row(all.Protected, "protected", "left out by --protect")
	t.row(all.Excluded, "excluded", "left out by --exclude")
	t.row(all.OverLimit, "over limit", "left out by --limit")
	t.row(all.Ageless, "ageless", "left out: created at an unknown time")
}

func (t *counts) flush() { t.w.Flush() } // standard output keeps the error

func sum(left []leftOut) leftOut {
	var all leftOut
	for _, l := range left {
		all.Unstoppable += l.Unstoppable
		all.Protected += l.Protected
		all.Excluded += l.Excluded
		all.OverLimit += l.OverLimit
		all.Ageless += l.Ageless
	}
	return all
}

package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"vizstop/internal/plain"
)

// maxCell bounds one text of a table, in characters.
const maxCell = 512

// table writes columns for people. Texts come from payloads, answers and other
// people's settings: none of them may forge a column, a line or more.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer) *table {
	return &table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
}

// row writes one line.
func (t *table) row(cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(t.w, "\t")
		}
		fmt.Fprint(t.w, plain.Line(fmt.Sprint(c), maxCell))
	}
	fmt.Fprintln(t.w)
}

func (t *table) flush() error { return t.w.Flush() }

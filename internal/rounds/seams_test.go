package rounds

import (
	"testing"
)

// A job between two pages may have moved unseen.
func TestSeams(t *testing.T) {
	pages := []shown{{2, "20", "29", false}, {1, "2", "11", false}, {3, "100", "120", false}}
	names := []shown{{1, "a", "c", false}, {2, "f", "k", false}}
	unsorted := []shown{{1, "2", "11", false}, {2, "1", "29", false}}
	upsideDown := []shown{{1, "11", "2", false}, {2, "20", "29", false}}
	twice := []shown{{1, "2", "21", false}, {2, "20", "29", false}, {3, "40", "49", false}}
	full := []shown{{1, "2", "11", true}, {2, "20", "29", true}}
	empty := []shown{{1, "2", "11", false}, {2, "", "", false}}
	for name, row := range map[string]struct {
		read   []shown
		hidden string // the job that is looked for
		want   bool
	}{
		"between two pages":            {pages, "15", true},
		"the same, as a number":        {pages, "3", false},
		"at the end of a page":         {pages, "11", false},
		"on no page":                   {pages, "1", false},
		"after all pages":              {pages, "121", false},
		"between others":               {pages, "99", true},
		"names":                        {names, "d", true},
		"names, on a page":             {names, "g", false},
		"seen twice":                   {twice, "20", false},
		"beside those seen twice":      {twice, "30", true},
		"after a full page":            {full, "30", true},
		"not sorted":                   {unsorted, "12", false},
		"sorted the other way":         {upsideDown, "15", false},
		"a page that has become empty": {empty, "15", false},
	} {
		if got := (seams{gaps: findSeams(row.read)}).hide(row.hidden); got != row.want {
			t.Errorf("%s: job %s may have moved unseen: %t, want %t", name, row.hidden, got, row.want)
		}
	}
}

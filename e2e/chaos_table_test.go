package e2e

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// score is what one play of a fault came to.
type score struct {
	asked, ended int
	// Stop calls that went out although the API had accepted one before: those
	// whose acceptance the ledger had, and those that nobody alive knew of.
	repeated, unknown int
	// recovery is the longest that a stop in flight stood still after a fault was
	// over: until its next call reached the API, or it ended. Negative: no fault
	// had a moment to count from.
	recovery time.Duration
	longest  time.Duration // from when a stop was due to its outcome
}

// row is all plays of one fault: sums and maxima.
type row struct {
	fault string
	runs  int
	score
}

func (r *row) add(s score) {
	if r.runs == 0 {
		r.recovery = s.recovery
	}
	r.runs++
	r.asked += s.asked
	r.ended += s.ended
	r.repeated += s.repeated
	r.unknown += s.unknown
	r.recovery = max(r.recovery, s.recovery)
	r.longest = max(r.longest, s.longest)
}

// table is the rows of a run of the tests.
type table struct {
	mu   sync.Mutex
	rows []row
}

var chaosTable table

func (t *table) add(r row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, r)
}

// print writes the table as Markdown, of a full run only: small ones do not
// wait for what a crash costs.
func (t *table) print(w io.Writer) {
	if !*chaosFull || len(t.rows) == 0 {
		return
	}
	lines := [][]string{{"fault", "runs", "asked", "ended", "lost", "repeated", "repeated, unknown", "longest to recover", "longest stop"}}
	slices.SortFunc(t.rows, func(a, b row) int { return strings.Compare(a.fault, b.fault) })
	for _, r := range t.rows {
		recovery := "-"
		if r.recovery >= 0 {
			recovery = seconds(r.recovery)
		}
		lines = append(lines, []string{r.fault, fmt.Sprint(r.runs), fmt.Sprint(r.asked), fmt.Sprint(r.ended), fmt.Sprint(r.asked - r.ended),
			fmt.Sprint(r.repeated), fmt.Sprint(r.unknown), recovery, seconds(r.longest)})
	}
	writeMarkdown(w, lines)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// writeMarkdown writes a table whose first line is its head. All columns but the
// first hold numbers.
func writeMarkdown(w io.Writer, lines [][]string) {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for n, line := range lines {
		for i, cell := range line {
			if i == 0 {
				fmt.Fprintf(w, "| %-*s ", widths[i], cell)
			} else {
				fmt.Fprintf(w, "| %*s ", widths[i], cell)
			}
		}
		fmt.Fprintln(w, "|")
		if n > 0 {
			continue
		}
		fmt.Fprintf(w, "|%s", strings.Repeat("-", widths[0]+2))
		for _, width := range widths[1:] {
			fmt.Fprintf(w, "|%s:", strings.Repeat("-", width+1))
		}
		fmt.Fprintln(w, "|")
	}
}

func TestRowAddsUp(t *testing.T) {
	t.Parallel()
	r := row{fault: "x"}
	r.add(score{asked: 3, ended: 2, repeated: 1, recovery: -1, longest: time.Second})
	r.add(score{asked: 4, ended: 4, unknown: 2, recovery: 5 * time.Second, longest: time.Millisecond})
	want := row{fault: "x", runs: 2, score: score{7, 6, 1, 2, 5 * time.Second, time.Second}}
	if r != want {
		t.Errorf("got %+v, want %+v", r, want)
	}
	var b strings.Builder
	writeMarkdown(&b, [][]string{{"a", "long"}, {"bcd", "1"}})
	if b.String() != "| a   | long |\n|-----|-----:|\n| bcd |    1 |\n" {
		t.Errorf("table:\n%s", &b)
	}
}

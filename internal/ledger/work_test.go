package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"vizstop/internal/ledger"
)

// inFlight goes through the projects that may have work, once.
func (w *world) inFlight(t *testing.T, l *ledger.Ledger) (projects []string, looks int) {
	t.Helper()
	for from := int64(0); ; looks++ {
		some, next, err := l.InFlight(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		projects = append(projects, some...)
		if from = next; from == 0 {
			slices.Sort(projects)
			return projects, looks + 1
		}
	}
}

// Projects with stops in flight are found a few at a time; those without are forgotten, but not while somebody may be
// about to record the first stop.
func TestInFlight(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		if got, looks := w.inFlight(t, w.ledger); len(got) != 0 || looks != 1 {
			t.Errorf("%v in %d looks, want none", got, looks)
		}
		const n = 70
		ask, shadow := w.ask("10"), w.ask("11")
		shadow.Shadow, ask.Deadline, shadow.Deadline = true, w.now().Add(24*time.Hour), w.now().Add(24*time.Hour)
		var want []string
		for i := range n {
			p := fmt.Sprintf("p%02d", i)
			if i%7 != 0 {
				if err := w.ledger.NoteWork(t.Context(), []string{p}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want = append(want, p)
			if _, err := w.ledger.Open(t.Context(), p, "b", []ledger.Ask{ask}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.ledger.Open(t.Context(), p, "s", []ledger.Ask{shadow}); err != nil {
				t.Fatal(err)
			}
		}
		for _, l := range []*ledger.Ledger{w.ledger, w.ledger.Shadow()} {
			if got, _ := w.inFlight(t, l); !slices.Equal(got, want) {
				t.Errorf("projects with work %v, want %v", got, want)
			}
		}
		if got := w.rdb.ZCard(t.Context(), "vizstop:work").Val(); got != n {
			t.Errorf("%d projects may have work, want %d: an ask may be under way", got, n)
		}
		w.advance(10*time.Minute + time.Millisecond)
		for range 2 {
			if got, _ := w.inFlight(t, w.ledger); !slices.Equal(got, want) {
				t.Errorf("projects with work %v, want %v", got, want)
			}
		}
		if got := w.rdb.ZRange(t.Context(), "vizstop:work", 0, -1).Val(); len(got) != len(want) {
			t.Errorf("%d projects may have work, want %d", len(got), len(want))
		}
	})
}

// A stop that was canceled and not counted yet is work, too.
func TestUncountedIsWork(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.opened(t, "b", "10")[0]
		w.withdraw(t, id, "b", ledger.Withdrew)
		if got, _ := w.inFlight(t, w.ledger); len(got) != 1 {
			t.Errorf("projects with work %v, want one", got)
		}
		if _, err := w.ledger.Uncounted(t.Context(), project, 10); err != nil {
			t.Fatal(err)
		}
		if got, _ := w.inFlight(t, w.ledger); len(got) != 0 {
			t.Errorf("projects with work %v, want none", got)
		}
	})
}

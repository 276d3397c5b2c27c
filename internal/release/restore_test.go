package release

import (
	"context"
	"slices"
	"testing"
	"time"
)

// A project that Redis has lost gets a round at once; one that is due late gets it within ten minutes, and one that is
// due sooner or has its round now is left alone.
func TestRestore(t *testing.T) {
	type restorer interface {
		Turns(context.Context, []Settled, Room) (Due, error)
		Restore(context.Context, []string) (int, error)
		Projects(context.Context) ([]string, error)
	}
	for name, of := range map[string]func(*world) restorer{
		"real":   func(w *world) restorer { return w.Releaser },
		"shadow": func(w *world) restorer { return w.Shadow() },
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, Config{}, func(t *testing.T, w *world) {
				r := of(w)
				turns := func(over ...Settled) ([]Turn, time.Duration) {
					t.Helper()
					due, err := r.Turns(t.Context(), over, Room{})
					w.ok(err)
					return due.Turns, due.Next
				}
				restore := func(want int, projects ...string) {
					t.Helper()
					if n, err := r.Restore(t.Context(), projects); n != want || err != nil {
						t.Errorf("%d restored, %v, want %d", n, err, want)
					}
				}
				restore(0)
				turns(Pull("late", time.Hour), Pull("soon", time.Minute), Pull("now", 0))
				restore(1, "late", "soon", "now", "lost")
				restore(0, "late", "soon", "now", "lost")
				given, next := turns()
				if len(given) != 1 || given[0].ProjectID != "lost" || next > turnLife+time.Millisecond {
					t.Errorf("turns %v, next in %v, want that of the lost project alone", given, next)
				}
				known, err := r.Projects(t.Context())
				w.ok(err)
				if slices.Sort(known); !slices.Equal(known, []string{"late", "lost", "now", "soon"}) {
					t.Errorf("projects with work %v", known)
				}
				w.advance(time.Second)
				now, _ := turns(Settled{Turn: given[0], Next: -1})
				for _, turn := range now {
					turns(Settled{Turn: turn, Next: -1})
				}
				if _, next := turns(); next != 59*time.Second {
					t.Errorf("next in %v, want that of \"soon\"", next)
				}
				w.advance(59 * time.Second)
				soon, _ := turns()
				if _, next := turns(Settled{Turn: soon[0], Next: -1}); next != 9*time.Minute {
					t.Errorf("next in %v, want that of \"late\", ten minutes after it was restored", next)
				}
			})
		})
	}
}

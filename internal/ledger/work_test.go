package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

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

// noExists has each EXISTS of the keys of one project fail, as in a Redis Cluster whose node with these is down.
// Without a project it sends no pipeline at all, and marks no command as failed.
type noExists struct{ project string }

var errDown = errors.New("CLUSTERDOWN Hash slot not served")

func (noExists) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (noExists) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (n noExists) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if n.project == "" {
			return errDown
		}
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			if cmd.Name() == "exists" && strings.Contains(fmt.Sprint(cmd.Args()...), "{"+n.project+"}") {
				cmd.SetErr(errDown)
				err = errDown
			}
		}
		return err
	}
}

// A project that can't be looked at keeps nobody from looking at the others. Nobody knows whether it has work, so it is
// looked at again.
func TestInFlightWithoutOneProject(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		const n = 30
		ask := w.ask("10")
		ask.Deadline = w.now().Add(time.Hour)
		var want []string
		for i := range n {
			p := fmt.Sprintf("p%02d", i)
			if _, err := w.ledger.Open(t.Context(), p, "b", []ledger.Ask{ask}); err != nil {
				t.Fatal(err)
			}
			want = append(want, p)
		}
		if err := w.ledger.NoteWork(t.Context(), []string{"idle"}); err != nil {
			t.Fatal(err)
		}
		w.advance(10*time.Minute + time.Millisecond)
		const unread = "p05"
		i := slices.Index(want, unread)
		want = slices.Delete(want, i, i+1)
		w.limited.AddHook(noExists{unread})
		var got []string
		var failed, looks int
		for from := int64(0); looks < 1 || from > 0; looks++ {
			some, next, err := w.ledger.InFlight(t.Context(), from)
			if err != nil {
				failed++
				if !errors.Is(err, errDown) || !strings.Contains(err.Error(), unread) {
					t.Errorf("the error is %v", err)
				}
			}
			if next == from || looks > n {
				t.Fatalf("look %d: %v, next %d, %v: the next one is at the same projects", looks, some, next, err)
			}
			got, from = append(got, some...), next
		}
		if slices.Sort(got); !slices.Equal(got, want) || failed != 1 {
			t.Errorf("projects with work %v, want %v; %d of %d looks failed, want one", got, want, failed, looks)
		}
		if all := w.rdb.ZRange(t.Context(), "vizstop:work", 0, -1).Val(); len(all) != n || !slices.Contains(all, unread) {
			t.Errorf("projects that may have work: %v, want all but the idle one", all)
		}
	})
}

// What was not looked at stays in the register.
func TestInFlightWithoutAnAnswer(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		if err := w.ledger.NoteWork(t.Context(), []string{"p"}); err != nil {
			t.Fatal(err)
		}
		w.advance(10*time.Minute + time.Millisecond)
		w.limited.AddHook(noExists{})
		if got, next, err := w.ledger.InFlight(t.Context(), 0); len(got) != 0 || next != 0 || !errors.Is(err, errDown) {
			t.Errorf("%v, next %d, %v; want only the error", got, next, err)
		}
		if n := w.rdb.ZCard(t.Context(), "vizstop:work").Val(); n != 1 {
			t.Errorf("%d projects may have work, want one", n)
		}
	})
}

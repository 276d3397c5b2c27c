package ledger_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
)

// A project is tied to an endpoint while stops are in flight, and no longer: the worker that has ended the last one
// may be of a version that knows of no endpoints.
func TestAnEndpointThatNobodyHasLetGo(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		const here, there = "https://here.example", "https://there.example"
		ctx := t.Context()
		tie := func() { w.rdb.HSet(ctx, keys.Control(), "endpoint", there) }
		tie()
		if err := w.ledger.CheckEndpoint(ctx, project, here); err != nil {
			t.Error(err)
		}
		if _, err := w.ledger.OpenAt(ctx, project, "named", here, []ledger.Ask{w.ask("1")}); err != nil {
			t.Error(err)
		}
		var elsewhere *ledger.ElsewhereError
		if err := w.ledger.CheckEndpoint(ctx, project, there); !errors.As(err, &elsewhere) || elsewhere.Recorded != here {
			t.Errorf("%v, want the project at %s", err, here)
		}
		if _, err := w.ledger.Withdraw(ctx, project, ledger.StopID("named", project, "1"), "named", "test"); err != nil {
			t.Fatal(err)
		}
		tie()
		w.open(t, "unnamed", w.ask("2"))
		if at := w.rdb.HGet(ctx, keys.Control(), "endpoint").Val(); at != "" {
			t.Errorf("a new stop is tied to %s, which nobody has named for it", at)
		}
	})
}

// Whoever asks once more, as the answer got lost, hears what became of the asks, not that somebody had them recorded before.
func TestAskingOnceMore(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		repeat := &repeater{}
		w.limited.AddHook(repeat)
		w.opened(t, "b1", "1")
		w.opened(t, "b2", "2")
		repeat.on = true
		spoilt := ledger.Ask{Fault: "no job id", Deadline: w.now().Add(time.Hour)}
		want := []ledger.Result{ledger.Known, ledger.Joined, ledger.Opened, ledger.Opened}
		var got []ledger.Result
		for _, o := range w.open(t, "b1", w.ask("1"), w.ask("2"), w.ask("3"), spoilt) {
			got = append(got, o.Result)
		}
		if b := w.batch(t, "b1"); !slices.Equal(got, want) || b.Total != 4 {
			t.Errorf("%v and %d stops, want %v and 4", got, b.Total, want)
		}
	})
}

// A job that stands twice among the asks of one call is one stop, which is confirmed if one of
// them is.
func TestAskingTwiceInOneCall(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		doubtful, sure := w.ask("1"), w.ask("1")
		doubtful.Confirmed, sure.Confirmed = false, true
		openedAt := w.now()
		openings := w.open(t, "b", doubtful, w.ask("2"), sure, w.ask("1"))
		want := []ledger.Result{ledger.Opened, ledger.Opened, ledger.Known, ledger.Known}
		if got := results(openings); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		id := openings[0].StopID
		if openings[2].StopID != id || openings[3].StopID != id {
			t.Errorf("%+v, want one stop for job 1", openings)
		}
		w.stands(t, id, "waiting:stop", openedAt)
		if n := w.rdb.ZCard(t.Context(), keys.Limited()).Val(); n != 0 {
			t.Errorf("%d stops wait in the limits", n)
		}
		if b := w.batch(t, "b"); b.Total != 2 {
			t.Errorf("%d stops, want 2", b.Total)
		}
	})
}

// lost repeats the first script after something else was done, as a client does that has lost its answer.
type lost struct{ do func() }

func (l *lost) DialHook(next redis.DialHook) redis.DialHook { return next }
func (l *lost) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (l *lost) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if do := l.do; do != nil && err == nil && strings.HasPrefix(cmd.Name(), "eval") {
			l.do = nil
			do()
			return next(ctx, cmd)
		}
		return err
	}
}

// A chunk whose answer got lost while another chunk of the batch was recorded is asked for once more, with the same
// answer.
func TestLostAnswerBesideAnotherChunk(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		w.limited.AddHook(&lost{do: func() {
			other := ledger.New(w.rdb, w.now)
			if _, err := other.Open(t.Context(), project, "b", []ledger.Ask{w.ask("2")}); err != nil {
				t.Error(err)
			}
		}})
		if got := results(w.open(t, "b", w.ask("1"))); got[0] != ledger.Opened {
			t.Errorf("job 1: %v, want opened", got)
		}
	})
}

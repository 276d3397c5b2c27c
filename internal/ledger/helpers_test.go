package ledger_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
)

const project = "0123456789abcdef0123456789abcdef"

var keys = ledger.Keys(project)

// clock is a time that only a test moves.
type clock struct{ t time.Time }

func newClock() *clock                   { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }
func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }

// world is a ledger in one Redis, and what releases and claims its steps. Both may
// only do what the access list allows; rdb may do everything.
type world struct {
	*clock
	ledger  *ledger.Ledger
	release *release.Releaser
	limited *redis.Client
	rdb     *redis.Client
}

func newWorld(limited, rdb *redis.Client) *world {
	c := newClock()
	return &world{c, ledger.New(limited, c.now), release.New(limited, "worker-1", c.now, release.Config{}), limited, rdb}
}

// eachRedis runs test on a real redis-server and on the embedded one.
func eachRedis(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("redis-server", func(t *testing.T) {
		t.Parallel()
		s := redistest.Start(t)
		test(t, newWorld(s.Limited(t), s.Client(t)))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		addr := miniredis.RunT(t).Addr()
		limited, rdb := redis.NewClient(&redis.Options{Addr: addr}), redis.NewClient(&redis.Options{Addr: addr})
		t.Cleanup(func() { limited.Close(); rdb.Close() })
		test(t, newWorld(limited, rdb))
	})
}

// ask is a wish for a job that is due now, has an hour and was confirmed.
func (w *world) ask(job string) ledger.Ask {
	return ledger.Ask{JobID: job, Deadline: w.now().Add(time.Hour), Confirmed: true}
}

// open opens stops. A millisecond passes: within it stops that are due stand in the
// order of their asking.
func (w *world) open(t *testing.T, batch string, asks ...ledger.Ask) []ledger.Opening {
	t.Helper()
	openings, err := w.ledger.Open(t.Context(), project, batch, asks)
	if err != nil {
		t.Fatal(err)
	}
	w.advance(time.Millisecond)
	return openings
}

// opened opens stops for jobs, and returns their ids.
func (w *world) opened(t *testing.T, batch string, jobs ...string) []string {
	t.Helper()
	var asks []ledger.Ask
	for _, j := range jobs {
		asks = append(asks, w.ask(j))
	}
	var ids []string
	for _, o := range w.open(t, batch, asks...) {
		ids = append(ids, o.StopID)
	}
	return ids
}

func results(openings []ledger.Opening) []ledger.Result {
	var all []ledger.Result
	for _, o := range openings {
		all = append(all, o.Result)
	}
	return all
}

func (w *world) get(t *testing.T, id string) *ledger.Stop {
	t.Helper()
	s, err := w.ledger.Get(t.Context(), project, id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) batch(t *testing.T, batch string) *ledger.Batch {
	t.Helper()
	b, err := w.ledger.Batch(t.Context(), project, batch)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// round releases all that is due.
func (w *world) round(t *testing.T) release.Round {
	t.Helper()
	r, err := w.release.Round(t.Context(), project, release.Need{
		Room: 1000, Most: 250, Inline: 100, Unlisted: time.Hour, Unwatched: time.Hour, Silence: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// claim releases the stop's step, which is due, and claims it.
func (w *world) claim(t *testing.T, id string) *ledger.Stop {
	t.Helper()
	w.round(t)
	s := w.get(t, id)
	c, err := w.release.NewClaim(project, s.Member(), s.Kind).Do()
	if err != nil || c.Stop == nil {
		t.Fatalf("claim %v: %+v, %v", s.Member(), c, err)
	}
	return c.Stop
}

// accept claims the stop's call, and moves the stop on as accepted, with a look in
// a minute.
func (w *world) accept(t *testing.T, id string) *ledger.Stop {
	t.Helper()
	s := w.claim(t, id)
	s.State, s.Accepted = ledger.Stopping, w.now()
	w.advanced(t, s, w.poll(time.Minute))
	return s
}

func (w *world) poll(after time.Duration) ledger.Step {
	return ledger.Step{Kind: ledger.KindPoll, Due: w.now().Add(after)}
}

// advanced fails the test unless s moves.
func (w *world) advanced(t *testing.T, s *ledger.Stop, to ledger.Step) {
	t.Helper()
	if moved, err := w.ledger.Advance(t.Context(), s, to); !moved || err != nil {
		t.Fatalf("stop of job %s moved: %t, %v", s.JobID, moved, err)
	}
}

// finished fails the test unless s ends.
func (w *world) finished(t *testing.T, s *ledger.Stop, outcome ledger.State) {
	t.Helper()
	if moved, err := w.ledger.Finish(t.Context(), s, outcome, "why", 0); !moved || err != nil {
		t.Fatalf("stop of job %s ended: %t, %v", s.JobID, moved, err)
	}
}

func (w *world) withdraw(t *testing.T, id, batch string, want ledger.Withdrawal) {
	t.Helper()
	if got, err := w.ledger.Withdraw(t.Context(), project, id, batch, "withdrawn by "+batch); got != want || err != nil {
		t.Errorf("withdraw batch %s: %q, %v, want %q", batch, got, err, want)
	}
}

// places lists the sets in which a stop in flight stands, each with the due time.
func (w *world) places(t *testing.T, s *ledger.Stop) map[string]time.Time {
	t.Helper()
	found := make(map[string]time.Time)
	for set, member := range map[string]string{
		keys.Small(): s.Member().String(), keys.Large(): s.Member().String(), keys.Look(): s.Member().String(),
		keys.Released(): s.Member().String(), keys.Watched(): s.JobID, keys.Limited(): s.Member().String(), keys.Held(): s.Member().String(),
	} {
		score, err := w.rdb.ZScore(t.Context(), set, member).Result()
		if err == nil {
			_, name, _ := strings.Cut(set, "}:")
			found[name] = time.UnixMilli(int64(score)).UTC()
		} else if err != redis.Nil {
			t.Fatal(err)
		}
	}
	return found
}

// stands fails the test unless the stop is in that set only, by that time.
func (w *world) stands(t *testing.T, id, set string, at time.Time) {
	t.Helper()
	s := w.get(t, id)
	if got := w.places(t, s); len(got) != 1 || !got[set].Equal(at) {
		t.Errorf("stop of job %s at hop %d stands in %v, want %s at %v", s.JobID, s.Hop, got, set, at)
	}
}

// everything lists all keys of Redis.
func (w *world) everything(t *testing.T) []string {
	t.Helper()
	all, err := w.rdb.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// repeater sends each command twice and returns the second answer, as a client
// does that has lost the first one.
type repeater struct{ on bool }

func (r *repeater) DialHook(next redis.DialHook) redis.DialHook { return next }
func (r *repeater) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (r *repeater) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if r.on {
			if err := next(ctx, cmd); err != nil {
				return err
			}
		}
		return next(ctx, cmd)
	}
}

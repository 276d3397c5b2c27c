package release

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
)

const project = "0123456789abcdef0123456789abcdef"

var keys = ledger.Keys(project)

// world is a releaser and a ledger in one Redis, with a time that only a test
// moves. Both may only do what the access list allows; rdb may do everything.
type world struct {
	*Releaser
	t       *testing.T
	time    time.Time
	ledger  *ledger.Ledger
	limited *redis.Client
	rdb     *redis.Client
	began   observed // the holds that began
}

// observed is what an Observer was told.
type observed struct {
	mu  sync.Mutex
	all []string // reasons, each with its batch behind a colon
}

func (o *observed) HoldBegan(b Began) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, strings.TrimSuffix(string(b.Reason)+":"+b.Batch, ":"))
}

func (w *world) now() time.Time          { return w.time }
func (w *world) advance(d time.Duration) { w.time = w.time.Add(d) }

// worker is another worker's releaser in the same Redis.
func (w *world) worker(id string, cfg Config) *Releaser { return New(w.limited, id, w.now, cfg) }

func newWorld(t *testing.T, cfg Config, limited, rdb *redis.Client) *world {
	w := &world{t: t, time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), limited: limited, rdb: rdb}
	cfg.Observer = &w.began
	w.Releaser, w.ledger = w.worker("worker-1", cfg), ledger.New(limited, w.now)
	return w
}

// onRedis is a world in a real redis-server, for tests with more in it than the
// embedded one can bear.
func onRedis(t *testing.T, cfg Config) *world {
	s := redistest.Start(t)
	return newWorld(t, cfg, s.Limited(t), s.Client(t))
}

// eachRedis runs test on a real redis-server and on the embedded one.
func eachRedis(t *testing.T, cfg Config, test func(t *testing.T, w *world)) {
	t.Run("redis-server", func(t *testing.T) {
		t.Parallel()
		test(t, onRedis(t, cfg))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		addr := miniredis.RunT(t).Addr()
		limited, rdb := redis.NewClient(&redis.Options{Addr: addr}), redis.NewClient(&redis.Options{Addr: addr})
		t.Cleanup(func() { limited.Close(); rdb.Close() })
		test(t, newWorld(t, cfg, limited, rdb))
	})
}

// ok fails the test on an error.
func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// open opens n stops of one batch, due now, for an hour.
func (w *world) open(batch string, n int) []string {
	w.t.Helper()
	var ids []string
	for len(ids) < n {
		var asks []ledger.Ask
		for i := range min(n-len(ids), ledger.OpenChunk) {
			asks = append(asks, ledger.Ask{JobID: batch + "-" + strconv.Itoa(len(ids)+i), Deadline: w.now().Add(time.Hour), Confirmed: true})
		}
		openings, err := w.ledger.Open(w.t.Context(), project, batch, asks)
		w.ok(err)
		for _, o := range openings {
			ids = append(ids, o.StopID)
		}
	}
	w.advance(max(time.Millisecond, time.Duration(n)*time.Microsecond)) // they are due one after the other
	return ids
}

// wide is a need that limits nothing.
func wide() Need {
	return Need{Room: 10000, Most: releasedAtOnce, Inline: 100, Unlisted: time.Hour, Unwatched: time.Hour, Silence: time.Hour}
}

func (w *world) round(need Need) Round {
	w.t.Helper()
	r, err := w.Round(w.t.Context(), project, need)
	w.ok(err)
	return r
}

func (w *world) get(id string) *ledger.Stop {
	w.t.Helper()
	s, err := w.ledger.Get(w.t.Context(), project, id)
	w.ok(err)
	return s
}

// tryClaim claims the stop's present step, for a task of its kind.
func (w *world) tryClaim(id string) Claimed {
	w.t.Helper()
	s := w.get(id)
	c, err := w.NewClaim(project, s.Member(), s.Kind).Do()
	w.ok(err)
	return c
}

// claim releases what is due, and claims the stop's step.
func (w *world) claim(id string) Claimed {
	w.t.Helper()
	w.round(wide())
	c := w.tryClaim(id)
	if c.Stop == nil {
		w.t.Fatalf("claim of stop %s: %+v", id, c)
	}
	return c
}

// follow claims the stop's call, and moves the stop on as accepted.
func (w *world) follow(id string, to ledger.Step) *ledger.Stop {
	w.t.Helper()
	s := w.claim(id).Stop
	s.State, s.Accepted = ledger.Stopping, w.now()
	w.move(s, to)
	return s
}

func (w *world) move(s *ledger.Stop, to ledger.Step) {
	w.t.Helper()
	if moved, err := w.ledger.Advance(w.t.Context(), s, to); !moved || err != nil {
		w.t.Fatalf("stop %s moved: %t, %v", s.ID, moved, err)
	}
}

func (w *world) lookAfter(d time.Duration) ledger.Step {
	return ledger.Step{Kind: ledger.KindPoll, Due: w.now().Add(d)}
}

func (w *world) watch() ledger.Step {
	return ledger.Step{Kind: ledger.KindPoll, Due: w.now(), WatchFrom: 1, Latest: w.now().Add(2 * time.Minute)}
}

// place is the name of the one set in which the stop stands.
func (w *world) place(id string) string {
	w.t.Helper()
	s := w.get(id)
	var found []string
	for name, z := range map[string]*redis.FloatCmd{
		"small": w.rdb.ZScore(w.t.Context(), keys.Small(), s.Member().String()), "large": w.rdb.ZScore(w.t.Context(), keys.Large(), s.Member().String()),
		"look": w.rdb.ZScore(w.t.Context(), keys.Look(), s.Member().String()), "released": w.rdb.ZScore(w.t.Context(), keys.Released(), s.Member().String()),
		"watched": w.rdb.ZScore(w.t.Context(), keys.Watched(), s.JobID), "limited": w.rdb.ZScore(w.t.Context(), keys.Limited(), s.Member().String()),
		"held": w.rdb.ZScore(w.t.Context(), keys.Held(), s.Member().String()),
	} {
		if z.Err() == nil {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("stop %s stands in %v, want one set", id, found)
	}
	return found[0]
}

func answer(kind jobs.Kind) error {
	return &jobs.Error{Operation: "stop", Kind: kind, HTTPStatus: 500, Message: "as the API says"}
}

// call is a call of the stop that was claimed now; each stop is of a job of its own.
func (w *world) call(stopID string) Call {
	return Call{ProjectID: project, Step: ledger.Member{StopID: stopID, Hop: 1, JobID: "of-" + stopID}, At: w.now(), Ill: true}
}

// report tells how a call has ended, and returns whether it is the system's fault.
func (w *world) report(c Call, err error) bool {
	w.t.Helper()
	system, rerr := w.Report(w.t.Context(), c, err)
	w.ok(rerr)
	return system
}

// reasons are the reasons of all holds, in the order of their names.
func (w *world) reasons() []string {
	w.t.Helper()
	holds, err := w.Holds(w.t.Context())
	w.ok(err)
	all := []string{}
	for _, h := range holds {
		all = append(all, string(h.Scope)+" "+string(h.Reason))
	}
	slices.Sort(all)
	return all
}

// holdsAre fails the test unless just these hold something back.
func (w *world) holdsAre(want ...string) {
	w.t.Helper()
	if got := w.reasons(); !slices.Equal(got, want) {
		w.t.Errorf("holds %q, want %q", got, want)
	}
}

// repeater sends each script twice and returns the second answer, as a client does
// that has lost the first one.
type repeater struct{}

func (r *repeater) DialHook(next redis.DialHook) redis.DialHook { return next }
func (r *repeater) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := next(ctx, cmds); err != nil {
			return err
		}
		return next(ctx, cmds)
	}
}
func (r *repeater) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := next(ctx, cmd); err != nil {
			return err
		}
		return next(ctx, cmd)
	}
}

func zAt(member string, at time.Time) redis.Z {
	return redis.Z{Score: float64(at.UnixMilli()), Member: member}
}

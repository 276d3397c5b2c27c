package ledger_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
)

func (w *world) openShadow(t *testing.T, batch string, jobs ...string) []ledger.Opening {
	t.Helper()
	var asks []ledger.Ask
	for _, j := range jobs {
		a := w.ask(j)
		a.Shadow = true
		asks = append(asks, a)
	}
	return w.open(t, batch, asks...)
}

// Shadow stops have indexes of their own: they join each other, and neither joins a
// real stop nor is joined by one. Their ids differ.
func TestShadowJoinsNoRealStop(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		real := w.opened(t, "real", "1", "2")
		shadow := w.openShadow(t, "shadow", "1", "3")
		if got := results(shadow); !slices.Equal(got, []ledger.Result{ledger.Opened, ledger.Opened}) || shadow[0].StopID == real[0] {
			t.Errorf("%v, %v", got, shadow)
		}
		if got := results(w.openShadow(t, "shadow-2", "1", "3")); !slices.Equal(got, []ledger.Result{ledger.Joined, ledger.Joined}) {
			t.Errorf("a second shadow batch: %v", got)
		}
		if got := results(w.open(t, "real-2", w.ask("1"), w.ask("3"))); !slices.Equal(got, []ledger.Result{ledger.Joined, ledger.Opened}) {
			t.Errorf("a real ask beside shadow stops: %v", got)
		}
		s, err := w.ledger.Shadow().Get(t.Context(), project, shadow[0].StopID)
		if err != nil || !s.Shadow || s.Kind != ledger.KindShadow || len(s.Wishes) != 2 {
			t.Errorf("%+v, %v", s, err)
		}
		if s := w.get(t, real[0]); s.Shadow || len(s.Wishes) != 2 {
			t.Errorf("%+v", s)
		}
		if b := w.batch(t, "real-2"); b.Meta.Shadow || b.Total != 2 || b.Joined != 1 {
			t.Errorf("%+v", b)
		}
		if b, err := w.ledger.Shadow().Batch(t.Context(), project, "shadow-2"); err != nil || !b.Meta.Shadow || b.Joined != 2 {
			t.Errorf("%+v, %v", b, err)
		}
	})
}

// No key of shadow stops is one that real stops have: a worker that knows of none
// releases, claims, takes and forgets none.
func TestShadowHasItsOwnKeys(t *testing.T) {
	names := func(k ledger.Keys) []string {
		return []string{k.Stop("s"), k.Active(), k.Last(), k.Small(), k.Large(), k.Look(), k.Released(), k.Watched(), k.Latest(),
			k.In(ledger.Pending), k.In(ledger.Stopping), k.Control(), k.Uncounted()}
	}
	for _, name := range names(ledger.ShadowKeys("p")) {
		if slices.Contains(names(ledger.Keys("p")), name) || !strings.HasPrefix(name, "vizstop:{p}:shadow:") {
			t.Errorf("a shadow stop uses %s", name)
		}
	}
	eachRedis(t, func(t *testing.T, w *world) {
		opened := w.openShadow(t, "shadow", "1", "2")
		w.advance(2 * time.Hour) // their time is up, too
		if r := w.round(t); len(r.Stops)+len(r.Polls)+len(r.Left)+len(r.Late)+len(r.Silent) > 0 {
			t.Errorf("a round of real stops found %+v", r)
		}
		for _, kind := range []ledger.Kind{ledger.KindStop, ledger.KindPoll} {
			step := ledger.Member{StopID: opened[0].StopID, Hop: 1, JobID: "1"}
			if c, err := w.release.NewClaim(project, step, kind).Do(); err != nil || c.Stop != nil {
				t.Errorf("a task of ours claimed a shadow stop: %+v, %v", c, err)
			}
		}
		if taken, err := w.release.Take(t.Context(), project, []ledger.Member{{StopID: opened[0].StopID, Hop: 1, JobID: "1"}}); err != nil || len(taken) > 0 {
			t.Errorf("took %v, %v", taken, err)
		}
		if err := w.ledger.Sweep(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if b, err := w.ledger.Shadow().Batch(t.Context(), project, "shadow"); err != nil || b.InFlight() != 2 {
			t.Errorf("%+v, %v", b, err)
		}
	})
}

// A batch is of one kind, in all projects, and who asks for the other is told so.
func TestBatchIsOfOneKind(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		w.opened(t, "real", "1")
		w.openShadow(t, "shadow", "1")
		shadow := w.ask("2")
		shadow.Shadow = true
		for _, tt := range []struct {
			batch string
			ask   ledger.Ask
			want  string
		}{
			{"real", shadow, "has real stops: ask for shadow stops under another batch id"},
			{"shadow", w.ask("2"), "is a shadow batch, for which nothing is stopped: ask for real stops under another batch id"},
		} {
			for _, p := range []string{project, "another"} {
				_, err := w.ledger.Open(t.Context(), p, tt.batch, []ledger.Ask{tt.ask})
				if _, ok := errors.AsType[*ledger.OtherKindError](err); !ok || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%s in %s: %v", tt.batch, p, err)
				}
				err = w.ledger.Describe(t.Context(), p, tt.batch, ledger.Meta{Shadow: tt.ask.Shadow})
				if _, ok := errors.AsType[*ledger.OtherKindError](err); !ok {
					t.Errorf("describe %s in %s: %v", tt.batch, p, err)
				}
			}
		}
		for batch, ofShadow := range map[string]bool{"real": false, "shadow": true, "none": false} {
			l, err := w.ledger.Of(t.Context(), batch)
			if err != nil || l.OfShadow() != ofShadow {
				t.Errorf("%s: of shadow %t, %v", batch, l.OfShadow(), err)
			}
		}
		// What was refused is asked for as before.
		if got := results(w.open(t, "real", w.ask("1"), w.ask("2"))); !slices.Equal(got, []ledger.Result{ledger.Known, ledger.Opened}) {
			t.Errorf("%v", got)
		}
		if _, err := w.ledger.Open(t.Context(), project, "both", []ledger.Ask{w.ask("3"), shadow}); err == nil || !strings.Contains(err.Error(), "two calls") {
			t.Errorf("both kinds at once: %v", err)
		}
	})
}

// However long calls of a project are held, probes by looks at shadow stops leave a debt of
// no more than two calls: it delays what goes out when the hold is over.
func TestShadowProbesOweLittle(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		var jobs []string
		for i := range 60 {
			jobs = append(jobs, strconv.Itoa(i))
		}
		w.openShadow(t, "shadow", jobs...)
		rel := release.New(w.limited, "worker-1", w.now, release.Config{Rate: 0.1, Burst: 1}).Shadow()
		for i := range jobs {
			if err := w.rdb.HSet(t.Context(), keys.Control(), "hold", "outage", "probe_at", w.now().UnixMilli()).Err(); err != nil {
				t.Fatal(err)
			}
			if r, err := rel.Round(t.Context(), project, 10, time.Minute); err != nil || len(r.Taken) != 1 {
				t.Fatalf("probe %d: %+v, %v", i, r, err)
			}
			w.advance(2 * time.Second)
		}
		if left, err := w.rdb.HGet(t.Context(), keys.Control(), "stops").Float64(); err != nil || left < -2 {
			t.Errorf("%v tokens are left, %v, want a debt of two at most", left, err)
		}
	})
}

// Shadow stops are taken within the rate, wait while calls of the project are held,
// and are claimed once; what comes of them ends them. When all is over, nothing of them
// is left, and what the project's real stops have stays.
func TestShadowLife(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		ctx, l := context.Background(), w.ledger.Shadow()
		w.opened(t, "real", "1")
		opened := w.openShadow(t, "shadow", "1", "2", "3")
		rel := release.New(w.limited, "worker-1", w.now, release.Config{Rate: 1, Burst: 1}).Shadow()
		w.advance(time.Second)
		r, err := rel.Round(ctx, project, 10, time.Minute)
		if err != nil || len(r.Taken) != 0 || r.Next < 0 { // the one token is the real stop's
			t.Fatalf("%+v, %v", r, err)
		}
		rel = release.New(w.limited, "worker-1", w.now, release.Config{}).Shadow()
		if r, err = rel.Round(ctx, project, 2, time.Minute); err != nil || len(r.Taken) != 2 {
			t.Fatalf("%+v, %v", r, err)
		}
		claims, err := rel.Claim(ctx, project, r.Taken)
		if err != nil || len(claims) != 2 || claims[0].Held != "" || !claims[0].Stop.Shadow {
			t.Fatalf("%+v, %v", claims, err)
		}
		if again, err := rel.Claim(ctx, project, r.Taken); err != nil || len(again) > 0 {
			t.Errorf("claimed again: %+v, %v", again, err)
		}
		if ended, err := l.Finish(ctx, claims[0].Stop, ledger.WouldStop, "", 0); err != nil || !ended {
			t.Fatal(ended, err)
		}
		if moved, err := l.Advance(ctx, claims[1].Stop, ledger.Step{Kind: ledger.KindShadow, Due: w.now().Add(10 * time.Second)}); err != nil || !moved {
			t.Fatal(moved, err)
		}
		if answer, err := l.Withdraw(ctx, project, opened[1].StopID, "shadow", "by somebody"); err != nil || answer != ledger.Withdrew {
			t.Errorf("withdrawn: %s, %v", answer, err)
		}
		if _, err := w.release.Pause(ctx, project, "somebody", ""); err != nil {
			t.Fatal(err)
		}
		if r, err = rel.Round(ctx, project, 2, time.Minute); err != nil || len(r.Taken) != 1 || !r.Count {
			t.Fatalf("%+v, %v", r, err)
		}
		if claims, err = rel.Claim(ctx, project, r.Taken); err != nil || len(claims) != 1 || claims[0].Held != release.Paused {
			t.Fatalf("under a pause: %+v, %v", claims, err)
		}
		if ended, err := l.Finish(ctx, claims[0].Stop, ledger.WouldHold, "", 0); err != nil || !ended {
			t.Fatal(ended, err)
		}
		b, err := l.Batch(ctx, project, "shadow")
		if err != nil || b.Counts[ledger.WouldStop] != 1 || b.Counts[ledger.WouldHold] != 1 || b.Counts[ledger.Canceled] != 1 || b.Ended.IsZero() {
			t.Errorf("%+v, %v", b, err)
		}
		if stops, err := l.Uncounted(ctx, project, 10); err != nil || len(stops) != 1 || !stops[0].Shadow {
			t.Errorf("uncounted %v, %v", stops, err)
		}
		w.advance(time.Hour)
		for range 3 {
			if err := l.Sweep(ctx, time.Minute); err != nil {
				t.Fatal(err)
			}
			w.inFlight(t, l)
			w.advance(2 * time.Hour)
		}
		if left := w.rdb.Keys(ctx, "*shadow*").Val(); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		if s := w.get(t, ledger.StopID("real", project, "1")); s.State != ledger.Pending || s.Withdrawn != "" {
			t.Errorf("the real stop: %+v", s)
		}
		if !w.rdb.HExists(ctx, keys.Control(), "paused").Val() {
			t.Error("the pause of the project is forgotten")
		}
	})
}

// Scripts of shadow stops keep to one slot of a Redis Cluster, and do what the access
// list allows.
func TestShadowKeysShareASlot(t *testing.T) {
	s := redistest.Start(t)
	rdb := s.Client(t)
	if a, b := rdb.ClusterKeySlot(t.Context(), ledger.Keys("p").Control()).Val(), rdb.ClusterKeySlot(t.Context(), ledger.ShadowKeys("p").Look()).Val(); a != b {
		t.Errorf("slots %d and %d", a, b)
	}
}

// Shadow stops are held for bad outcomes just where the real ones would be.
func TestShadowBadOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		good, bad int
		held      bool
	}{
		"good ones": {21, 9, false},
		"bad ones":  {20, 9, true},
		"too few":   {10, 9, false},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, func(t *testing.T, w *world) {
				for _, shadow := range []bool{false, true} {
					l, k := w.ledger, ledger.Keys(project)
					good, bad := []ledger.State{ledger.Stopped, ledger.AlreadyStopped}, []ledger.State{ledger.NotFound, ledger.Rejected}
					if shadow {
						l, k = l.Shadow(), ledger.ShadowKeys(project)
						good, bad = []ledger.State{ledger.WouldStop, ledger.WouldAlready}, []ledger.State{ledger.WouldNotFound, ledger.Rejected}
					}
					batch := "b" + strconv.FormatBool(shadow)
					var asks []ledger.Ask
					for i := range c.good + c.bad + 1 { // one is left
						a := w.ask(strconv.Itoa(i))
						a.Shadow, a.Confirmed = shadow, false
						asks = append(asks, a)
					}
					for i, o := range w.open(t, batch, asks...)[:c.good+c.bad] {
						s, err := l.Get(t.Context(), project, o.StopID)
						if err != nil {
							t.Fatal(err)
						}
						outcome := bad[i%2]
						if i < c.good {
							outcome = good[i%2]
						}
						if done, err := l.Finish(t.Context(), s, outcome, "", 0); !done || err != nil {
							t.Fatalf("stop %d ended: %t, %v", i, done, err)
						}
					}
					if words := w.rdb.HGet(t.Context(), k.Limits(), "held:"+batch).Val(); (words != "") != c.held {
						t.Errorf("shadow %t: held by %q, want held: %t", shadow, words, c.held)
					}
				}
			})
		})
	}
}

package release

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
)

// A pause is made and ended once, by name; a second one changes nothing.
func TestPauseAndResume(t *testing.T) {
	for _, id := range []string{project, ""} {
		scope := ScopeProject
		if id == "" {
			scope = ScopeFleet
		}
		t.Run(string(scope), func(t *testing.T) {
			account := map[Scope]string{ScopeProject: DefaultAccount}[scope]
			eachRedis(t, Config{}, func(t *testing.T, w *world) {
				since := w.now()
				for i, by := range []string{"alice", "bob"} {
					if first, err := w.Pause(t.Context(), id, by, "by "+by); err != nil || first != (i == 0) {
						t.Errorf("pause by %s: %t, %v", by, first, err)
					}
					w.advance(time.Minute)
				}
				holds, err := w.Holds(t.Context())
				want := Hold{Reason: Paused, Scope: scope, ProjectID: id, Account: account, Since: since, By: "alice", Detail: "by alice"}
				if err != nil || len(holds) != 1 || holds[0] != want || !holds[0].ByPerson() {
					t.Errorf("holds %+v, %v, want %+v", holds, err, want)
				}
				w.open("b", 1)
				w.turns(w.Releaser, Pull(project, time.Hour))
				for i := range 2 {
					if was, err := w.Resume(t.Context(), id); err != nil || was != (i == 0) {
						t.Errorf("resume: %t, %v", was, err)
					}
				}
				w.holdsAre()
				if turns, _ := w.turns(w.Releaser); len(turns) != 1 {
					t.Errorf("turns %v, want a round at once", turns)
				}
			})
		})
	}
}

// Whoever pauses or resumes once more, as the answer got lost, hears that it was this pause, and who and why is kept.
func TestPauseOnceMore(t *testing.T) {
	for _, id := range []string{project, ""} {
		eachRedis(t, Config{}, func(t *testing.T, w *world) {
			w.limited.AddHook(&repeater{})
			if first, err := w.Pause(t.Context(), id, "alice", "a test"); err != nil || !first {
				t.Errorf("%t, %v", first, err)
			}
			if holds, err := w.Holds(t.Context()); err != nil || len(holds) != 1 || holds[0].By != "alice" || holds[0].Detail != "a test" {
				t.Errorf("holds %+v, %v", holds, err)
			}
			if was, err := w.Resume(t.Context(), id); err != nil || !was {
				t.Errorf("resume: %t, %v", was, err)
			}
		})
	}
}

// A worker learns within a second that the fleet is paused, and has every project
// visited when that ends.
func TestFleetPause(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.turns(w.Releaser, Pull(project, time.Hour))
		pause := func() { _, err := w.worker("", Config{}).Pause(t.Context(), "", "me", ""); w.ok(err) }
		pause()
		w.ok(w.Refresh(t.Context()))
		if got := w.holds(project); got != "stops" {
			t.Errorf("the release script is told %q, want stops", got)
		}
		w.ok(w.rdb.HDel(t.Context(), fleetKey, "paused").Err())
		w.ok(w.Refresh(t.Context()))
		if got := w.holds(project); got != "" {
			t.Errorf("the release script is told %q, want nothing", got)
		}
		if turns, _ := w.turns(w.Releaser); len(turns) != 1 {
			t.Errorf("turns %v, want a round at once", turns)
		}
	})
}

// Everything that holds calls back is listed, in words, and what is over is no more.
func TestHoldsInWords(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		_, err := w.Pause(t.Context(), "", "alice", "night\nwork")
		w.ok(err)
		_, err = w.Pause(t.Context(), project, "bob", "")
		w.ok(err)
		w.ok(w.rdb.Set(t.Context(), queuePausedKey, w.now().Unix(), 0).Err()) // as asynq does
		w.report(w.call("x"), &jobs.Error{Kind: jobs.KindThrottled, RetryAfter: 7 * time.Second})
		for range OutageAfter {
			w.report(w.call("x"), answer(jobs.KindUnavailable))
		}
		w.report(Call{ProjectID: "other", At: w.now()}, answer(jobs.KindThrottled))
		w.holdsAre("fleet paused", "fleet queue_paused", "project outage", "project paused", "project throttled", "project throttled")
		holds, err := w.Holds(t.Context())
		w.ok(err)
		var all []string
		for _, h := range holds {
			all = append(all, h.String())
		}
		text := strings.Join(all, "\n")
		for _, want := range []string{
			"all calls held since 2026-01-02T03:04:05Z: the queue visualization is paused in asynq; to end it: asynq queue unpause visualization, or: redis-cli DEL 'asynq:{visualization}:paused'",
			"all stop calls paused since 2026-01-02T03:04:05Z by alice: night work; to end it: enqueue resume\n",
			"stop calls of project " + project + " paused since 2026-01-02T03:04:05Z by bob; to end it: enqueue resume --project " + project,
			"calls of project " + project + " held until 2026-01-02T03:04:12Z, throttled: the API answered 429",
			"outage: ", "as the API says", "0 probes failed, next at 2026-01-02T03:04:06Z",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("holds\n%s\nmiss %q", text, want)
			}
		}
		w.advance(10 * time.Second)
		w.holdsAre("fleet paused", "fleet queue_paused", "project outage", "project paused")
		if n := w.rdb.SCard(t.Context(), heldKey).Val(); n != 1 {
			t.Errorf("%d projects are looked at for holds, want 1", n)
		}
	})
}

// A queue that was paused by hand, with any value, is paused, and since when is not known.
func TestQueuePausedByHand(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		for _, value := range []any{1, "yes", "9223372036854775807"} {
			w.ok(w.rdb.Set(t.Context(), queuePausedKey, value, 0).Err())
			holds, err := w.Holds(t.Context())
			if err != nil || len(holds) != 1 || holds[0].Reason != QueuePaused || !holds[0].Since.IsZero() || strings.Contains(holds[0].String(), "since") {
				t.Errorf("%v: %v, %v", value, holds, err)
			}
		}
	})
}

// What is called before a pause ends is not called without one, and its error keeps the pause.
func TestResumeAfter(t *testing.T) {
	for _, id := range []string{project, ""} {
		eachRedis(t, Config{}, func(t *testing.T, w *world) {
			called, fails := 0, errors.New("no room")
			begin := func() error { called++; return fails }
			if was, err := w.ResumeAfter(t.Context(), id, begin); was || err != nil || called != 0 {
				t.Errorf("without a pause: %t, %v, called %d times", was, err, called)
			}
			_, err := w.Pause(t.Context(), id, "me", "")
			w.ok(err)
			if _, err := w.ResumeAfter(t.Context(), id, begin); !errors.Is(err, fails) || called != 1 {
				t.Errorf("%v, called %d times", err, called)
			}
			if holds, err := w.Holds(t.Context()); err != nil || len(holds) != 1 {
				t.Errorf("holds %v, %v", holds, err)
			}
			fails = nil
			if was, err := w.ResumeAfter(t.Context(), id, begin); !was || err != nil || called != 2 {
				t.Errorf("%t, %v, called %d times", was, err, called)
			}
			w.holdsAre()
		})
	}
}

// dying is the client of a process that dies right after it has written what the test is about.
type dying struct {
	wrote func(redis.Cmder) bool
	dead  bool
}

func (d *dying) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d *dying) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (d *dying) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if d.dead {
			return errDied
		}
		err := next(ctx, cmd)
		if err == nil && d.wrote(cmd) {
			d.dead, err = true, errDied
			cmd.SetErr(err)
		}
		return err
	}
}

var errDied = errors.New("the process has died")

// Whoever lets stop calls out may die before it can ask for rounds: there is one soon all the same, of projects with
// work.
func TestWhoLetsCallsOutDies(t *testing.T) {
	for name, row := range map[string]struct {
		wrote string // command
		do    func(context.Context, *Releaser) error
	}{
		"resume of a project": {"hdel", func(ctx context.Context, r *Releaser) error { _, err := r.Resume(ctx, project); return err }},
		"resume of all":       {"hdel", func(ctx context.Context, r *Releaser) error { _, err := r.Resume(ctx, ""); return err }},
		"allow":               {"evalsha", func(ctx context.Context, r *Releaser) error { return r.Allow(ctx, project, 1) }},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, Config{}, func(t *testing.T, w *world) {
				for _, id := range []string{project, ""} {
					_, err := w.Pause(t.Context(), id, "me", "")
					w.ok(err)
				}
				w.ok(w.Allow(t.Context(), "warm", 1)) // Redis knows the script after that
				w.rdb.Del(t.Context(), roundsKey)
				w.turns(w.Releaser, Pull(project, time.Hour))
				options := *w.limited.Options()
				client := redis.NewClient(&options)
				defer client.Close()
				client.AddHook(&dying{wrote: func(cmd redis.Cmder) bool { return cmd.Name() == row.wrote }})
				if err := row.do(t.Context(), New(client, "", w.now, Config{})); !errors.Is(err, errDied) {
					t.Fatal(err)
				}
				if turns, next := w.turns(w.Releaser); len(turns) != 0 || next != announcedWork {
					t.Errorf("turns %v, next in %v, want one after %v", turns, next, announcedWork)
				}
			})
		})
	}
}

// A resume makes no project known that has no work.
func TestResumeWithoutWork(t *testing.T) {
	for _, id := range []string{project, ""} {
		eachRedis(t, Config{}, func(t *testing.T, w *world) {
			_, err := w.Pause(t.Context(), id, "me", "")
			w.ok(err)
			if was, err := w.Resume(t.Context(), id); !was || err != nil {
				t.Errorf("%t, %v", was, err)
			}
			if projects, err := w.Projects(t.Context()); err != nil || len(projects) != 0 {
				t.Errorf("projects with work %v, %v, want none", projects, err)
			}
		})
	}
}

// An urgent stop does not wait for a probe that waits for a step of later.
func TestAnUrgentStopIsTheProbe(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		for range OutageAfter {
			w.report(w.call("x"), answer(jobs.KindUnavailable))
		}
		later := w.now().Add(115 * time.Second)
		asks := []ledger.Ask{{JobID: "later", Due: later, Deadline: later.Add(time.Hour), Confirmed: true}}
		_, err := w.ledger.Open(t.Context(), project, "later", asks)
		w.ok(err)
		w.advance(2 * time.Second)
		w.round(asLoop())
		w.open("urgent", 1)
		began := w.now()
		for w.now().Sub(began) < 2*time.Minute {
			r := w.round(asLoop())
			if len(r.Stops) > 0 || r.Probe {
				break
			}
			w.advance(max(r.Next, 5*time.Millisecond))
		}
		if waited := w.now().Sub(began); waited > 10*time.Second {
			t.Errorf("an urgent stop is tried after %v, though the first probe of an outage is due after 1.5s", waited)
		}
	})
}

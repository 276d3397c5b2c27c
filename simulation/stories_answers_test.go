package simulation

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/modelarts/sdkhmac"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/worker"
)

// lie is an answer that does not say what is so.
type lie struct {
	name        string
	reply       modelartstest.Reply
	afterEffect bool
	// What a stop comes to whose every stop call, or every detail call, is answered
	// so, and what its reason must name.
	stop, detail       ledger.State
	stopWhy, detailWhy string
}

// lies that say nothing about other projects.
var lies = []lie{
	{name: "html 502", reply: modelartstest.ReplyHTML(502),
		stop: ledger.Expired, stopWhy: "http 502", detail: ledger.Expired, detailWhy: "http 502"},
	{name: "html 200", reply: modelartstest.ReplyHTML(200),
		stop: ledger.Expired, stopWhy: "not a JSON object", detail: ledger.Expired, detailWhy: "not a JSON object"},
	{name: "empty 503", reply: modelartstest.ReplyEmpty(503),
		stop: ledger.Expired, stopWhy: "http 503", detail: ledger.Expired, detailWhy: "http 503"},
	{name: "empty 200 without effect", reply: modelartstest.ReplyEmpty(200), // accepted, as far as anybody can tell
		stop: ledger.Expired, stopWhy: "still " + said(v1.StatusRunning), detail: ledger.Expired, detailWhy: "not a JSON object"},
	{name: "truncated", reply: modelartstest.ReplyTruncated(), // the stop took effect
		stop: ledger.Stopped, stopWhy: said(v1.StatusKilled), detail: ledger.Expired, detailWhy: "not a JSON object"},
	{name: "cut", reply: modelartstest.ReplyCut(),
		stop: ledger.Stopped, stopWhy: said(v1.StatusKilled), detail: ledger.Expired, detailWhy: "unexpected EOF"},
	{name: "huge", reply: modelartstest.ReplyHuge(1 << 40),
		stop: ledger.Expired, stopWhy: "larger than 4 MiB", detail: ledger.Expired, detailWhy: "larger than 4 MiB"},
	{name: "wrong types", reply: modelartstest.ReplyWrongTypes(),
		stop: ledger.Stopped, stopWhy: said(v1.StatusKilled), detail: ledger.Expired, detailWhy: "the answer holds no "},
	{name: "200 without success", reply: modelartstest.ReplyNotSuccess("ModelArts.0010", "internal error"),
		stop: ledger.Expired, stopWhy: "internal error", detail: ledger.Expired, detailWhy: "internal error"},
	{name: "202", reply: modelartstest.ReplyHTTPStatus(202),
		stop: ledger.Stopped, stopWhy: said(v1.StatusKilled), detail: ledger.Stopped, detailWhy: said(v1.StatusKilled)},
	{name: "drip", reply: modelartstest.ReplyDrip(1, 10*time.Second), // longer than a call may take
		stop: ledger.Stopped, stopWhy: said(v1.StatusKilled), detail: ledger.Expired, detailWhy: "deadline exceeded"},
	{name: "reset before the effect", reply: modelartstest.ReplyReset(),
		stop: ledger.Expired, stopWhy: "EOF", detail: ledger.Expired, detailWhy: "EOF"},
	{name: "reset after the effect", reply: modelartstest.ReplyReset(), afterEffect: true,
		stop: ledger.Stopped, stopWhy: said(v1.StatusKilled), detail: ledger.Expired, detailWhy: "EOF"},
}

// lies that halt the whole fleet: the endpoint serves no such API.
var noAPI = []lie{
	{name: "gateway 404", reply: modelartstest.ReplyError(404, "APIG.0101", "The API does not exist or has not been published in the environment"),
		stop: ledger.Expired, stopWhy: "does not offer the " + apiName,
		detail: ledger.Expired, detailWhy: "does not offer the " + apiName},
	{name: "redirect", reply: modelartstest.ReplyRedirect(302, "https://login.example/"),
		stop: ledger.Expired, stopWhy: "http 302", detail: ledger.Expired, detailWhy: "http 302"},
}

// Every lie, told by the stop call and by the detail call, once, for a while, and
// for ever: the stop ends, in an outcome that is true, with a reason that names
// what was wrong.
func TestAnswersThatLie(t *testing.T) {
	for _, operation := range []string{jobs.OperationStop, jobs.OperationDetail} {
		for _, howLong := range []string{"once", "a while", "for ever"} {
			t.Run(operation+" "+howLong, func(t *testing.T) { tell(t, operation, howLong, lies...) })
			for _, l := range noAPI {
				t.Run(operation+" "+howLong+" "+l.name, func(t *testing.T) { tell(t, operation, howLong, l) })
			}
		}
	}
}

// tell tells each lie in a project of its own.
func tell(t *testing.T, operation, howLong string, all ...lie) {
	const deadline = 6 * time.Minute
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ctx := context.Background()
		for i, l := range all {
			f := modelartstest.Fault{ProjectID: fmt.Sprint("p", i), Operation: operation, Reply: l.reply, AfterEffect: l.afterEffect}
			switch howLong {
			case "once":
				f.Times = 1
			case "a while":
				f.Until = time.Now().Add(90 * time.Second)
			}
			w.sim.Inject(f)
			w.sim.AddJob(f.ProjectID, modelartstest.Job{ID: "10", StopTime: 20 * time.Second})
			ask := []ledger.Ask{{JobID: "10", Deadline: time.Now().Add(deadline)}}
			if _, err := w.producer.Ask(ctx, f.ProjectID, "b", ask); err != nil {
				t.Fatal(err)
			}
		}
		r := w.start(func(c *worker.Config) { rarely(c); c.Concurrency = 2 * len(all) })
		defer r.stop()
		w.await(deadline+2*time.Minute, "the end of every stop", func() bool { return w.idle(len(all)) })
		for i, l := range all {
			projectID := fmt.Sprint("p", i)
			s, err := w.ledger.Get(ctx, projectID, ledger.StopID("b", projectID, "10"))
			if err != nil {
				t.Fatal(err)
			}
			want, why := ledger.Stopped, said(v1.StatusKilled)
			if howLong == "for ever" && operation == jobs.OperationStop {
				want, why = l.stop, l.stopWhy
			} else if howLong == "for ever" {
				want, why = l.detail, l.detailWhy
			}
			if s.State != want || !strings.Contains(s.Reason, why) {
				t.Errorf("%s: %s because %q, want %s because %q", l.name, s.State, s.Reason, want, why)
			}
			if s.State == ledger.Stopped && s.Polls == 0 {
				t.Errorf("%s: stopped without a word of the detail endpoint", l.name)
			}
		}
		counted := 0
		for _, o := range ledger.Outcomes() {
			counted += r.counted(t, o)
		}
		if counted != len(all) {
			t.Errorf("%d outcomes counted, want %d", counted, len(all))
		}
	})
}

// One job's stop calls work, their answers break off, and other calls succeed in
// between: the attempts are used up, but the job has been stopped by us.
func TestLoneLiesAreLookedUp(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		for i := range 60 {
			w.sim.AddJob(project, modelartstest.Job{ID: fmt.Sprint(1000 + i), StopTime: 19 * time.Minute})
			w.ask("others", fmt.Sprint(1000+i))
		}
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 5 * time.Minute})
		lie := w.sim.Inject(modelartstest.Fault{JobID: "10", Operation: jobs.OperationStop, Reply: modelartstest.ReplyTruncated()})
		r := w.start(rarely)
		defer r.stop()
		w.ask("b", "10")
		s := w.awaitEnd(20*time.Minute, "b")["10"]
		wantOutcome(t, s, ledger.Stopped, said(v1.StatusKilled))
		if s.Attempts != 10 || lie.Hits() != 10 {
			t.Errorf("%d attempts used, %d stop calls; want 10", s.Attempts, lie.Hits())
		}
	})
}

// The gateway refuses signatures that are more than fifteen minutes off. The
// worker says what is wrong in words, and goes on when the clock has been set.
func TestClockOffByMoreThanFifteenMinutes(t *testing.T) {
	for _, tt := range []struct {
		skew time.Duration
		want []string // Date has whole seconds, so a second may be missing or too much
	}{
		{16 * time.Minute, []string{"differs from the server's by 16m0s (behind): set the clock", "differs from the server's by 15m59s (behind): set the clock"}},
		{-time.Hour, []string{"differs from the server's by 1h0m0s (ahead): set the clock", "differs from the server's by 1h0m1s (ahead): set the clock"}},
	} {
		t.Run(tt.skew.String(), func(t *testing.T) {
			key := sdkhmac.Key{AccessKey: "AK1", SecretKey: "SK1"}
			cfg := modelartstest.Config{Auth: modelartstest.Auth{AccessKeys: map[string]string{"AK1": "SK1"}},
				Now: func() time.Time { return time.Now().Add(tt.skew) }}
			inBubble(t, cfg, func(w *world) {
				w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
				w.sim.AddJob(project, modelartstest.Job{ID: "11", StopTime: time.Second})
				ours := 0 * time.Second
				clock := modelarts.WithClock(func() time.Time { return time.Now().Add(ours) })
				r := w.start(nil, modelarts.WithCredentials(modelarts.NewAKSK(key, "")), clock)
				w.ask("b", "10", "11")
				time.Sleep(10 * time.Second)
				faults, _ := r.Ready(context.Background())
				if said := strings.Join(faults, "\n"); !strings.Contains(said, tt.want[0]) && !strings.Contains(said, tt.want[1]) {
					t.Errorf("ready: %q, want %q", faults, tt.want)
				}
				r.stop()
				ours = tt.skew // somebody sets the clock, and the worker starts again
				r = w.start(nil, modelarts.WithCredentials(modelarts.NewAKSK(key, "")), clock)
				defer r.stop()
				wantOutcome(t, w.awaitEnd(10*time.Minute, "b")["10"], ledger.Stopped, "")
			})
		})
	}
}

// The API says that there is no such job. One that has been seen is gone once it
// has said so twice, 10 s apart; one that it never showed may be a slip.
func TestNoSuchJob(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		absent := modelartstest.ReplyError(404, "ModelArts.0102", "The job does not exist.")
		for _, id := range []string{"once", "accepted"} {
			w.sim.AddJob(project, modelartstest.Job{ID: id, StopTime: time.Hour})
		}
		w.sim.Inject(modelartstest.Fault{JobID: "once", Times: 1, Reply: absent})
		r := w.start(nil)
		defer r.stop()
		asks := []ledger.Ask{{JobID: "once"}, {JobID: "accepted"}, {JobID: "a-name"}, {JobID: "listed", Listed: true}, {JobID: "urgent"}}
		for i := range asks {
			asks[i].Deadline = time.Now().Add(10 * time.Minute)
		}
		asks[4].Deadline = time.Now().Add(5 * time.Second)
		began := time.Now()
		if _, err := w.producer.Ask(context.Background(), project, "b", asks); err != nil {
			t.Fatal(err)
		}
		w.await(time.Minute, "an accepted stop", func() bool {
			b, err := w.ledger.Batch(context.Background(), project, "b")
			return err == nil && b.Counts[ledger.Stopping] == 2
		})
		w.sim.RemoveJob(project, "accepted")
		w.sim.SetStatus(project, "once", v1.StatusKilled)
		stops := w.awaitEnd(15*time.Minute, "b")
		wantOutcome(t, stops["once"], ledger.Stopped, said(v1.StatusKilled))
		wantOutcome(t, stops["accepted"], ledger.Gone, noSuchJob)
		wantOutcome(t, stops["a-name"], ledger.NotFound, "check the project, the region and the id")
		wantOutcome(t, stops["listed"], ledger.Gone, noSuchJob)
		wantOutcome(t, stops["urgent"], ledger.Expired, noSuchJob) // there was no time to ask twice
		for _, id := range []string{"a-name", "listed"} {
			if s := stops[id]; s.Ended.Sub(began) < 10*time.Second || s.Calls != 1 || s.Polls != 1 || s.Attempts != 0 {
				t.Errorf("job %s ended after %v, %d stop calls, %d looks, %d attempts; want at least 10s, 1, 1, 0", id, s.Ended.Sub(began), s.Calls, s.Polls, s.Attempts)
			}
		}
	})
}

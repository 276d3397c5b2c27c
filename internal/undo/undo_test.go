package undo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
	"vizstop/internal/undo/undotest"
)

const project = "0123456789abcdef0123456789abcdef"

// opened has batches want a job stopped. It returns the stop.
func opened(t *testing.T, l *ledger.Ledger, job string, batches ...string) *ledger.Stop {
	t.Helper()
	for _, b := range batches {
		ask := []ledger.Ask{{JobID: job, Deadline: time.Now().Add(time.Hour)}}
		if _, err := l.Open(t.Context(), project, b, ask); err != nil {
			t.Fatal(err)
		}
	}
	s, err := l.Get(t.Context(), project, ledger.StopID(batches[0], project, job))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stopped has batches want a job stopped, and stops it.
func stopped(t *testing.T, l *ledger.Ledger, job string, batches ...string) *ledger.Stop {
	t.Helper()
	return end(t, l, opened(t, l, job, batches...))
}

// end has a stop end as stopped.
func end(t *testing.T, l *ledger.Ledger, s *ledger.Stop) *ledger.Stop {
	t.Helper()
	s.Accepted, s.Status = time.Now(), undotest.Killed.String()
	if ended, err := l.Finish(t.Context(), s, ledger.Stopped, "", time.Second); !ended || err != nil {
		t.Fatal(ended, err)
	}
	s, err := l.Get(t.Context(), project, s.ID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// restartAll undoes a batch, and returns what became of its jobs.
func restartAll(t *testing.T, u *Undo, stops []*ledger.Stop, wait time.Duration) Report {
	t.Helper()
	if err := u.RestartAll(t.Context(), stops, wait); err != nil {
		t.Fatal(err)
	}
	return u.Report
}

// beforeScript calls do once, before the first script of a client.
type beforeScript struct {
	sync.Once
	do func()
}

func (b *beforeScript) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b *beforeScript) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" {
			b.Do(b.do)
		}
		return next(ctx, cmd)
	}
}

func (b *beforeScript) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// own is why a job is left that its own batch has restarted before.
const own = "an undo of this batch has restarted it before"

// Each of two batches that want the same job stopped is undone while the other is: one of them restarts it, and the
// other says so from then on.
func TestTwoUndosAtOnce(t *testing.T) {
	t.Parallel()
	s, api := redistest.Start(t), undotest.New()
	l := ledger.New(s.Limited(t), time.Now)
	stops := []*ledger.Stop{stopped(t, l, "1", "one", "two")}
	rdb := s.Limited(t)
	rdb.AddHook(&beforeScript{do: func() { // between the look of the undo of "one" and its note
		if r := restartAll(t, New(l, api, "two"), stops, 0); r.Wanted != 1 {
			t.Errorf("two: %+v", r)
		}
	}})
	one := New(ledger.New(rdb, time.Now), api, "one")
	if r := restartAll(t, one, stops, 0); r.Restarted != 1 || api.Restarted["1"] != 1 {
		t.Errorf("one: %+v, restarted %v", r, api.Restarted)
	}
	if r := restartAll(t, New(l, api, "two"), stops, 0); r.Running != 1 {
		t.Errorf("two again: %+v", r)
	}
	api.Restarted["1"] = 0 // somebody stops it by hand
	for batch, want := range map[string]string{"one": own, "two": "an undo of batch one has restarted it before"} {
		r := restartAll(t, New(l, api, batch), stops, 0)
		if r.Left != 1 || r.Jobs[0].Reason != want+"; now it is 12 (killed)" {
			t.Errorf("%s, after it was stopped by hand: %+v", batch, r)
		}
	}
}

// canceledLate has batches want a job stopped that are all canceled after its call: none wants it any more.
func canceledLate(t *testing.T, l *ledger.Ledger, job string, batches ...string) *ledger.Stop {
	t.Helper()
	return end(t, l, withdrawnLate(t, l, opened(t, l, job, batches...), batches...))
}

// withdrawnLate has the call of s go out, and batches be canceled then.
func withdrawnLate(t *testing.T, l *ledger.Ledger, s *ledger.Stop, batches ...string) *ledger.Stop {
	t.Helper()
	s.State, s.Accepted = ledger.Stopping, time.Now()
	if ok, err := l.Advance(t.Context(), s, ledger.Step{Kind: ledger.KindPoll, Due: time.Now()}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, b := range batches {
		if got, err := l.Withdraw(t.Context(), project, s.ID, b, "a mistake"); got != ledger.TooLate || err != nil {
			t.Fatal(got, err)
		}
	}
	s, err := l.Get(t.Context(), project, s.ID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// refuses is an API that refuses each restart.
type refuses struct{ *undotest.API }

func (refuses) Restart(context.Context, string, string) (string, error) {
	return "", &jobs.Error{Kind: jobs.KindInvalid, Message: "not today"}
}

// Two batches that were canceled too late are undone at once. Neither wants the job stopped, so neither leaves it to
// the other: the first one that notes it restarts it, and the other one finds it running.
func TestTwoUndosOfCanceledBatchesAtOnce(t *testing.T) {
	t.Parallel()
	s, fake := redistest.Start(t), undotest.New()
	l := ledger.New(s.Limited(t), time.Now)
	// What the undo that comes second would make of its own call is all the same.
	for job, api := range map[string]API{"1": fake, "2": refuses{fake}} {
		stops := []*ledger.Stop{canceledLate(t, l, job, "one", "two")}
		rdb := s.Limited(t)
		rdb.AddHook(&beforeScript{do: func() { // between the look of the undo of "two" and its note
			if r := restartAll(t, New(l, fake, "one"), stops, 0); r.Restarted != 1 {
				t.Errorf("job %s, one: %+v", job, r)
			}
		}})
		r := restartAll(t, New(ledger.New(rdb, time.Now), api, "two"), stops, 0)
		if r.Running != 1 || fake.Restarted[job] != 1 {
			t.Errorf("job %s, two: %+v, restarted %d times", job, r, fake.Restarted[job])
		}
		const theirs = "an undo of batch one has restarted it before"
		fake.Restarted[job] = 0 // somebody stops it by hand
		for batch, want := range map[string]string{"one": own, "two": theirs} {
			r := restartAll(t, New(l, fake, batch), stops, 0)
			if r.Left != 1 || r.Jobs[0].Reason != want+"; now it is 12 (killed)" {
				t.Errorf("job %s, %s, after it was stopped by hand: %+v", job, batch, r)
			}
		}
	}
	for batch, want := range map[string]int{"one": 2, "two": 0} {
		if b, err := l.Batch(t.Context(), project, batch); err != nil || b.Undone != want {
			t.Errorf("batch %s counts %d restarted, %v; want %d", batch, b.Undone, err, want)
		}
	}
}

// A batch that had left a job to others could restart it by now, fails, and wants it stopped again. An undo of another
// batch that has looked before leaves it to that one.
func TestWantedAgainSinceTheLook(t *testing.T) {
	t.Parallel()
	s, api := redistest.Start(t), undotest.New()
	l := ledger.New(s.Limited(t), time.Now)
	st := end(t, l, withdrawnLate(t, l, opened(t, l, "1", "one", "two", "three"), "two"))
	if wanted, err := l.Renounce(t.Context(), st, "one"); !wanted || err != nil {
		t.Fatal(wanted, err)
	}
	if err := s.Client(t).HDel(t.Context(), ledger.Keys(project).Stop(st.ID), "wish:three").Err(); err != nil { // forgotten
		t.Fatal(err)
	}
	stops, rdb := []*ledger.Stop{st}, s.Limited(t)
	rdb.AddHook(&beforeScript{do: func() { // between the look of the undo of "two" and its note
		if r := restartAll(t, New(l, refuses{api}, "one"), stops, 0); r.Failed != 1 {
			t.Errorf("one: %+v", r)
		}
	}})
	r := restartAll(t, New(ledger.New(rdb, time.Now), api, "two"), stops, 0)
	if r.Wanted != 1 || r.Jobs[0].Reason != "batch one wants it stopped, too" || api.Restarted["1"] != 0 {
		t.Errorf("two: %+v, restarted %d times", r, api.Restarted["1"])
	}
	if says := r.Unfinished(); len(says) != 1 || !strings.Contains(says[0], "(one)") {
		t.Errorf("says %q", says)
	}
	if r := restartAll(t, New(l, api, "one"), stops, 0); r.Restarted != 1 || api.Restarted["1"] != 1 {
		t.Errorf("one: %+v, restarted %d times", r, api.Restarted["1"])
	}
}

// While the restart of one undo is under way, and fails, one of another batch that could restart the job as well does
// not say that all is done. Then it can be made again.
func TestAnotherUndoIsAboutTo(t *testing.T) {
	t.Parallel()
	l, api := ledger.New(redistest.Start(t).Limited(t), time.Now), undotest.New()
	stops := []*ledger.Stop{canceledLate(t, l, "1", "one", "two")}
	var two Report
	refused := before{api, func() { two = restartAll(t, New(l, api, "two"), stops, 0) }, &jobs.Error{Message: "not today"}}
	if r := restartAll(t, New(l, refused, "one"), stops, 0); r.Failed != 1 {
		t.Errorf("one: %+v", r)
	}
	const reason = "an undo of batch one is restarting it, was killed while it did, or got no answer: look at the job; now it is 12 (killed)"
	if two.Failed != 1 || two.Jobs[0].Reason != reason || api.Restarted["1"] != 0 {
		t.Errorf("two: %+v, restarted %d times", two, api.Restarted["1"])
	}
	if r := restartAll(t, New(l, api, "two"), stops, 0); r.Restarted != 1 || api.Restarted["1"] != 1 {
		t.Errorf("two again: %+v", r)
	}
}

// An undo was killed, and it is not known whether its restart call went out. No other one makes the call again, and each
// says so until the job runs.
func TestAfterAKilledUndo(t *testing.T) {
	t.Parallel()
	l, api := ledger.New(redistest.Start(t).Limited(t), time.Now), undotest.New()
	s := stopped(t, l, "1", "one")
	if noted, err := l.Undo(t.Context(), s, "one", "killed"); !noted || err != nil {
		t.Fatal(noted, err)
	}
	s, err := l.Get(t.Context(), project, s.ID)
	if err != nil {
		t.Fatal(err)
	}
	stops := []*ledger.Stop{s}
	u := New(l, api, "one")
	if err := u.Pretend(t.Context(), stops); err != nil || u.Failed != 1 || u.Restarted != 0 {
		t.Errorf("pretends %+v, %v", u.Report, err)
	}
	r := restartAll(t, u, stops, 0)
	const reason = "an undo of this batch is restarting it, was killed while it did, or got no answer: look at the job; now it is 12 (killed)"
	if r.Failed != 1 || r.Jobs[0].Reason != reason || api.Restarted["1"] != 0 {
		t.Errorf("did %+v, restarted %d times", r, api.Restarted["1"])
	}
	const says = "1 jobs of batch one are being restarted by another undo, " +
		"or it was killed while it did or got no answer: look at them"
	if got := r.Unfinished(); !slices.Equal(got, []string{says}) {
		t.Errorf("says %q", got)
	}
	api.Restarted["1"] = 1 // it was made, or somebody has started the job by hand
	if r := restartAll(t, New(l, api, "one"), stops, 0); r.Running != 1 || len(r.Unfinished()) != 0 {
		t.Errorf("as it runs: %+v", r)
	}
}

// The same without a hook: each job is restarted once.
func TestUndosRace(t *testing.T) {
	t.Parallel()
	l, api := ledger.New(redistest.Start(t).Limited(t), time.Now), undotest.New()
	const n = 100
	var stops []*ledger.Stop
	for i := range n {
		open := stopped
		if i%2 == 1 {
			open = canceledLate
		}
		stops = append(stops, open(t, l, fmt.Sprint(i), "one", "two"))
	}
	var both sync.WaitGroup
	for _, batch := range []string{"one", "two"} {
		both.Go(func() {
			if err := New(l, api, batch).RestartAll(t.Context(), stops, 0); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	for i := range n {
		if got := api.Restarted[fmt.Sprint(i)]; got != 1 {
			t.Errorf("job %d was restarted %d times", i, got)
		}
	}
}

// askedAndHad has another batch ask for a job, and a worker find it stopped: that batch is told already_stopped.
func askedAndHad(t *testing.T, l *ledger.Ledger, job, batch string) {
	t.Helper()
	s := opened(t, l, job, batch)
	s.Status = undotest.Killed.String()
	if ended, err := l.Finish(t.Context(), s, ledger.AlreadyStopped, "", 0); !ended || err != nil {
		t.Error(ended, err)
	}
}

// While the look of an undo waits for the rate or for its answer, another batch asks for the job and is told that it
// has stopped. The undo does not start it again.
func TestAskedAgainDuringTheLook(t *testing.T) {
	t.Parallel()
	l, api := ledger.New(redistest.Start(t).Limited(t), time.Now), undotest.New()
	stops := []*ledger.Stop{stopped(t, l, "1", "one")}
	api.First = func() { askedAndHad(t, l, "1", "later") }
	r := restartAll(t, New(l, api, "one"), stops, 0)
	if r.Left != 1 || r.Jobs[0].Reason != "batch later has asked to stop it again" || api.Restarted["1"] != 0 {
		t.Errorf("restarted %v although batch later was told that it is already stopped: %+v", api.Restarted, r)
	}
}

// A job that a batch has left to another one is restarted by its next undo when that other one is forgotten.
func TestRenouncedAndNobodyElseWantsIt(t *testing.T) {
	t.Parallel()
	s, api := redistest.Start(t), undotest.New()
	l := ledger.New(s.Limited(t), time.Now)
	stops := []*ledger.Stop{stopped(t, l, "1", "one", "two")}
	if r := restartAll(t, New(l, api, "one"), stops, 0); r.Wanted != 1 {
		t.Errorf("two wants it, too: %+v", r)
	}
	if err := s.Client(t).HDel(t.Context(), ledger.Keys(project).Stop(stops[0].ID), "wish:two").Err(); err != nil {
		t.Fatal(err)
	}
	if r := restartAll(t, New(l, api, "one"), stops, 0); r.Restarted != 1 || api.Restarted["1"] != 1 {
		t.Errorf("then: %+v, restarted %v", r, api.Restarted)
	}
}

// What was not counted is not restarted, although it can be by now: another undo counts it.
func TestRestartsWhatWasCounted(t *testing.T) {
	t.Parallel()
	l, api := ledger.New(redistest.Start(t).Limited(t), time.Now), undotest.New()
	stops := []*ledger.Stop{
		stopped(t, l, "own", "one"), stopped(t, l, "shared", "one", "two"), stopped(t, l, "kept", "one", "three"),
		stopped(t, l, "again", "one"), stopped(t, l, "runs", "one", "two"),
	}
	later := opened(t, l, "again", "later")
	u := New(l, api, "one")
	if err := u.Pretend(t.Context(), stops); err != nil || u.Restarted != 1 || u.Wanted != 3 || u.Left != 1 {
		t.Fatalf("pretends %+v, %v", u.Report, err)
	}
	if r := restartAll(t, New(l, api, "two"), []*ledger.Stop{stops[1], stops[4]}, 0); r.Wanted != 2 {
		t.Errorf("two: %+v", r)
	}
	if _, err := l.Withdraw(t.Context(), project, later.ID, "later", "a mistake"); err != nil {
		t.Fatal(err)
	}
	api.Restarted["runs"] = 1 // its owner has started it
	r := restartAll(t, u, stops, 0)
	if r.Restarted != 1 || r.Wanted != 3 || r.Running != 1 || r.Left != 0 || len(r.Jobs) != len(stops) {
		t.Errorf("did %+v", r)
	}
	for _, job := range []string{"own", "shared", "kept", "again"} {
		if got, want := api.Restarted[job] == 1, job == "own"; got != want {
			t.Errorf("job %s was restarted: %v", job, got)
		}
	}
	want := []string{
		"1 jobs of batch one stay stopped, since other batches want that, too (three): " +
			"they run again when those are undone as well",
		"2 jobs of batch one stay stopped: they can be restarted only since the jobs were counted: undo it again",
	}
	if got := r.Unfinished(); !slices.Equal(got, want) {
		t.Errorf("says %q, want %q", got, want)
	}
	for i, s := range stops {
		var err error
		if stops[i], err = l.Get(t.Context(), project, s.ID); err != nil {
			t.Fatal(err)
		}
	}
	u = New(l, api, "one")
	if err := u.Pretend(t.Context(), stops); err != nil || u.Restarted != 3 {
		t.Errorf("another one pretends %+v, %v", u.Report, err)
	}
	if r := restartAll(t, u, stops, 0); r.Restarted != 2 || api.Restarted["shared"] != 1 || api.Restarted["again"] != 1 {
		t.Errorf("another one did %+v, restarted %v", r, api.Restarted)
	}
}

// A stop that the ledger forgets while the undo is confirmed, or under way, is told of.
func TestForgottenStops(t *testing.T) {
	t.Parallel()
	s, api := redistest.Start(t), undotest.New()
	l, rdb := ledger.New(s.Limited(t), time.Now), s.Client(t)
	var stops []*ledger.Stop
	for _, batches := range [][]string{{"one"}, {"one"}, {"one", "two"}, {"one", "two"}, {"one"}} {
		stops = append(stops, stopped(t, l, fmt.Sprint(len(stops)), batches...))
	}
	forget := func(what func(key string) *redis.IntCmd, i int) {
		t.Helper()
		if n, err := what(ledger.Keys(project).Stop(stops[i].ID)).Result(); n != 1 || err != nil {
			t.Error(n, err)
		}
	}
	whole := func(key string) *redis.IntCmd { return rdb.Del(t.Context(), key) }
	wish := func(key string) *redis.IntCmd { return rdb.HDel(t.Context(), key, "wish:one") }
	u := New(l, api, "one")
	if err := u.Pretend(t.Context(), stops); err != nil || u.Restarted != 3 || u.Wanted != 2 {
		t.Fatalf("pretends %+v, %v", u.Report, err)
	}
	forget(whole, 0)
	forget(wish, 1)
	forget(whole, 2)
	forget(wish, 3)
	r := restartAll(t, u, stops, 0)
	if r.Failed != 4 || r.Restarted != 1 || len(r.Jobs) != 5 || api.Restarted["4"] != 1 || len(r.Unfinished()) != 1 {
		t.Errorf("did %+v", r)
	}
	for _, j := range r.Jobs {
		if j.JobID != "4" && (j.Result != "failed" || j.Reason != forgotten) {
			t.Errorf("%+v", j)
		}
	}
	if err := u.restart(t.Context(), stops[0]); err != nil || u.Failed != 5 { // forgotten after it was read
		t.Errorf("%+v, %v", u.Report, err)
	}
}

// reads counts what is read: stops, which are read many at once, and the counts of batches, which are not.
type reads struct{ stops, counts atomic.Int64 }

func (r *reads) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *reads) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "hgetall" {
			r.counts.Add(1)
		}
		return next(ctx, cmd)
	}
}

func (r *reads) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if cmd.Name() == "hgetall" {
				r.stops.Add(1)
			}
		}
		return next(ctx, cmds)
	}
}

// Whoever waits for stops reads them when some have ended, and at the end.
func TestWaitReadsStopsAsTheyEnd(t *testing.T) {
	t.Parallel()
	const n = 8
	api, seen, rdb := undotest.New(), &reads{}, redistest.Start(t).Limited(t)
	rdb.AddHook(seen)
	l := ledger.New(rdb, time.Now)
	var stops []*ledger.Stop
	for i := range n {
		s := opened(t, l, fmt.Sprint(i), "one")
		s.State, s.Accepted = ledger.Stopping, time.Now()
		if ok, err := l.Advance(t.Context(), s, ledger.Step{Kind: ledger.KindPoll, Due: time.Now()}); err != nil || !ok {
			t.Fatal(ok, err)
		}
		stops = append(stops, s)
	}
	u := New(l, api, "one")
	u.lookAgain = 5 * time.Millisecond
	seen.stops.Store(0)
	var ended sync.WaitGroup
	ended.Go(func() {
		for i := range n {
			for from := seen.counts.Load(); seen.counts.Load() < from+20; time.Sleep(time.Millisecond) {
				if t.Context().Err() != nil {
					return
				}
			}
			s, err := l.Get(t.Context(), project, stops[i].ID)
			if err != nil {
				t.Error(err)
				return
			}
			s.Accepted, s.Status = time.Now(), undotest.Killed.String()
			if ok, err := l.Finish(t.Context(), s, ledger.Stopped, "", time.Second); err != nil || !ok {
				t.Error(ok, err)
			}
		}
	})
	r := restartAll(t, u, stops, time.Hour)
	ended.Wait()
	if r.Restarted != n || r.InFlight != 0 || len(api.Restarted) != n {
		t.Errorf("did %+v, restarted %v", r, api.Restarted)
	}
	// At first, and as each ends; and each that has ended a few times more before its restart.
	if got := seen.stops.Load(); got > n*(n+2)+10*n {
		t.Errorf("%d stops were read", got)
	}
}

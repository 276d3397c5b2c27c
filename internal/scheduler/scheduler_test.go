package scheduler

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/estimate"
	"vizstop/internal/fleet"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/limits"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/redistest"
	"vizstop/internal/schedules"
	"vizstop/internal/tasks"
)

// bench is a worker's scheduler by itself, with a clock that the test sets.
type bench struct {
	*Scheduler
	t   *testing.T
	rdb redis.UniversalClient

	mu      sync.Mutex
	now     time.Time
	faults  map[string]error // of listing a project
	shadows map[string]bool  // accounts
	listed  map[string]int
	counted map[string]int // ticks by outcome
}

func (b *bench) ID() string     { return "me" }
func (b *bench) Now() time.Time { b.mu.Lock(); defer b.mu.Unlock(); return b.now }
func (b *bench) Census() fleet.Census {
	return fleet.Census{Reliable: true, Alive: []fleet.Worker{{ID: "me"}}}
}
func (b *bench) Limits() limits.Limits { return limits.Defaults() }
func (b *bench) Schedule(string)       {}
func (b *bench) Ticked(_, outcome string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counted[outcome]++
}

func newBench(t *testing.T, file string, now string) *bench {
	t.Helper()
	rdb := redistest.Start(t).Limited(t)
	b := &bench{t: t, rdb: rdb, now: at(t, now), faults: map[string]error{}, listed: map[string]int{}, counted: map[string]int{}}
	l := ledger.New(rdb, b.Now)
	b.Scheduler = New(Config{Redis: rdb, Fleet: b, Ledger: l, Producer: tasks.NewProducer(l, rdb), File: parse(t, file), Recorder: b,
		Projects: func(r schedules.Rule) ([]string, error) { return r.Projects, nil },
		Jobs:     b.list,
		Account:  func(project string) string { return project[:1] },
		InShadow: func(project string) bool { return b.shadows[project[:1]] },
		Refused: func(context.Context) (map[string]string, error) {
			return map[string]string{"x": "account x is held"}, nil
		},
		Rate: func(context.Context) (estimate.Rate, error) { return estimate.Rate{Calls: 10, Stops: 8}, nil },
	})
	return b
}

func (b *bench) list(_ context.Context, project string) iter.Seq2[jobs.Job, error] {
	return func(yield func(jobs.Job, error) bool) {
		b.listed[project]++
		if err := b.faults[project]; err != nil {
			yield(jobs.Job{}, err)
			return
		}
		for _, id := range []string{"1", "2", "3"} {
			if !yield(jobs.Job{ID: id, Name: "n" + id, Status: v1.StatusRunning.Job(), CreateTime: b.now.Add(-time.Hour)}, nil) {
				return
			}
		}
	}
}

// at looks at a time, and waits until what it has begun has ended.
func (b *bench) at(text string) {
	b.t.Helper()
	b.mu.Lock()
	b.now = at(b.t, text)
	b.mu.Unlock()
	if _, err := b.look(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	b.work.Wait()
}

// last is the newest result of a schedule.
func (b *bench) last(name string) Result {
	b.t.Helper()
	all, err := b.results(b.t.Context(), name, 10)
	if err != nil || len(all) == 0 {
		b.t.Fatalf("results: %v, %v", all, err)
	}
	return all[0]
}

const several = "revision: 1\nschedules: [{name: s, at: '20:00', timezone: UTC, catch_up: 1h, spread: 1h, deadline: 30m, reason: evening, rule: {project: [a1, a2, b1, b2, x1], all: true, exclude: '3'}}]"

// A tick in the shadow has shadow stops, and no others.
func TestTickInTheShadow(t *testing.T) {
	b := newBench(t, strings.Replace(several, "catch_up", "shadow: true, catch_up", 1), "11-26 19:00")
	b.at("11-26 19:00")
	b.at("11-26 20:05")
	r := b.last("s")
	if !r.Shadow || r.Accepted != 8 {
		t.Fatalf("the result is %+v", r)
	}
	if batch, err := b.Ledger.Shadow().Batch(t.Context(), "a1", r.Batch); err != nil || batch.Total != 2 || batch.Confirmed || batch.Meta.Requester != "schedule s" {
		t.Errorf("the shadow batch is %+v, %v", batch, err)
	}
	if batch, err := b.Ledger.Batch(t.Context(), "a1", r.Batch); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("there are real stops: %+v, %v", batch, err)
	}
}

// A tick whose projects are all in shadow accounts has shadow stops. Of one that has others,
// too, those in shadow accounts are left out, unless the schedule is one of shadow stops.
func TestTickInShadowAccounts(t *testing.T) {
	for name, row := range map[string]struct {
		shadows  map[string]bool
		shadow   string // of the schedule
		inShadow bool
		accepted int
		left     []string
	}{
		"all":                {map[string]bool{"a": true, "b": true, "x": true}, "", true, 8, []string{"account x is held"}},
		"some":               {map[string]bool{"b": true}, "", false, 4, []string{"project b1: account b is a shadow account", "project b2: account b is", "account x is held"}},
		"some, shadow stops": {map[string]bool{"b": true}, "shadow: true, ", true, 8, []string{"account x is held"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, strings.Replace(several, "catch_up", row.shadow+"catch_up", 1), "11-26 19:00")
			b.shadows = row.shadows
			b.at("11-26 19:00")
			b.at("11-26 20:05")
			r := b.last("s")
			if r.Outcome != Partial || r.Shadow != row.inShadow || r.Accepted != row.accepted || r.Chosen != row.accepted || len(r.Unlisted) != len(row.left) {
				t.Fatalf("the result is %+v", r)
			}
			for i, want := range row.left {
				if !strings.Contains(r.Unlisted[i], want) {
					t.Errorf("left out: %q, want %q", r.Unlisted[i], want)
				}
			}
			books, other := b.Ledger, b.Ledger.Shadow()
			if row.inShadow {
				books, other = other, books
			}
			if batch, err := books.Batch(t.Context(), "a1", r.Batch); err != nil || batch.Total != 2 {
				t.Errorf("the batch is %+v, %v", batch, err)
			}
			if batch, err := other.Batch(t.Context(), "a1", r.Batch); !errors.Is(err, ledger.ErrNotFound) {
				t.Errorf("there are stops of the other kind: %+v, %v", batch, err)
			}
			if !row.inShadow && b.listed["b1"]+b.listed["b2"] > 0 {
				t.Errorf("listed %v", b.listed)
			}
		})
	}
}

// A tick that is over its schedule's limit is held whole, in every project.
func TestTickOverItsLimit(t *testing.T) {
	for limit, held := range map[string]bool{"batch_limit: 7": true, "batch_limit: 8": false, "batch_limit: none": false} {
		b := newBench(t, strings.Replace(several, "catch_up", limit+", catch_up", 1), "11-26 19:00")
		b.at("11-26 19:00")
		b.at("11-26 20:05")
		for _, project := range []string{"a1", "b2"} {
			all, _, err := ledger.HeldBatches(t.Context(), b.rdb, project)
			if err != nil || (len(all) == 1) != held || held && !strings.Contains(all[0].Words, "8 stops, more than --batch-limit 7") {
				t.Errorf("%s: held in project %s: %+v, %v", limit, project, all, err)
			}
		}
	}
}

// A tick does what it can, and names what it could not list; a credential that was
// refused once is not tried again in another project.
func TestTick(t *testing.T) {
	b := newBench(t, several, "11-26 19:00")
	b.faults["a2"] = errors.New("no answer")
	b.faults["b1"] = &jobs.Error{Operation: jobs.OperationList, Kind: jobs.KindCredentials, Message: "who are you"}
	b.at("11-26 19:00")
	if next, done, err := b.Times(t.Context()); err != nil || !next["s"].Equal(at(t, "11-26 20:00")) || len(done) != 0 {
		t.Errorf("next %v, done %v, %v", next, done, err)
	}
	b.at("11-26 20:05")
	r := b.last("s")
	if r.Outcome != Partial || r.Chosen != 2 || r.Accepted != 2 || r.Batch != "sched-s-20261126T200000Z" || len(r.Unlisted) != 4 || r.Tries != 1 {
		t.Fatalf("the result is %+v", r)
	}
	for i, want := range []string{"project a2: no answer", "who are you", "project b2: the credential of account b was refused in project b1", "account x is held"} {
		if !strings.Contains(r.Unlisted[i], want) {
			t.Errorf("left out: %q, want %q", r.Unlisted[i], want)
		}
	}
	if b.listed["b2"]+b.listed["x1"] > 0 || b.counted["partial"] != 1 {
		t.Errorf("listed %v, counted %v", b.listed, b.counted)
	}
	stops, _, err := b.Ledger.BatchStops(t.Context(), "a1", r.Batch, 0, 10)
	if err != nil || len(stops) != 2 {
		t.Fatalf("stops %v, %v", stops, err)
	}
	for i, s := range stops {
		if due := at(t, "11-26 20:05").Add(time.Duration(i) * 30 * time.Minute); !s.Due.Equal(due) || !s.Deadline.Equal(due.Add(30*time.Minute)) {
			t.Errorf("stop %d is due at %v until %v", i, s.Due, s.Deadline)
		}
	}
	batch, err := b.Ledger.Batch(t.Context(), "a1", r.Batch)
	if err != nil || batch.Meta.Requester != "schedule s" || batch.Meta.Reason != "evening" {
		t.Errorf("the batch is %+v, %v", batch, err)
	}
	if keys := b.rdb.Exists(t.Context(), chosenKey("s", r.Tick.UnixMilli(), 1)).Val(); keys != 0 {
		t.Error("the selection is still in Redis")
	}
	if next, done, err := b.Times(t.Context()); err != nil || !next["s"].Equal(at(t, "11-27 20:00")) || !done["s"].Equal(r.Tick) {
		t.Errorf("next %v, done %v, %v", next, done, err)
	}
}

// A tick that failed whole is tried again until its hour is over.
func TestTickIsTriedAgain(t *testing.T) {
	b := newBench(t, evening, "11-26 19:00")
	b.faults["p"] = errors.New("no answer")
	b.at("11-26 19:00")
	b.at("11-26 20:00")
	b.at("11-26 20:00") // rests
	if b.listed["p"] != 1 || len(b.counted) != 0 {
		t.Errorf("listed %v, counted %v", b.listed, b.counted)
	}
	b.at("11-26 20:10")
	delete(b.faults, "p")
	b.at("11-26 20:30")
	if r := b.last("evening"); r.Outcome != Done || r.Tries != 3 || r.Accepted != 3 {
		t.Errorf("the result is %+v", r)
	}
	b.faults["p"] = errors.New("no answer")
	b.at("11-27 20:00")
	b.at("11-27 21:01")
	if r := b.last("evening"); r.Outcome != Failed || !strings.Contains(r.Reason, "list the jobs of project p: no answer") {
		t.Errorf("the result is %+v", r)
	}
}

// What was written down by a worker that is gone is what is asked for, whatever the
// project has now; twice harms nothing.
func TestSelectionIsTheFirst(t *testing.T) {
	b := newBench(t, evening, "11-26 19:00")
	b.at("11-26 19:00")
	ctx, one := t.Context(), b.file.Load().Schedules[0]
	r, err := b.state(ctx, "evening")
	if err != nil {
		t.Fatal(err)
	}
	b.now = at(t, "11-26 20:00")
	r.Claim = &claim{Tick: b.now.UnixMilli(), Worker: "me", Try: 1}
	if err := b.change(ctx, "evening", &r); err != nil {
		t.Fatal(err)
	}
	c := *r.Claim
	if err := b.choose(ctx, one, &c); err != nil {
		t.Fatal(err)
	}
	first, err := b.ask(ctx, one, c) // and dies before it can say so
	if err != nil || first.Accepted != 3 {
		t.Fatalf("%+v, %v", first, err)
	}
	if r, err = b.state(ctx, "evening"); err != nil {
		t.Fatal(err)
	}
	dead := *r.Claim
	dead.Worker = "gone"
	r.Claim = &dead
	if err := b.change(ctx, "evening", &r); err != nil {
		t.Fatal(err)
	}
	b.faults["p"] = errors.New("no answer")
	b.at("11-26 20:10")
	if last := b.last("evening"); last.Outcome != Done || last.Known != 3 || last.Accepted != 0 || last.Tries != 2 || b.listed["p"] != 1 {
		t.Errorf("%+v after %d lists", last, b.listed["p"])
	}
	// The one that was taken for dead is not: what it says now counts for nothing.
	if err := b.finish(ctx, one, c, first); !errors.Is(err, errLost) {
		t.Errorf("a worker that lost its tick has settled it: %v", err)
	}
}

// A worker whose file is not in force carries out nothing; a higher revision is taken up.
func TestRevisions(t *testing.T) {
	b := newBench(t, evening, "11-26 19:00")
	b.at("11-26 19:00")
	if b.Note() != "" || !b.InForce() {
		t.Fatalf("not in force: %s", b.Note())
	}
	other := strings.Replace(evening, "all: true", "all: true, limit: 1", 1)
	b.Set(parse(t, other))
	b.at("11-26 20:00")
	if b.InForce() || !strings.Contains(b.Note(), "revision 1 with other content") || len(b.listed) > 0 {
		t.Errorf("in force %v: %s; listed %v", b.InForce(), b.Note(), b.listed)
	}
	o, err := NewDesk(b.rdb, b).Overview(t.Context(), 1)
	if err != nil || o.Agreed() || len(o.Workers) != 1 {
		t.Errorf("%+v, %v", o, err)
	}
	b.Set(parse(t, strings.Replace(other, "revision: 1", "revision: 2", 1)))
	b.at("11-26 20:01")
	if r := b.last("evening"); !b.InForce() || r.Outcome != Done || r.Chosen != 1 {
		t.Errorf("in force %v, result %+v", b.InForce(), r)
	}
	b.Set(parse(t, evening))
	b.at("11-27 20:00")
	if b.InForce() || !strings.Contains(b.Note(), "raise the revision of its own above 2") {
		t.Errorf("in force %v: %s", b.InForce(), b.Note())
	}
}

// However many ticks there were, the newest results are kept; a repeat of a change whose
// answer was lost writes none twice.
func TestResultsAreBounded(t *testing.T) {
	b := newBench(t, evening, "01-01 00:00")
	b.at("01-01 00:00")
	b.at("06-01 12:00")
	all, err := b.results(t.Context(), "evening", 1000)
	if err != nil || len(all) != keptResults || !all[0].Tick.Equal(at(t, "05-31 20:00")) || b.counted["missed"] != 151 {
		t.Errorf("%d results, the first %v, counted %v, %v", len(all), all[0], b.counted, err)
	}
	r, err := b.state(t.Context(), "evening")
	if err != nil {
		t.Fatal(err)
	}
	again := r
	for _, one := range []*record{&r, &again} {
		if err := b.change(t.Context(), "evening", one, Result{Outcome: Done}); err != nil {
			t.Fatal(err)
		}
	}
	if all, _ = b.results(t.Context(), "evening", 1000); slices.IndexFunc(all[1:], func(r Result) bool { return r.Outcome == Done }) >= 0 {
		t.Error("a repeat was written twice")
	}
}

// A deadline that can't hold at the fleet's rate is said in the result.
func TestDeadlineThatCanNotHold(t *testing.T) {
	b := newBench(t, several, "11-26 19:00")
	one := *b.file.Load().Schedules[0]
	one.Deadline, one.Spread = time.Second, 0
	picked := &chosen{Jobs: 1000}
	if err := b.plan(t.Context(), &one, []estimate.Share{{ProjectID: "a1", Stops: 1000}}, picked); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(picked.Note, "deadline 1s") {
		t.Errorf("noted %q", picked.Note)
	}
	one.Deadline = 0
	if picked.Note = ""; b.plan(t.Context(), &one, []estimate.Share{{ProjectID: "a1", Stops: 1000}}, picked) != nil || picked.Note != "" || picked.Deadline < time.Hour.Milliseconds() {
		t.Errorf("without one: %+v", picked)
	}
}

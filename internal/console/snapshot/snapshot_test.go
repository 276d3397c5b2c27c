package snapshot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/control"
	"vizstop/internal/ledger"
	"vizstop/internal/principals"
	"vizstop/internal/redisconn"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
)

const (
	project = "0123456789abcdef0123456789abcdef"
	other   = "fedcba9876543210fedcba9876543210"
)

// reads counts how often the list of the newest batches is read, as each snapshot does once.
type reads struct{ n atomic.Int64 }

func (r *reads) DialHook(next redis.DialHook) redis.DialHook { return next }
func (r *reads) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); cmd.Name() == "zrevrange" && args[1] == "vizstop:batches" {
			r.n.Add(1)
		}
		return next(ctx, cmd)
	}
}

func (r *reads) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// clock is a time that only the test moves.
type clock struct{ ms atomic.Int64 }

func (c *clock) now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

type fixture struct {
	*testing.T
	server *redistest.Server
	desk   *control.Desk
	source *Source
	clock  *clock
	reads  *reads
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	t.Parallel()
	f := &fixture{T: t, server: redistest.Start(t), clock: &clock{}, reads: &reads{}}
	f.clock.ms.Store(1e12)
	rdb := f.server.Limited(t)
	rdb.AddHook(f.reads)
	desk, err := control.Open(t.Context(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	f.desk, f.source = desk, newSource(desk, nil, f.clock.now)
	return f
}

func (f *fixture) ask(projectID, batch string, due time.Time, n int) []ledger.Opening {
	f.Helper()
	var all []ledger.Opening
	for chunk := range slices.Chunk(numbers(n), ledger.OpenChunk) {
		var asks []ledger.Ask
		for _, i := range chunk {
			asks = append(asks, ledger.Ask{JobID: fmt.Sprintf("job-%05d", i), Due: due, Deadline: due.Add(100 * time.Hour), Confirmed: true})
		}
		opened, err := f.desk.Ledger.Open(f.Context(), projectID, batch, asks)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, opened...)
	}
	if err := release.Ask(f.Context(), f.desk.Redis, projectID); err != nil {
		f.Fatal(err)
	}
	return all
}

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func (f *fixture) end(projectID, batch string, job int, outcome ledger.State, reason string) {
	f.Helper()
	s, err := f.desk.Ledger.Get(f.Context(), projectID, ledger.StopID(batch, projectID, fmt.Sprintf("job-%05d", job)))
	if err != nil {
		f.Fatal(err)
	}
	if ok, err := f.desk.Ledger.Finish(f.Context(), s, outcome, reason, 0); err != nil || !ok {
		f.Fatal(ok, err)
	}
}

func (f *fixture) state() Kept[*State] {
	f.Helper()
	kept, err := f.source.State(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	return kept
}

// The rate of a project is what workers announce now, not what they had when the console started.
func TestRateFollowsTheWorkers(t *testing.T) {
	f := newFixture(t)
	f.ask(project, "b", time.Now(), 1)
	for _, want := range []float64{release.DefaultRate, 7, 60} { // the first: none is announced
		if want != release.DefaultRate {
			if err := release.New(f.desk.Redis, "worker", time.Now, release.Config{Rate: want}).Announce(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		f.source.Forget()
		if got := f.state().Value.Projects[0].Allowance; got.Rate != want || got.Configured != want {
			t.Errorf("the rate is %v of %v, want %v", got.Rate, got.Configured, want)
		}
	}
}

// However many look, Redis is read once a second, and not at all while nobody looks.
func TestManyViewersAreOneRead(t *testing.T) {
	f := newFixture(t)
	f.ask(project, "b", time.Now(), 3)
	look := func(viewers int) {
		var all sync.WaitGroup
		for range viewers {
			all.Go(func() {
				kept, err := f.source.State(t.Context())
				if err != nil || kept.Trouble != nil || len(kept.Value.Batches) != 1 || kept.Value.Batches[0].Total() != 3 {
					t.Errorf("a viewer got %+v, %v", kept, err)
				}
			})
		}
		all.Wait()
	}
	for second := range int64(3) {
		look(1000)
		f.clock.advance(Fresh - time.Millisecond)
		look(1000)
		if n := f.reads.n.Load(); n != second+1 {
			t.Errorf("2,000 viewers in second %d: Redis was read %d times", second+1, n)
		}
		f.clock.advance(time.Millisecond)
	}
	f.clock.advance(time.Hour)
	if n := f.reads.n.Load(); n != 3 {
		t.Errorf("while nobody looked, Redis was read %d times", n-3)
	}
}

// When Redis is away, what was read last is given, with why.
func TestRedisAway(t *testing.T) {
	f := newFixture(t)
	f.ask(project, "b", time.Now(), 3)
	before := f.state()
	f.server.Kill()
	f.clock.advance(time.Minute)
	kept := f.state()
	if kept.Trouble == nil || kept.Value.Version != before.Value.Version || f.clock.now().Sub(kept.Read) != time.Minute {
		t.Errorf("without Redis: %+v", kept)
	}
	if _, err := f.source.Actions(t.Context()); err == nil {
		t.Error("what was never read is told all the same")
	}
}

// Job-hours are exact up to a size, and between two bounds beyond it. What is not due yet costs nothing.
func TestHours(t *testing.T) {
	f := newFixture(t)
	f.ask(project, "late", time.Now().Add(-2*time.Hour), 300)
	f.ask(other, "large", time.Now().Add(-3*time.Hour), 600)
	f.ask(other, "larger", time.Now().Add(-time.Hour), 600) // the same jobs: they join
	f.ask(project, "ahead", time.Now().Add(2*time.Hour), 400)
	if _, err := f.desk.Pause(t.Context(), project, "ada", "test"); err != nil {
		t.Fatal(err)
	}
	st := f.state().Value
	for _, p := range st.Projects {
		want := 600.0
		if p.ID == other {
			want = 1800
		}
		if p.Hours.Least > want+2 || p.Hours.Most < want || p.Hours.Most-p.Hours.Least > want/10 {
			t.Errorf("project %s has %+v job-hours, want %g", p.ID, p.Hours, want)
		}
		if waits := p.ID == project; p.Held != waits || (p.Waiting.Most > 0) != waits {
			t.Errorf("project %s: held %v, waiting %+v", p.ID, p.Held, p.Waiting)
		}
	}
	if pending, stopping := st.InFlight(); pending != 1000 || stopping != 0 || st.Projects[0].ID != other {
		t.Errorf("%d pending, %d stopping, %+v", pending, stopping, st.Projects)
	}
	if all, waiting := st.Hours(); math.Abs(all.Most-2400) > 5 || math.Abs(waiting.Most-600) > 2 {
		t.Errorf("in all %+v, waiting %+v", all, waiting)
	}
}

// The bounds of a large set hold whatever its due times are.
func TestHoursBetweenBounds(t *testing.T) {
	f := newFixture(t)
	admin := f.server.Client(t)
	now := time.Now()
	want := 0.0
	var members []redis.Z
	for i := range 5000 {
		ago := time.Duration(i*i%7919) * time.Second
		want += ago.Hours()
		members = append(members, redis.Z{Score: float64(now.Add(-ago).UnixMilli()), Member: fmt.Sprint(i)})
	}
	if err := admin.ZAdd(t.Context(), ledger.Keys(project).In(ledger.Stopping), members...).Err(); err != nil {
		t.Fatal(err)
	}
	all, err := readLoad(t.Context(), f.desk.Redis, now, []string{project, other})
	if err != nil {
		t.Fatal(err)
	}
	if h := all[0].Hours; h.Least > want || h.Most < want || h.Exact() || h.Most-h.Least > want/20 || all[0].Stopping != 5000 {
		t.Errorf("%+v, want about %g between", all[0], want)
	}
	if all[1].InFlight() != 0 || !all[1].Oldest.IsZero() {
		t.Errorf("of nothing: %+v", all[1])
	}
}

// A principal of some projects sees those only: of a batch its part, of the fleet no totals.
func TestPrincipalsSeeTheirPart(t *testing.T) {
	f := newFixture(t)
	f.ask(project, "both", time.Now(), 3)
	f.ask(other, "both", time.Now(), 5)
	f.ask(project, "foreign", time.Now(), 1)
	if _, err := f.desk.Pause(t.Context(), project, "ada", "secret plans"); err != nil {
		t.Fatal(err)
	}
	me := &principals.Principal{Name: "me", Role: principals.Read, Projects: []string{other}}
	st := f.state().Value.For(me)
	if len(st.Batches) != 1 || st.Batches[0].Total() != 5 || len(st.Projects) != 1 || len(st.Holds) != 0 || st.Hour != nil || st.Version == f.state().Value.Version {
		t.Errorf("the part is %+v", st)
	}
	d, err := f.source.Batch(t.Context(), "both", me)
	if err != nil || d.Value.Total() != 5 || len(d.Value.Holds) != 0 || !slices.Equal(d.Value.Whole, []string{other}) {
		t.Errorf("its part of the batch is %+v, %v", d.Value, err)
	}
	for _, id := range []string{"foreign", "nonsense", "../x"} {
		if _, err := f.source.Batch(t.Context(), id, me); !isUnknown(err) {
			t.Errorf("batch %s: %v", id, err)
		}
	}
	list, err := f.source.List(t.Context(), Query{}, me)
	if err != nil || list.Value.Found != 1 {
		t.Errorf("the list is %+v, %v", list, err)
	}
}

// What holds a batch in one project says nothing of another: neither that it is held there, nor that something moves.
func TestHoldsOfOtherProjects(t *testing.T) {
	f := newFixture(t)
	f.ask(project, "both", time.Now(), 3)
	f.ask(other, "both", time.Now(), 5)
	if err := f.desk.Ledger.StateSize(t.Context(), project, "both", 1, "secret plans"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.desk.Pause(t.Context(), project, "ada", "secret plans"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		project string
		stands  release.Reason
		held    bool
	}{{other, "", false}, {project, release.Paused, true}} {
		me := &principals.Principal{Name: "me", Role: principals.Read, Projects: []string{c.project}}
		d, err := f.source.Batch(t.Context(), "both", me)
		if err != nil {
			t.Fatal(err)
		}
		for what, b := range map[string]*Batch{"detail": &d.Value.Batch, "snapshot": &f.state().Value.For(me).Batches[0]} {
			if b.Stands != c.stands || (b.Held != "") != c.held || len(b.HeldIn) > 0 != c.held {
				t.Errorf("%s of project %s stands for %q, held for %q, %v", what, c.project, b.Stands, b.Held, b.HeldIn)
			}
		}
	}
}

// An action has a batch read anew while it is being read: both looks measure its pace.
func TestLooksMayOverlap(t *testing.T) {
	f := newFixture(t)
	for i := range 40 {
		f.ask(fmt.Sprintf("project-%d", i), "wide", time.Now(), 1)
	}
	all := &principals.Principal{Name: "all", Role: principals.Read}
	for range 10 {
		f.source.follower.of = map[string]*follower{}
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				f.source.Forget()
				if _, err := f.source.Batch(t.Context(), "wide", all); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
}

// A batch that is forgotten is gone, although Redis answers: nobody is shown it as it was.
func TestForgottenBatch(t *testing.T) {
	f := newFixture(t)
	f.ask(project, "b", time.Now(), 1)
	all := &principals.Principal{Name: "all", Role: principals.Read}
	if _, err := f.source.Batch(t.Context(), "b", all); err != nil {
		t.Fatal(err)
	}
	if err := f.server.Client(t).FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	f.clock.advance(time.Hour)
	if kept, err := f.source.Batch(t.Context(), "b", all); !isUnknown(err) {
		t.Errorf("a batch that is not there any more: %+v, %v", kept, err)
	}
}

func isUnknown(err error) bool { _, ok := errors.AsType[*control.UnknownError](err); return ok }

// The stops of a batch tell why they failed; a page of them is found by state and reason, also far behind.
func TestReasonsAndPages(t *testing.T) {
	f := newFixture(t)
	f.ask(project, "b", time.Now(), 130)
	for i := range 130 {
		switch {
		case i%3 == 0:
			f.end(project, "b", i, ledger.Rejected, fmt.Sprintf("job job-%05d belongs to somebody else", i))
		case i == 100:
			f.end(project, "b", i, ledger.Expired, "too late")
		case i%3 == 1:
			f.end(project, "b", i, ledger.Stopped, "")
		}
	}
	me := &principals.Principal{Name: "me", Role: principals.Read}
	d, err := f.source.Batch(t.Context(), "b", me)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := f.source.Digest(t.Context(), d.Value)
	if err != nil {
		t.Fatal(err)
	}
	if g := digest.Value; g.Read != 130 || len(g.Failures) != 2 || g.Failures[0].Stops != 44 || g.Failures[0].Reason != "job … belongs to somebody else" ||
		g.Failures[1].Example != "job-00100" || len(g.Lags) != 42 {
		t.Errorf("the digest is %+v", g)
	}
	for _, tt := range []struct {
		state  ledger.State
		reason string
		want   int
	}{{"", "", 130}, {ledger.Rejected, "", 44}, {ledger.Rejected, digest.Value.Failures[0].Reason, 44}, {ledger.Expired, "too late", 1}, {ledger.Expired, "other", 0}} {
		seen := map[string]bool{}
		for from := (&From{}); from != nil; {
			page, err := f.source.Stops(t.Context(), d.Value, tt.state, tt.reason, *from)
			if err != nil || len(page.Value.Stops) > StopsPerPage {
				t.Fatalf("%d stops, %v", len(page.Value.Stops), err)
			}
			for _, s := range page.Value.Stops {
				if seen[s.JobID] {
					t.Errorf("%s is on two pages", s.JobID)
				}
				seen[s.JobID] = true
			}
			from = page.Value.Next
		}
		if len(seen) != tt.want {
			t.Errorf("%d stops are %q for %q, want %d", len(seen), tt.state, tt.reason, tt.want)
		}
	}
	found, err := f.source.FindJob(t.Context(), "job-00007")
	if err != nil || !slices.Equal(found.Value, []string{project}) {
		t.Errorf("the job was found in %v, %v", found.Value, err)
	}
}

func TestQuery(t *testing.T) {
	f := newFixture(t)
	meta := ledger.Meta{Requester: "Ada", Reason: "nightly", Labels: map[string]string{"team": "vision"}}
	if err := f.desk.Ledger.Describe(t.Context(), project, "first", meta); err != nil {
		t.Fatal(err)
	}
	f.ask(project, "first", time.Now(), 2)
	f.ask(other, "second", time.Now(), 2)
	f.end(project, "first", 1, ledger.Expired, "")
	for _, tt := range []struct {
		q    Query
		want int
	}{
		{Query{}, 2}, {Query{Project: project}, 1}, {Query{Batch: "sec"}, 1}, {Query{Outcome: ledger.Expired}, 1}, {Query{Text: "ada"}, 1},
		{Query{Text: "team=vis"}, 1}, {Query{Text: "nobody"}, 0}, {Query{Since: time.Now().Add(-time.Hour)}, 2}, {Query{Since: time.Now().Add(time.Hour)}, 0},
	} {
		list, err := f.source.List(t.Context(), tt.q, principals.Local())
		if err != nil || list.Value.Found != tt.want {
			t.Errorf("%+v finds %d, %v; want %d", tt.q, list.Value.Found, err, tt.want)
		}
	}
}

// What is kept is bounded: the one goes that nobody has asked for for longest.
func TestPortsAreNoReason(t *testing.T) {
	for reason, want := range map[string]string{
		"read tcp 10.0.0.7:52114->10.1.2.3:443: connection reset": "read tcp 10.0.0.7:…->10.1.2.3:…: connection reset",
		"read tcp [fd00::7]:52114->[fd00::1]:443: i/o timeout":    "read tcp [fd00::7]:…->[fd00::1]:…: i/o timeout",
		"http 503 ModelArts.0107: at 10:30":                       "http 503 ModelArts.0107: at 10:30",
	} {
		if got := ReasonOf(&ledger.Stop{Reason: reason}); got != want {
			t.Errorf("%s is grouped as %s, want %s", reason, got, want)
		}
	}
}

// What the stops of a batch told is not read again while its counts are the same, for a minute.
func TestDigestIsKept(t *testing.T) {
	f := newFixture(t)
	f.ask(project, "b", time.Now(), 3)
	read := func() *Digest {
		d, err := f.source.Batch(t.Context(), "b", principals.Local())
		if err != nil {
			t.Fatal(err)
		}
		digest, err := f.source.Digest(t.Context(), d.Value)
		if err != nil {
			t.Fatal(err)
		}
		return digest.Value
	}
	mark := func(reason string) {
		key := ledger.Keys(project).Stop(ledger.StopID("b", project, "job-00001"))
		if err := f.server.Client(t).HSet(t.Context(), key, "reason", reason).Err(); err != nil {
			t.Fatal(err)
		}
	}
	mark("one")
	if got := read(); len(got.Failures) != 1 || got.Failures[0].Reason != "one" {
		t.Fatalf("it tells %+v", got)
	}
	mark("two")
	f.clock.advance(10 * time.Second)
	if got := read(); got.Failures[0].Reason != "one" {
		t.Errorf("the same counts are read again: %+v", got)
	}
	f.clock.advance(time.Minute)
	if got := read(); got.Failures[0].Reason != "two" {
		t.Errorf("a minute later it tells %+v", got)
	}
	mark("three")
	f.end(project, "b", 2, ledger.Stopped, "")
	f.clock.advance(10 * time.Second)
	if got := read(); got.Failures[0].Reason != "three" || len(got.Lags) != 1 {
		t.Errorf("with other counts it tells %+v", got)
	}
}

func TestMemoIsBounded(t *testing.T) {
	c := &clock{}
	m := memo[int, int]{fresh: time.Second, most: 3, clock: c.now}
	made := 0
	for i := range 10 {
		c.advance(time.Millisecond)
		for _, key := range []int{0, i} {
			if kept, err := m.get(t.Context(), key, func(context.Context) (int, error) { made++; return key, nil }); err != nil || kept.Value != key {
				t.Fatal(kept, err)
			}
		}
	}
	if len(m.kept) != 3 || made != 10 {
		t.Errorf("%d are kept, %d were made", len(m.kept), made)
	}
}

func TestMain(m *testing.M) {
	redisconn.RouteLogs(slog.New(slog.DiscardHandler)) // of servers that tests kill
	os.Exit(m.Run())
}

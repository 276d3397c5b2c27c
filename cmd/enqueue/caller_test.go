package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"vizstop/internal/caller"
	"vizstop/internal/control"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/modelarts/sdkhmac"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
	"vizstop/internal/undo"
)

// spending counts the calls that asked for the rate, by project, and those that
// were throttled.
type spending struct {
	mu        sync.Mutex
	calls     map[string]int
	throttled int
}

func (s *spending) Spend(_ context.Context, projectID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[projectID]++
	return nil
}

func (s *spending) Throttled(context.Context, string, error) error { s.throttled++; return nil }

// newCaller is a caller of a simulator that has n jobs in each of two projects.
func newCaller(t *testing.T, rate caller.Rate, n int) (*caller.Caller, *modelartstest.Server) {
	t.Helper()
	sim, err := modelartstest.Start(modelartstest.Config{Auth: modelartstest.Auth{AccessKeys: map[string]string{accessKey: secretKey}},
		Phases: modelartstest.Phases{Stop: modelartstest.Fixed(time.Millisecond), Restart: modelartstest.Fixed(time.Millisecond)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	api, err := sim.API(modelarts.WithCredentials(modelarts.NewAKSK(sdkhmac.Key{AccessKey: accessKey, SecretKey: secretKey}, "")))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{project, other} {
		for i := range n {
			sim.AddJob(p, modelartstest.Job{ID: fmt.Sprint(i + 1)})
		}
	}
	return &caller.Caller{API: api, Rate: rate}, sim
}

// Each page of a list, and each repeat of one, asks for the rate of its project.
func TestListsKeepToTheRate(t *testing.T) {
	spent := &spending{calls: map[string]int{}}
	api, sim := newCaller(t, spent, 250)
	for _, code := range []struct {
		status int
		code   string
	}{{429, "APIGW.0308"}, {500, "ModelArts.0010"}} {
		sim.Inject(modelartstest.Fault{Operation: jobs.OperationList, Times: 1, Reply: modelartstest.ReplyError(code.status, code.code, "later")})
	}
	for _, p := range []string{project, other} {
		n := 0
		for _, err := range listJobs(t.Context(), api, p) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 250 {
			t.Errorf("%d jobs of project %s, want 250", n, p)
		}
	}
	calls := map[string]int{}
	for _, c := range sim.AllCalls() {
		calls[c.ProjectID]++
	}
	if spent.throttled != 1 || spent.calls[project] != calls[project] || spent.calls[other] != calls[other] || calls[project] != 5 || calls[other] != 3 {
		t.Errorf("asked for %v calls, made %v, %d were throttled; want 5 and 3 of each, one throttled", spent.calls, calls, spent.throttled)
	}
}

// An API that answers 429 for ever is told as such in the end.
func TestThrottledForEver(t *testing.T) {
	spent := &spending{calls: map[string]int{}}
	api, sim := newCaller(t, spent, 1)
	sim.Inject(modelartstest.Fault{Operation: jobs.OperationList, Reply: modelartstest.ReplyError(429, "APIGW.0308", "later")})
	for _, err := range listJobs(t.Context(), api, project) {
		if jobs.KindOf(err) != jobs.KindThrottled || spent.calls[project] != 20 {
			t.Errorf("%v after %d calls, want it throttled after 20", err, spent.calls[project])
		}
	}
}

// Looks and restarts of an undo ask for the rate, too.
func TestUndoKeepsToTheRate(t *testing.T) {
	rdb := redistest.Start(t).Limited(t)
	desk, err := control.Open(t.Context(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	const jobs = 10
	spent := &spending{calls: map[string]int{}}
	api, sim := newCaller(t, spent, jobs)
	u := undo.New(desk.Ledger, api, "b")
	var stops []*ledger.Stop
	for i := range jobs {
		id := fmt.Sprint(i + 1)
		sim.SetStatus(project, id, v1.StatusKilled)
		stops = append(stops, stoppedStop(t, desk, id))
	}
	if err := u.RestartAll(t.Context(), stops, 0); err != nil || u.Restarted != jobs {
		t.Fatalf("%d restarted, %v, want %d", u.Restarted, err, jobs)
	}
	if n := len(sim.AllCalls()); spent.calls[project] != n || n != 2*jobs {
		t.Errorf("asked for %d calls, made %d, want %d of each", spent.calls[project], n, 2*jobs)
	}
}

// Calls of this program share the rate that the workers have announced.
func TestTheRateIsTheFleets(t *testing.T) {
	rdb := redistest.Start(t).Limited(t)
	for _, tt := range []struct {
		announced []float64
		want      float64
	}{{nil, release.DefaultRate}, {[]float64{5}, 5}, {[]float64{0}, 0}} {
		for _, rate := range tt.announced {
			if err := release.New(rdb, "", time.Now, release.Config{Rate: rate}).Announce(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		desk, err := control.Open(t.Context(), rdb)
		if err != nil || desk.Release.Rate("") != tt.want {
			t.Fatalf("announced %v: %+v, %v, want the rate %v", tt.announced, desk, err, tt.want)
		}
		fleet, ok := desk.CallRate().(caller.FleetRate)
		if !ok || fleet.Rate != caller.Rate(desk.Release) {
			t.Errorf("calls keep to %+v, want the fleet's rate", desk.CallRate())
		}
		if err := fleet.Spend(t.Context(), project); err != nil {
			t.Error(err)
		}
	}
	if keys := rdb.Exists(t.Context(), ledger.Keys(project).Control()).Val(); keys != 1 {
		t.Error("no call was counted")
	}
	if _, own := (*control.Desk)(nil).CallRate().(*caller.OwnRate); !own {
		t.Error("without a Redis there is a rate of the fleet")
	}
}

// stoppedStop is a stop that the API has accepted and confirmed.
func stoppedStop(t *testing.T, b *control.Desk, job string) *ledger.Stop {
	t.Helper()
	return stoppedStopIn(t, b, project, job)
}

func stoppedStopIn(t *testing.T, b *control.Desk, project, job string) *ledger.Stop {
	t.Helper()
	ctx := t.Context()
	openings, err := b.Ledger.Open(ctx, project, "b", []ledger.Ask{{JobID: job, Deadline: time.Now().Add(time.Hour)}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.Ledger.Get(ctx, project, openings[0].StopID)
	if err != nil {
		t.Fatal(err)
	}
	s.Accepted, s.Status = time.Now(), v1.StatusKilled.Job().String()
	if ended, err := b.Ledger.Finish(ctx, s, ledger.Stopped, "", time.Second); !ended || err != nil {
		t.Fatal(ended, err)
	}
	stops, _, err := b.Ledger.BatchStops(ctx, project, "b", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return stops[slices.IndexFunc(stops, func(s *ledger.Stop) bool { return s.JobID == job })]
}

package modelartstest

import (
	"context"
	"net/http"
	"testing"
	"time"
)

func TestFaultMatches(t *testing.T) {
	r := start(t, Config{})
	r.AddJob("p1", Job{ID: "1"})
	r.AddJob("p1", Job{ID: "2"})
	r.AddJob("p2", Job{ID: "1"})
	f := r.Inject(Fault{Operation: OpDetail, ProjectID: "p1", JobID: "1", Reply: ReplyError(500, "ModelArts.0010", "boom")})
	r.call("GET", jobsPath+"/1", "").expect(t, 500, "ModelArts.0010")
	r.call("GET", jobsPath+"/2", "").expect(t, 200, "")
	r.call("GET", jobsPath, "").expect(t, 200, "")
	r.call("GET", "/v1/p2/visualization-jobs/1", "").expect(t, 200, "")
	if f.Hits() != 1 {
		t.Errorf("hits = %d, want 1", f.Hits())
	}
	f.Clear()
	f.Clear()
	r.call("GET", jobsPath+"/1", "").expect(t, 200, "")
}

func TestFaultTimes(t *testing.T) {
	r := start(t, Config{})
	first := r.Inject(Fault{Times: 2, Reply: ReplyEmpty(503)})
	second := r.Inject(Fault{Reply: ReplyEmpty(504)})
	for _, want := range []int{503, 503, 504, 504} {
		r.call("GET", jobsPath, "").expect(t, want, "")
	}
	if first.Hits() != 2 || second.Hits() != 2 {
		t.Errorf("hits = %d and %d", first.Hits(), second.Hits())
	}
	r.ClearFaults()
	r.call("GET", jobsPath, "").expect(t, 200, "")
}

func TestFaultWindow(t *testing.T) {
	r := start(t, Config{})
	begin := r.clock.now()
	r.Inject(Fault{From: begin.Add(time.Second), Until: begin.Add(3 * time.Second), Reply: ReplyEmpty(502)})
	for _, want := range []int{200, 502, 502, 200} {
		r.call("GET", jobsPath, "").expect(t, want, "")
		r.clock.advance(time.Second)
	}
}

func TestFaultProbability(t *testing.T) {
	run := func(seed uint64) (pattern []bool) {
		s, _ := fixedSimulator(Config{})
		s.Inject(Fault{Probability: 0.3, Seed: seed})
		for range 1000 {
			pattern = append(pattern, s.meet(&exchange{target: target{op: OpList}}) != nil)
		}
		return pattern
	}
	a, again, b := run(1), run(1), run(2)
	hits, different := 0, 0
	for i := range a {
		if a[i] != again[i] {
			t.Fatal("the same seed gives another run")
		}
		if a[i] {
			hits++
		}
		if a[i] != b[i] {
			different++
		}
	}
	if hits < 200 || hits > 400 || different == 0 {
		t.Errorf("%d of 1000 hit; %d differ with another seed", hits, different)
	}
}

func TestFaultsComeBeforeAuthentication(t *testing.T) {
	r := start(t, Config{Auth: Auth{Tokens: []string{"T1"}}})
	r.Inject(Fault{Times: 1, Reply: ReplyEmpty(502)})
	r.call("GET", jobsPath, "").expect(t, 502, "")
	r.Inject(Fault{Times: 1})
	r.call("GET", jobsPath, "").expect(t, 401, "APIGW.0301")
}

func TestEffectOfAFault(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  Fault
		effect bool
	}{
		{"made up", Fault{Reply: ReplyEmpty(502)}, false},
		{"after effect", Fault{Reply: ReplyEmpty(502), AfterEffect: true}, true},
		{"altered", Fault{Reply: ReplyTruncated()}, true},
		{"honest", Fault{}, true},
		{"hook", Fault{Reply: ReplyEmpty(502), Hook: func(Call) {}}, true},
	} {
		r := start(t, Config{})
		r.AddJob("p1", Job{ID: "1"})
		r.Inject(tt.fault)
		r.call("POST", jobsPath+"/1/stop", "")
		if j, _ := r.Job("p1", "1"); (j.Status == 9) != tt.effect {
			t.Errorf("%s: status %v", tt.name, j.Status)
		}
		if calls := r.Calls("p1", "1"); len(calls) != 1 || !calls[0].Faulted {
			t.Errorf("%s: calls = %+v", tt.name, calls)
		}
	}
}

func TestDelayBeforeAndAfterTheEffect(t *testing.T) {
	for _, after := range []bool{false, true} {
		c := newClock()
		r := start(t, sleepOn(c))
		r.AddJob("p1", Job{ID: "1", StopTime: time.Minute})
		begin := c.now()
		r.Inject(Fault{Delay: 10 * time.Second, AfterEffect: after})
		r.call("POST", jobsPath+"/1/stop", "").expect(t, 200, "")
		if took := c.now().Sub(begin); took != 10*time.Second {
			t.Errorf("after effect %t: took %v", after, took)
		}
		want := begin.Add(time.Minute)
		if !after {
			want = want.Add(10 * time.Second)
		}
		c.advance(time.Hour)
		if j, _ := r.Job("p1", "1"); !j.EndedAt.Equal(want) {
			t.Errorf("after effect %t: ended at %v, want %v", after, j.EndedAt, want)
		}
	}
}

// A hook can look at the effect, and end whoever waits for the answer.
func TestHookRunsAfterTheEffect(t *testing.T) {
	r := start(t, Config{})
	r.AddJob("p1", Job{ID: "1"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seen Call
	var recorded int
	r.Inject(Fault{Operation: OpStop, Hook: func(c Call) {
		seen, recorded = c, len(r.Calls("p1", "1"))
		r.wantStatus("1", 9)
		cancel()
	}, Delay: time.Hour, AfterEffect: true})
	req := r.request("POST", jobsPath+"/1/stop", "").WithContext(ctx)
	if _, err := r.do(req); err == nil {
		t.Error("the canceled call got an answer")
	}
	if seen.Operation != OpStop || seen.HTTPStatus != 200 || recorded != 1 {
		t.Errorf("hook got %+v with %d calls recorded", seen, recorded)
	}
}

// The server does not know that its client has given up.
func TestEffectOutlivesTheClient(t *testing.T) {
	r := start(t, Config{})
	r.AddJob("p1", Job{ID: "1"})
	ctx, cancel := context.WithCancel(t.Context())
	arrived, done := make(chan struct{}), make(chan Call, 1)
	r.cfg.Sleep = func(ctx context.Context, _ time.Duration) {
		close(arrived)
		<-ctx.Done()
	}
	r.Inject(Fault{Delay: time.Hour, Hook: func(c Call) { done <- c }})
	go func() {
		<-arrived
		cancel()
	}()
	if _, err := r.do(r.request("POST", jobsPath+"/1/stop", "").WithContext(ctx)); err == nil {
		t.Error("the canceled call got an answer")
	}
	if c := <-done; c.HTTPStatus != http.StatusOK {
		t.Errorf("call = %+v", c)
	}
	r.wantStatus("1", 9)
}

package modelartstest

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
	v1 "vizstop/internal/modelarts/v1"
)

const jobsPath = "/v1/p1/visualization-jobs"

// clock is moved by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// rig is a running simulator with a client that neither follows redirects nor
// keeps connections.
type rig struct {
	*Server
	t      *testing.T
	clock  *clock
	client *http.Client
}

func start(t *testing.T, cfg Config) *rig {
	t.Helper()
	c := newClock()
	if cfg.Now == nil {
		cfg.Now = c.now
	}
	s, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return &rig{Server: s, t: t, clock: c, client: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// got is an answer as received.
type got struct {
	status int
	header http.Header
	raw    string
	body   map[string]any // nil if raw is no JSON object
}

func (g got) text(field string) string {
	s, _ := g.body[field].(string)
	return s
}

// message is the error text, wherever it stands.
func (g got) message() string {
	if s := g.text("error_message"); s != "" {
		return s
	}
	return g.text("error_msg")
}

func (g got) number(field string) int {
	f, ok := g.body[field].(float64)
	if !ok {
		return -1
	}
	return int(f)
}

func (r *rig) request(method, path, body string) *http.Request {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.URL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	return req
}

func (r *rig) do(req *http.Request) (got, error) {
	res, err := r.client.Do(req)
	if err != nil {
		return got{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	g := got{status: res.StatusCode, header: res.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &g.body)
	return g, err
}

func (r *rig) send(req *http.Request) got {
	r.t.Helper()
	g, err := r.do(req)
	if err != nil {
		r.t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	return g
}

func (r *rig) call(method, path, body string) got {
	r.t.Helper()
	return r.send(r.request(method, path, body))
}

// expect checks an answer's HTTP status and error code.
func (g got) expect(t *testing.T, status int, code string) {
	t.Helper()
	if g.status != status || g.text("error_code") != code {
		t.Errorf("answer = %d %s, want %d with error code %q", g.status, g.raw, status, code)
	}
}

func (r *rig) wantStatus(jobID string, want v1.Status) {
	r.t.Helper()
	if j, ok := r.Job("p1", jobID); !ok || j.Status != want {
		r.t.Errorf("job %s: status %v (exists: %t), want %v", jobID, j.Status, ok, want)
	}
}

// A job's whole life, by all seven calls, without any configuration.
func TestSevenRoutes(t *testing.T) {
	r := start(t, Config{})
	g := r.call("POST", jobsPath, `{"job_name":"loss-board","job_desc":"nightly","train_url":"/b/run7/"}`)
	g.expect(t, 200, "")
	if g.body["is_success"] != true || g.number("job_id") != 1 || g.number("status") != 1 {
		t.Errorf("create = %s", g.raw)
	}
	r.clock.advance(45 * time.Second)
	if g = r.call("GET", jobsPath+"/1", ""); g.number("status") != 8 || g.text("job_name") != "loss-board" {
		t.Errorf("detail = %s", g.raw)
	}
	r.call("PUT", jobsPath+"/1", `{"job_desc":"weekly"}`).expect(t, 200, "")
	r.call("POST", jobsPath+"/1/stop", "").expect(t, 200, "")
	r.wantStatus("1", 9)
	r.clock.advance(15 * time.Second)
	r.wantStatus("1", 12)
	r.call("POST", jobsPath+"/1/restart", "").expect(t, 200, "")
	r.clock.advance(45 * time.Second)
	if g = r.call("GET", jobsPath, ""); g.number("job_total_count") != 1 || !strings.Contains(g.raw, `"status":8`) ||
		!strings.Contains(g.raw, `"job_desc":"weekly"`) {
		t.Errorf("list = %s", g.raw)
	}
	r.call("DELETE", jobsPath+"/1", "").expect(t, 200, "")
	r.clock.advance(5 * time.Second)
	r.call("GET", jobsPath+"/1", "").expect(t, 404, "ModelArts.0015")
}

func TestUnknownRoutes(t *testing.T) {
	r := start(t, Config{})
	r.AddJob("p1", Job{ID: "1"})
	for _, route := range []string{
		"GET /", "GET /v1", "GET /v2/p1/visualization-jobs", "PATCH " + jobsPath, "POST " + jobsPath + "/1",
		"GET " + jobsPath + "/1/stop", "POST " + jobsPath + "/1/kill", "POST " + jobsPath + "/1/stop/x",
		"GET /v3/auth/tokens",
	} {
		method, path, _ := strings.Cut(route, " ")
		g := r.call(method, path, "")
		if g.expect(t, 404, "APIGW.0101"); len(g.text("request_id")) != 32 {
			t.Errorf("%s: %s has no request_id of 32 digits", route, g.raw)
		}
	}
	if n := r.Counts()[OpUnknown]; n != 9 {
		t.Errorf("%d unknown calls counted, want 9", n)
	}
}

func TestBodyLimit(t *testing.T) {
	r := start(t, Config{})
	g := r.call("PUT", jobsPath+"/1", strings.Repeat("x", maxBody+1))
	g.expect(t, 413, "APIGW.0201")
}

func TestLatencyComesBeforeTheEffect(t *testing.T) {
	var slept time.Duration
	c := newClock()
	cfg := sleepOn(c)
	cfg.Latency = func(op string) time.Duration {
		if op == OpStop {
			return 2 * time.Second
		}
		return 0
	}
	r := start(t, cfg)
	r.AddJob("p1", Job{ID: "1", StopTime: time.Second})
	begin := c.now()
	r.call("POST", jobsPath+"/1/stop", "").expect(t, 200, "")
	slept = c.now().Sub(begin)
	c.advance(time.Second)
	j, _ := r.Job("p1", "1")
	if want := begin.Add(3 * time.Second); slept != 2*time.Second || !j.EndedAt.Equal(want) {
		t.Errorf("slept %v, ended at %v, want 2s and %v", slept, j.EndedAt, want)
	}
}

func TestSimulatorIsSafeForConcurrentUse(t *testing.T) {
	r := start(t, Config{RateLimit: RateLimit{PerSecond: 1e6}})
	for range 4 {
		r.AddJob("p1", Job{StopTime: time.Nanosecond})
	}
	var wg sync.WaitGroup
	for _, path := range []string{"/1/stop", "/1/stop", "/2/stop", "/2/restart", "/3/restart", "/4/stop"} {
		wg.Go(func() {
			for range 10 {
				g, err := r.do(r.request("POST", jobsPath+path, ""))
				if err != nil || g.status != 200 && g.status != 400 {
					t.Errorf("%s: %d %v", path, g.status, err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 10 {
			r.Jobs("p1")
			r.AllCalls()
			r.Inject(Fault{Operation: OpList}).Clear()
			r.clock.advance(time.Second)
		}
	})
	wg.Wait()
	if n := r.Counts()[OpStop]; n != 40 {
		t.Errorf("%d stops counted, want 40", n)
	}
}

package modelarts

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/samples"
)

func TestNewChecksOptions(t *testing.T) {
	for want, opt := range map[string]Option{
		"credentials are nil": WithCredentials(nil),
		"observer is nil":     WithObserver(nil),
		"clock is nil":        WithClock(nil),
		"max connections":     WithMaxConnections(0),
		"user agent":          WithUserAgent("a\nb"),
	} {
		if _, err := New("https://host", opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want an error with %q", err, want)
		}
	}
}

func TestRequestHeaders(t *testing.T) {
	var got *http.Request
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		io.WriteString(w, `{"job_id":10,"status":8,"jobs":[]}`)
	})
	c := newClient(t, server.URL+"/prefix/", WithUserAgent("vizstop/1.2"))
	tests := []struct {
		name, method, path string
		call               func() error
	}{
		{"stop", "POST", jobsPath + "/10/stop", func() error {
			_, err := stopJob(c, t.Context(), testProject, "10")
			return err
		}},
		{"restart", "POST", jobsPath + "/10/restart", func() error {
			_, err := restartJob(c, t.Context(), testProject, "10")
			return err
		}},
		{"detail", "GET", jobsPath + "/10", func() error {
			_, err := getJob(c, t.Context(), testProject, "10")
			return err
		}},
		{"list", "GET", jobsPath, func() error {
			_, err := listJobs(c, t.Context(), testProject)
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.call(); err != nil {
				t.Fatal(err)
			}
			if got.Method != tt.method || got.URL.Path != "/prefix"+tt.path {
				t.Errorf("sent %s %s", got.Method, got.URL.Path)
			}
			want := http.Header{
				"Accept":          {"application/json"},
				"Accept-Encoding": {"gzip"},
				"Content-Type":    {"application/json"},
				"User-Agent":      {"vizstop/1.2"},
				"X-Auth-Token":    {testToken},
			}
			if tt.method == "POST" {
				want["Content-Length"] = []string{"0"}
			}
			for name, values := range want {
				if !slices.Equal(got.Header[name], values) {
					t.Errorf("%s = %q, want %q", name, got.Header[name], values)
				}
			}
			for name := range got.Header {
				if want[name] == nil {
					t.Errorf("%s = %q was sent too", name, got.Header[name])
				}
			}
		})
	}
}

// countConnections serves handler and counts the connections made to it.
func countConnections(t *testing.T, handler http.HandlerFunc) (url string, count *atomic.Int32) {
	t.Helper()
	count = new(atomic.Int32)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			count.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, count
}

// Whatever the answer is, it is read to its end, so that its connection serves
// the next call.
func TestConnectionsAreReused(t *testing.T) {
	bodies := []struct {
		status int
		body   string
	}{
		{200, samples.Stop}, {200, ""}, {204, ""}, {200, samples.Page502}, {502, samples.Page502}, {404, samples.NoAPI},
		{302, "moved"}, {401, samples.Gateway}, {500, strings.Repeat("x", 1<<20)},
	}
	next := make(chan int, 1)
	url, connections := countConnections(t, func(w http.ResponseWriter, r *http.Request) {
		i := <-next
		w.WriteHeader(bodies[i].status)
		io.WriteString(w, bodies[i].body)
	})
	c := newClient(t, url)
	for i := range bodies {
		next <- i
		stopJob(c, t.Context(), testProject, "10")
	}
	if got := connections.Load(); got != 1 {
		t.Errorf("%d calls made %d connections, want 1", len(bodies), got)
	}
}

func TestPoolFitsConcurrency(t *testing.T) {
	const workers = 8
	url, connections := countConnections(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, samples.Stop)
	})
	c := newClient(t, url, WithMaxConnections(workers))
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range 20 {
				if _, err := stopJob(c, t.Context(), testProject, "10"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := connections.Load(); got > workers {
		t.Errorf("%d workers made %d connections", workers, got)
	}
}

func TestObserver(t *testing.T) {
	var seen observations
	now := newClock()
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		now.Add(1500 * time.Millisecond)
		if strings.HasSuffix(r.URL.Path, "/stop") {
			w.WriteHeader(429)
			return
		}
		io.WriteString(w, samples.Detail)
	})
	c := newClient(t, server.URL, WithObserver(seen.add), WithClock(now.Now))
	stopJob(c, t.Context(), testProject, "4211")
	getJob(c, t.Context(), testProject, "4211")
	getJob(c, t.Context(), testProject, "not an id")
	want := []Observation{
		{jobs.OperationStop, jobs.KindThrottled, 1500 * time.Millisecond, t.Context()},
		{jobs.OperationDetail, jobs.KindOK, 1500 * time.Millisecond, t.Context()},
	}
	if !slices.Equal(seen.all, want) {
		t.Errorf("observed %v, want %v", seen.all, want)
	}
}

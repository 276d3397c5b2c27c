package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vizstop/internal/console/problem"
	"vizstop/internal/console/site"
	"vizstop/internal/httpd"
	"vizstop/internal/logtest"
	"vizstop/internal/principals"
)

// patience is for machines that are very busy.
const patience = 2 * time.Minute

// served is a console on loopback with routes of the test, and a principal of each role.
type served struct {
	*testing.T
	console *Console
	addr    string
	log     *logtest.Buffer
	reg     *prometheus.Registry
	tokens  map[string]string // by principal
	release chan struct{}     // lets GET /wait end
	waiting atomic.Int64
	most    atomic.Int64 // of those that waited at once
	down    atomic.Bool  // Redis does not answer
	cut     atomic.Bool  // a client that took nothing was cut off
	asked   atomic.Int64 // how often it was asked
}

// options change a console before it is built and served.
type options struct {
	config func(*Config)
	built  func(*Console)
	web    string // a web configuration file
	open   bool   // no file of principals
}

func serve(t *testing.T, o options) *served {
	t.Helper()
	s := &served{T: t, log: &logtest.Buffer{}, reg: prometheus.NewRegistry(), tokens: map[string]string{}, release: make(chan struct{})}
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	config := Config{Site: &site.Site{Log: log, Actions: true}, Principals: s.directory(o.open), Registry: s.reg,
		Ready: func(context.Context) error {
			s.asked.Add(1)
			if s.down.Load() {
				return errors.New("hidden words of Redis")
			}
			return nil
		}}
	if o.config != nil {
		o.config(&config)
	}
	console, err := build(config, s.routes(config.Site))
	if err != nil {
		t.Fatal(err)
	}
	if o.built != nil {
		o.built(console)
	}
	server, err := httpd.Listen(httpd.Config{Listen: "127.0.0.1:0", WebConfig: o.web, Handler: console, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s.console, s.addr = console, server.Addr()
	t.Cleanup(func() {
		server.Close(time.Second)
		for name, token := range s.tokens {
			if strings.Contains(s.log.String(), token[4:]) {
				t.Errorf("the log shows the token of %s", name)
			}
		}
	})
	return s
}

func (s *served) directory(open bool) *principals.Directory {
	s.Helper()
	path := ""
	if !open {
		text := "principals:\n"
		for name, more := range map[string]string{"reader": "role: read", "asker": "role: ask, certificate: true", "operator": "role: operate",
			"former": "role: read, expires: 2020-01-01"} {
			token, hash := principals.NewToken()
			s.tokens[name] = token
			text += fmt.Sprintf("- {name: %s, token_hash: %q, %s}\n", name, hash, more)
		}
		path = filepath.Join(s.TempDir(), "principals.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			s.Fatal(err)
		}
	}
	d, err := principals.Open(path, nil)
	if err != nil {
		s.Fatal(err)
	}
	return d
}

func (s *served) routes(on *site.Site) []site.Route {
	handle := func(f func(w http.ResponseWriter, r *http.Request) error) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := f(w, r); err != nil {
				on.Fail(w, r, err)
			}
		})
	}
	count := handle(func(w http.ResponseWriter, r *http.Request) error {
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			fmt.Fprintf(w, "%d bytes of %s", n, principals.FromContext(r.Context()).Name)
		}
		return err
	})
	return []site.Route{
		{Pattern: "GET /{$}", Role: principals.Read, Handler: handle(func(w http.ResponseWriter, r *http.Request) error {
			fmt.Fprintf(w, "page of %s, link %s", principals.FromContext(r.Context()).Name, on.URL("/v1/jobs/1"))
			return nil
		})},
		{Pattern: "GET /public", Handler: handle(func(w http.ResponseWriter, r *http.Request) error {
			fmt.Fprint(w, principals.FromContext(r.Context()) == nil)
			return nil
		})},
		{Pattern: "GET /v1/jobs/{job}", Role: principals.Read, Handler: handle(func(w http.ResponseWriter, r *http.Request) error {
			fmt.Fprint(w, r.PathValue("job"))
			return nil
		})},
		{Pattern: "POST /v1/asks", Role: principals.Ask, Body: 1000, Handler: count},
		{Pattern: "PUT /v1/stream", Role: principals.Ask, Body: 64 << 20, Time: patience, Handler: count},
		{Pattern: "PUT /v1/soon", Role: principals.Ask, Body: 64 << 20, Time: 300 * time.Millisecond, Handler: count},
		{Pattern: "POST /act", Role: principals.Operate, Action: true, Handler: count},
		{Pattern: "GET /v1/panic", Role: principals.Read, Handler: handle(func(http.ResponseWriter, *http.Request) error { panic("hidden\nwords") })},
		{Pattern: "GET /v1/late", Role: principals.Read, Handler: handle(func(w http.ResponseWriter, _ *http.Request) error {
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
			panic("after the answer began")
		})},
		{Pattern: "GET /hang", Handler: handle(func(http.ResponseWriter, *http.Request) error {
			s.waiting.Add(1)
			defer s.waiting.Add(-1)
			<-s.release
			return nil
		})},
		{Pattern: "GET /endless", Handler: handle(func(w http.ResponseWriter, _ *http.Request) error {
			for {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					s.cut.Store(true)
					return nil
				}
			}
		})},
		{Pattern: "GET /v1/wait", Role: principals.Read, Time: patience, Waits: func(r *http.Request) bool { return r.URL.RawQuery != "" }, Handler: handle(func(w http.ResponseWriter, r *http.Request) error {
			n := s.waiting.Add(1)
			defer s.waiting.Add(-1)
			for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
			}
			select {
			case <-s.release:
				return nil
			case <-r.Context().Done():
				return r.Context().Err()
			}
		})},
		{Pattern: "GET /v1/over", Role: principals.Read, Time: time.Millisecond, Handler: handle(func(_ http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			return fmt.Errorf("ask Redis: %w", r.Context().Err())
		})},
		{Pattern: "GET /v1/fault", Role: principals.Read, Handler: handle(func(http.ResponseWriter, *http.Request) error { return errors.New("hidden words") })},
		{Pattern: "GET /v1/away", Role: principals.Read, Handler: handle(func(http.ResponseWriter, *http.Request) error {
			return fmt.Errorf("ask: %w", &net.OpError{Op: "dial", Err: errors.New("hidden words")})
		})},
	}
}

// call is a request; what is empty is GET of / without more.
type call struct {
	method, path, body string
	as                 string // a principal
	header             map[string]string
	host               string
	client             *http.Client
	scheme             string
}

// answered is what came back.
type answered struct {
	status int
	header http.Header
	body   string
}

// problem is the type of the problem that the answer is; "" if it is none.
func (a answered) problem() string {
	var p struct {
		Type, Instance string
		Status         int
	}
	if a.header.Get("Content-Type") != problem.ContentType || json.Unmarshal([]byte(a.body), &p) != nil || p.Status != a.status || p.Instance == "" {
		return ""
	}
	return strings.TrimPrefix(p.Type, "/problems/")
}

func (s *served) do(c call) answered {
	s.Helper()
	a, err := s.try(c)
	if err != nil {
		s.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	return a
}

func (s *served) try(c call) (answered, error) {
	scheme := c.scheme
	if scheme == "" {
		scheme = "http"
	}
	req, err := http.NewRequestWithContext(s.Context(), c.method, scheme+"://"+s.addr+c.path, strings.NewReader(c.body))
	if err != nil {
		return answered{}, err
	}
	if c.as != "" {
		req.Header.Set("Authorization", "Bearer "+s.tokens[c.as])
	}
	for name, value := range c.header {
		req.Header.Set(name, value)
	}
	req.Host = c.host
	client := c.client
	if client == nil {
		client = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	res, err := client.Do(req)
	if err != nil {
		return answered{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answered{res.StatusCode, res.Header, string(body)}, err
}

// await waits until something is so.
func (s *served) await(what string, is func() bool) {
	s.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("%s did not come", what)
		}
	}
}

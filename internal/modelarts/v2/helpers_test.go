package v2_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	v2 "vizstop/internal/modelarts/v2"
)

const (
	project   = "0123456789abcdef0123456789abcdef"
	jobID     = "0f4b2c1e-1111-4222-8333-944455566677"
	testToken = "token-for-tests"
)

// simulate is an API of a simulator that runs until the test ends.
func simulate(t *testing.T, cfg modelartstest.Config, o v2.Options) (*modelartstest.Simulator, *v2.API) {
	t.Helper()
	server, err := modelartstest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server.Simulator, newAPI(t, o, modelarts.WithHTTPClient(&http.Client{Transport: toServer(server.URL)}))
}

// toServer sends every request to the server at a URL.
type toServer string

func (s toServer) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Host = strings.TrimPrefix(string(s), "http://")
	return http.DefaultTransport.RoundTrip(req)
}

func newAPI(t *testing.T, o v2.Options, opts ...modelarts.Option) *v2.API {
	t.Helper()
	client, err := modelarts.New("http://127.0.0.1", opts...)
	if err != nil {
		t.Fatal(err)
	}
	return v2.New(client, o)
}

// answers answers requests without a server: with what it returns for the operation,
// "detail", "stop" or "list". It counts them.
type answers struct {
	answer func(operation string, req *http.Request) (status int, body string)

	mu    sync.Mutex
	calls map[string]int
	last  *http.Request
	body  string // of the last
}

func (a *answers) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	operation := "detail"
	switch {
	case strings.HasSuffix(req.URL.Path, "/training-job-searches"):
		operation = "list"
	case strings.HasSuffix(req.URL.Path, "/actions"):
		operation = "stop"
	}
	a.mu.Lock()
	if a.calls == nil {
		a.calls = map[string]int{}
	}
	a.calls[operation]++
	a.last, a.body = req, string(body)
	a.mu.Unlock()
	status, text := a.answer(operation, req)
	header := http.Header{"X-Request-Id": {"h1"}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(text)), Request: req}, nil
}

func (a *answers) api(t *testing.T, o v2.Options, opts ...modelarts.Option) *v2.API {
	t.Helper()
	return newAPI(t, o, append(opts, modelarts.WithHTTPClient(&http.Client{Transport: a}))...)
}

// fixed gives every call the same answer.
func fixed(t *testing.T, status int, body string) *v2.API {
	t.Helper()
	a := answers{answer: func(string, *http.Request) (int, string) { return status, body }}
	return a.api(t, v2.Options{})
}

// visualization is the detail answer about jobID as a visualization job in a phase.
func visualization(phase string) string {
	return `{"kind":"visualization_job","metadata":{"id":"` + jobID + `"},"status":{"phase":"` + phase + `"}}`
}

// asError fails the test if err is not a *jobs.Error.
func asError(t *testing.T, err error) *jobs.Error {
	t.Helper()
	apiErr, ok := errors.AsType[*jobs.Error](err)
	if !ok {
		t.Fatalf("error is %#v, want a *jobs.Error", err)
	}
	return apiErr
}

// purse counts what is spent, and refuses with err if that is set.
type purse struct {
	mu    sync.Mutex
	spent int
	err   error
}

func (p *purse) spend(_ context.Context, projectID string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if projectID != project {
		return errors.New("asked for project " + projectID)
	}
	p.spent++
	return p.err
}

// taken is what was spent since the last time.
func (p *purse) taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.spent
	p.spent = 0
	return n
}

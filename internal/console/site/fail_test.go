package site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/console/operate"
	"vizstop/internal/console/problem"
	"vizstop/internal/control"
)

// redisError is what a Redis says.
type redisError string

func (e redisError) Error() string { return string(e) }

// RedisError makes it a redis.Error.
func (redisError) RedisError() {}

var _ redis.Error = redisError("")

func TestFail(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		err  error
		want problem.Type
		says string
	}{
		{problem.New(problem.KeyReused, "another body"), problem.KeyReused, "another body"},
		{fmt.Errorf("read: %w", problem.New(problem.SlowBody, "slow")), problem.SlowBody, "slow"},
		{&control.UnknownError{Batch: "b1"}, problem.NotFound, `batch \"b1\" is not in the ledger`},
		{&operate.ChangedError{Plan: &operate.Plan{Count: 3, Unit: "stops", Scope: "batch b1"}}, problem.Changed, "look again"},
		{new(operate.SpentError), problem.Conflict, ""},
		{new(operate.ReusedError), problem.KeyReused, "new key"},
		{&operate.BusyError{}, problem.InProgress, "under way"},
		{new(operate.ForbiddenError), problem.ProjectDenied, ""},
		{new(operate.RefusedError), problem.InvalidContent, ""},
		{new(operate.NothingError), problem.InvalidContent, ""},
		{&net.OpError{Op: "dial", Err: errors.New("hidden")}, problem.Unavailable, "can't reach Redis"},
		{io.EOF, problem.Unavailable, "can't reach Redis"},
		{redis.ErrPoolTimeout, problem.Unavailable, "can't reach Redis"},
		{redisError("LOADING hidden"), problem.Unavailable, "can't reach Redis"},
		{redisError("WRONGTYPE hidden"), problem.Internal, "The log"},
		{errors.New("hidden"), problem.Internal, "The log"},
		{context.Canceled, problem.TookTooLong, "repeat the request"},
	} {
		s := &Site{Log: slog.New(slog.DiscardHandler), Prefix: "/p"}
		r := httptest.NewRequest("GET", "/p/v1/batches?token=hidden", nil)
		if c.want == problem.TookTooLong {
			r = r.WithContext(ended)
		}
		w := httptest.NewRecorder()
		w.Header().Set("ETag", "x")
		s.Fail(w, r, c.err)
		body := w.Body.String()
		if w.Code != c.want.Status() || w.Header().Get("Content-Type") != problem.ContentType || w.Header().Get("ETag") != "" ||
			!strings.Contains(body, `"type":"/problems/`+string(c.want)+`"`) || !strings.Contains(body, `"instance":"/p/v1/batches"`) ||
			!strings.Contains(body, c.says) || strings.Contains(body, "hidden") {
			t.Errorf("%v: %d %v %s", c.err, w.Code, w.Header(), body)
		}
	}
}

// What is not for programs is answered in words, or as pages like.
func TestFailOfPages(t *testing.T) {
	t.Parallel()
	s := &Site{Log: slog.New(slog.DiscardHandler)}
	p := problem.New(problem.NotFound, "There is nothing.")
	for _, path := range []string{"/", "/v10", "/openapi"} {
		w := httptest.NewRecorder()
		s.Fail(w, httptest.NewRequest("GET", path, nil), p)
		if w.Code != 404 || w.Body.String() != "There is no such thing: There is nothing.\n" || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s: %d %v %q", path, w.Code, w.Header(), w.Body)
		}
	}
	s.ErrorPage = func(w http.ResponseWriter, _ *http.Request, p *problem.Problem) {
		p.Head(w, "text/html")
		fmt.Fprint(w, "a page")
	}
	w := httptest.NewRecorder()
	if s.Fail(w, httptest.NewRequest("GET", "/", nil), p); w.Code != 404 || w.Body.String() != "a page" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// The log tells the route of what has failed: paths have ids of jobs in them, which are in no log.
func TestFailuresTellNoJob(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	s := &Site{Log: slog.New(slog.NewTextHandler(&log, nil)), Prefix: "/p"}
	for _, err := range []error{io.EOF, errors.New("broken")} {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /p/v1/projects/{project_id}/jobs/{job_id}", func(w http.ResponseWriter, r *http.Request) { s.Fail(w, r, err) })
		mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/p/v1/projects/p1/jobs/job-4711", nil))
	}
	if text := log.String(); strings.Contains(text, "4711") || strings.Count(text, "route=/v1/projects/{project_id}/jobs/{job_id}") != 2 {
		t.Errorf("the log says %s", text)
	}
}

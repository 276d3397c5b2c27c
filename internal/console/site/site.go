// Package site is what the handlers of the console share: where it is, what it was given, and how it answers with a
// problem. API and pages give the console their routes; the middleware around them is the console's.
package site

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/console/problem"
	"vizstop/internal/control"
	"vizstop/internal/principals"
	"vizstop/internal/settings"
)

// Site is one console. It is safe for concurrent use; nobody changes it once it serves.
type Site struct {
	Desk    *control.Desk     // what is read and done; both faces go through it
	Prefix  string            // the path below which everything is, such as "/vizstop"; "" for none
	Actions bool              // whether actions are switched on; the role is the principal's
	API     *settings.Service // ModelArts, for rules and undo; nil: the console has no credentials
	Log     *slog.Logger

	GrafanaURL string // of the dashboards, without a slash at the end; "": not known
	RunbookURL string // of the runbooks; "": not known

	// ErrorPage answers a person with a problem, status and headers included (problem.Head). It is for pages to set; nil: in
	// plain words.
	ErrorPage func(w http.ResponseWriter, r *http.Request, p *problem.Problem)
}

// Route is one way into the console. The middleware has checked all that it says before the handler is called.
type Route struct {
	// Pattern is one of http.ServeMux with method and without host and prefix, such as "GET /v1/batches/{batch}". GET takes
	// HEAD too. The path of it is the label of metrics and logs, in place of the path that was asked for.
	Pattern string
	// Role is the least that the principal needs; 0: nobody is asked who they are, and there is no principal in the context.
	Role principals.Role
	// Action refuses the request unless actions are switched on.
	Action bool
	// Body is the longest body in bytes; 0: DefaultBody. Reading more gives a *problem.Problem, as reading a body that is cut
	// or slow does: a handler passes it to Fail. A body may take any time as long as it makes progress.
	Body int64
	// Time ends the request's context, counted from its header; 0: DefaultTime.
	Time    time.Duration
	Handler http.Handler
}

// What a Route has that does not say more.
const (
	DefaultBody = 64 << 10
	DefaultTime = 30 * time.Second
)

// URL is a path of the console as a link has it: below the prefix. The path begins with a slash and is escaped already.
func (s *Site) URL(path string) string { return s.Prefix + path }

// Path is the path that was asked for, without the prefix.
func (s *Site) Path(r *http.Request) string { return strings.TrimPrefix(r.URL.Path, s.Prefix) }

// IsAPI reports whether a request is one of programs: below /v1 every answer is JSON.
func (s *Site) IsAPI(r *http.Request) bool {
	path := s.Path(r)
	return path == "/v1" || strings.HasPrefix(path, "/v1/")
}

// Fail answers with what went wrong: a *problem.Problem as it is, trouble with Redis and a context that ended as what they
// are, and anything else as a fault of the console, which is logged and not shown. Nothing must be written before.
func (s *Site) Fail(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problemOf(r, err)
	switch {
	case s.IsAPI(r):
		p.Write(w, r)
	case s.ErrorPage != nil:
		s.ErrorPage(w, r, p)
	default:
		p.Head(w, "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, p.Error()+"\n")
	}
}

func (s *Site) problemOf(r *http.Request, err error) *problem.Problem {
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return p
	}
	ctx := r.Context()
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil, errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return &problem.Problem{Type: problem.TookTooLong, RetryAfter: retryUnavailable,
			Detail: "The console did not finish in time. What it had begun to write may be there: repeat the request, which changes nothing twice."}
	case isUnavailable(err):
		s.Log.WarnContext(ctx, "Redis does not answer the console", "path", s.Path(r), "error", err)
		return &problem.Problem{Type: problem.Unavailable, RetryAfter: retryUnavailable,
			Detail: "The console can't reach Redis, or Redis can't work now. Try again; /readyz tells when it is well."}
	}
	s.Log.ErrorContext(ctx, "the console has failed", "path", s.Path(r), "error", err)
	return problem.New(problem.Internal, "The log of the console says what it was.")
}

const retryUnavailable = 5 * time.Second

// isUnavailable reports whether an error says that Redis cannot be reached, or cannot work for now.
func isUnavailable(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.EOF) || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrClosed) {
		return true
	}
	said, ok := errors.AsType[redis.Error](err)
	if !ok {
		return false
	}
	for _, word := range []string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "OOM", "MISCONF", "BUSY", "NOREPLICAS"} {
		if strings.HasPrefix(said.Error(), word) {
			return true
		}
	}
	return false
}

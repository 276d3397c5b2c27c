package site

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/console/operate"
	"vizstop/internal/console/problem"
	"vizstop/internal/control"
	"vizstop/internal/redisconn"
)

// Fail answers with what went wrong: a *problem.Problem as it is, an error of control or operate that says what to
// do as the problem that it is, trouble with Redis and a context that ended as such, and anything else as a fault
// of the console, which is logged and not shown. Nothing must be written before.
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
	if t := known(err); t != "" {
		return problem.New(t, err.Error())
	}
	ctx := r.Context()
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil, errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return &problem.Problem{Type: problem.TookTooLong, RetryAfter: retryUnavailable,
			Detail: "The console did not finish in time. What it had begun to write may be there: repeat the request, which changes nothing twice."}
	case redisconn.WritesRefused(err) != "":
		s.Log.WarnContext(ctx, "Redis refuses a write of the console", "route", s.route(r), "error", err)
		return &problem.Problem{Type: problem.Unavailable, RetryAfter: retryUnavailable, Detail: redisconn.WritesRefused(err) +
			". To keep stop calls back without Redis, stop the workers."}
	case isUnavailable(err):
		s.Log.WarnContext(ctx, "Redis does not answer the console", "route", s.route(r), "error", err)
		return &problem.Problem{Type: problem.Unavailable, RetryAfter: retryUnavailable,
			Detail: "The console can't reach Redis, or Redis can't work now. Try again; /readyz tells when it is well."}
	}
	s.Log.ErrorContext(ctx, "the console has failed", "route", s.route(r), "error", err)
	return problem.New(problem.Internal, "The log of the console says what it was.")
}

// known is the type of an error whose words are for whoever asked; "" if it is none.
func known(err error) problem.Type {
	if _, ok := errors.AsType[*control.UnknownError](err); ok {
		return problem.NotFound
	}
	if _, ok := errors.AsType[*operate.ChangedError](err); ok {
		return problem.Changed
	}
	if _, ok := errors.AsType[*operate.BusyError](err); ok {
		return problem.InProgress
	}
	if _, ok := errors.AsType[*operate.SpentError](err); ok {
		return problem.Conflict
	}
	if _, ok := errors.AsType[*operate.ReusedError](err); ok {
		return problem.KeyReused
	}
	if _, ok := errors.AsType[*operate.ForbiddenError](err); ok {
		return problem.ProjectDenied
	}
	if _, ok := errors.AsType[*operate.RefusedError](err); ok {
		return problem.InvalidContent
	}
	if _, ok := errors.AsType[*operate.NothingError](err); ok {
		return problem.InvalidContent
	}
	return ""
}

// route is the route of a request as the log has it: its path may have ids of jobs in it.
func (s *Site) route(r *http.Request) string {
	_, place, _ := strings.Cut(r.Pattern, " ")
	return strings.TrimPrefix(place, s.Prefix)
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
	for _, word := range []string{"LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY"} {
		if strings.HasPrefix(said.Error(), word) {
			return true
		}
	}
	return false
}

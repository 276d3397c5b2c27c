// Package site is what the handlers of the console share: where it is, what it was given, and how it answers with a
// problem. API and pages give the console their routes; the middleware around them is the console's.
package site

import (
	"log/slog"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"vizstop/internal/console/operate"
	"vizstop/internal/console/problem"
	"vizstop/internal/console/snapshot"
	"vizstop/internal/control"
	"vizstop/internal/principals"
	"vizstop/internal/settings"
)

// Site is one console. It is safe for concurrent use; nobody changes it once it serves.
type Site struct {
	Desk     *control.Desk     // what is read and asked for; both faces go through it
	Operator *operate.Operator // what is ordered
	Snapshot *snapshot.Source  // what Redis holds, read at most once a second for both faces; console.New makes it
	Prefix   string            // the path below which everything is, such as "/vizstop"; "" for none
	Actions  bool              // whether actions are switched on; the role is the principal's
	API      *settings.Service // ModelArts, for rules and undo; nil: the console has no credentials
	Log      *slog.Logger

	GrafanaURL string // of the dashboards, without a slash at the end; "": not known
	RunbookURL string // of the runbooks; "": not known

	// ErrorPage answers a person with a problem, status and headers included (problem.Head). It is for pages to
	// set; nil: in plain words.
	ErrorPage func(w http.ResponseWriter, r *http.Request, p *problem.Problem)
}

// Route is one way into the console. The middleware has checked all that it says before the handler is called.
type Route struct {
	// Pattern is one of http.ServeMux with method and without host and prefix, such as "GET /v1/batches/{batch}".
	// GET takes HEAD too. The path of it is the label of metrics and logs, in place of the path that was asked for.
	Pattern string
	// Role is the least that the principal needs; 0: nobody is asked who they are, and there is no principal in the
	// context. Whoever is not known has few of these at work at once, and seconds to take the answer.
	Role principals.Role
	// Action refuses the request unless actions are switched on.
	Action bool
	// Body is the longest body in bytes; 0: DefaultBody. Reading more gives a *problem.Problem, as reading a body
	// that is cut or slow does: a handler passes it to Fail. A body may take all of Time as long as it makes
	// progress.
	Body int64
	// Time ends the request's context, counted from its header; 0: DefaultTime. Reading a body ends then, too.
	Time time.Duration
	// Waits reports whether a request may wait for something to happen, as with ?wait. Of those a principal has
	// fewer at work than of others; nil: none waits.
	Waits   func(*http.Request) bool
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

// IsAPI reports whether a request is one of programs: its problems are JSON.
func (s *Site) IsAPI(r *http.Request) bool {
	path := strings.TrimPrefix(path.Clean(r.URL.Path), s.Prefix) // a client may have written one slash too many
	return path == "/v1" || strings.HasPrefix(path, "/v1/") || path == "/openapi.yaml"
}

// Remote is the address that a request came from, without its port: that of a proxy, if there is one.
func Remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

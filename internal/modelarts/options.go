package modelarts

import (
	"context"
	"net/http"
	"time"
	"vizstop/internal/jobs"
)

// Option changes a default of New.
type Option func(*options)

// WithHTTPClient sends through a copy of h instead of a client of our own; h
// itself is not changed. Of the copy, redirects are switched off, and a nil
// Transport is replaced by ours. Its Timeout, if set, also bounds each exchange.
// New refuses a Transport whose TLS settings allow less than TLS 1.2. A nil h
// changes nothing.
func WithHTTPClient(h *http.Client) Option {
	return func(o *options) { o.httpClient = h }
}

// WithCredentials proves who we are with creds on each request.
func WithCredentials(creds Credentials) Option {
	return func(o *options) { o.creds = creds }
}

// WithAdvice is the hint of a refusal of who we are that has no other: what a person is to check.
func WithAdvice(text string) Option {
	return func(o *options) { o.advice = text }
}

// WithUserAgent replaces the User-Agent header "vizstop".
func WithUserAgent(agent string) Option {
	return func(o *options) { o.userAgent = agent }
}

// WithMaxConnections is how many connections to a host are open at most, and
// how many are kept for reuse; the default is 32. A call that finds all of them
// busy waits, so n should be no less than the number of concurrent calls. It has
// no effect on a Transport that came with WithHTTPClient.
func WithMaxConnections(n int) Option {
	return func(o *options) { o.maxConnections = n }
}

// WithRoundTripper sends through wrap(t), where t is the client's own transport or
// that of WithHTTPClient. What wrap returns must keep to the contract of
// http.RoundTripper. Several of them wrap each other, the last outermost.
func WithRoundTripper(wrap func(t http.RoundTripper) http.RoundTripper) Option {
	return func(o *options) { o.wraps = append(o.wraps, wrap) }
}

// WithObserver calls f after every HTTP exchange, in the goroutine that made it
// and before the call returns. f must be quick and safe for concurrent use.
func WithObserver(f func(Observation)) Option {
	return func(o *options) { o.observe = f }
}

// WithClock replaces time.Now for signatures, the age of tokens, Retry-After
// and the duration in an Observation. now must be safe for concurrent use.
func WithClock(now func() time.Time) Option {
	return func(o *options) { o.now = now }
}

// AllowPlainHTTP also allows http to hosts other than this machine. Tokens and
// the names of jobs then travel in clear.
func AllowPlainHTTP() Option {
	return func(o *options) { o.plainHTTP = true }
}

// Observation tells of one HTTP exchange: a request and its answer, or the lack
// of one. A call whose token had to be fetched or renewed makes several; a call
// that fails before anything is sent makes none.
type Observation struct {
	Operation string        // one of jobs.Operations
	Kind      jobs.Kind     // jobs.KindOK for success
	Duration  time.Duration // until the whole answer was read, or until it was given up

	Context context.Context // of the call, for the values that it carries
}

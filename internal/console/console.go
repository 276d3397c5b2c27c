// Package console is the HTTP server's inside: the API and the pages, and around them what every request passes: who
// sends it, from where, how much, how fast.
package console

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vizstop/internal/console/httpapi"
	"vizstop/internal/console/pages"
	"vizstop/internal/console/problem"
	"vizstop/internal/console/site"
	"vizstop/internal/console/snapshot"
	"vizstop/internal/lasthour"
	shared "vizstop/internal/metrics"
	"vizstop/internal/principals"
)

// Config is a console.
type Config struct {
	Site       *site.Site // what API and pages are given
	Principals *principals.Directory

	// TrustedOrigins are those, such as "https://ops.example.com", whose pages may send requests that write,
	// besides the console's own: where a proxy shows it under another host. Their hosts are taken in Host, too.
	TrustedOrigins []string
	// Hosts are names, without port, that requests may have in Host besides loopback names and the address that was
	// dialled.
	Hosts []string

	// Rate is how many requests a second a principal may send, and twice that in a burst; 0: DefaultRate.
	Rate int
	// InFlight is how many requests are at work at once, of all principals; 0: DefaultInFlight. One principal has a
	// quarter.
	InFlight int

	Ready func(context.Context) error // whether Redis answers; it is asked at most once a second
	// Refused says of each changed file whose new content is not in use why not; nil: no file is read again.
	Refused  func() []string
	Registry *prometheus.Registry // is shown, and gets the console's own series
	// OwnMetrics leaves /metrics to the handler of Plain.
	OwnMetrics bool
}

// The defaults of Config.
const (
	DefaultRate     = 500
	DefaultInFlight = 2048
)

// Console is an http.Handler.
type Console struct {
	site       *site.Site
	principals *principals.Directory
	log        *slog.Logger
	now        func() time.Time

	mux    *http.ServeMux
	routes map[string]*route // by pattern of mux

	hosts   map[string]bool
	origins *http.CrossOriginProtection

	limits       *limits
	strangers    *strangers
	guesses      *guesses
	muffle       *muffle
	pace         pace
	metrics      *metrics
	ready        *readiness
	refusedFiles func() []string
	plain        http.Handler
}

// route is a site.Route with its defaults filled in.
type route struct {
	site.Route
	label   string // its path in metrics and logs
	anyHost bool   // it says nothing that another site should not know
	probe   bool   // its answer is short and there at once: it is in no limit
	quiet   bool   // it is asked all the time, and only a failure is logged
}

// unmatched is the label of whatever no route is for.
const unmatched = "unmatched"

// New is a console of the routes of API and pages. The error names a trusted origin that is none.
func New(c Config) (*Console, error) {
	if desk := c.Site.Desk; desk != nil { // a test of the middleware alone has none
		c.Site.Snapshot = snapshot.New(desk, lasthour.NewReader(desk.Redis, desk.Fleet.Now).Read)
	}
	return build(c, slices.Concat(httpapi.New(c.Site), pages.New(c.Site)))
}

func build(c Config, routes []site.Route) (*Console, error) {
	con := &Console{
		site: c.Site, principals: c.Principals, log: c.Site.Log, now: time.Now,
		mux: http.NewServeMux(), routes: map[string]*route{},
		hosts: map[string]bool{"localhost": true}, origins: http.NewCrossOriginProtection(),
		limits: newLimits(c.Rate, c.InFlight), strangers: newStrangers(), guesses: newGuesses(), muffle: newMuffle(c.Site.Log), pace: defaultPace(),
		metrics: newMetrics(c.Registry), ready: &readiness{ask: c.Ready}, refusedFiles: c.Refused,
	}
	if con.refusedFiles == nil {
		con.refusedFiles = func() []string { return nil }
	}
	c.Registry.MustRegister(shared.NewRefusedFiles(func() int { return len(con.refusedFiles()) }))
	for _, name := range c.Hosts {
		con.hosts[hostName(name)] = true
	}
	for _, origin := range c.TrustedOrigins {
		if err := con.origins.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
		if u, err := url.Parse(origin); err == nil {
			con.hosts[hostName(u.Host)] = true
		}
	}
	for _, r := range routes {
		con.add(route{Route: r}, c.Site.Prefix)
	}
	con.addHealth(c)
	return con, nil
}

// add mounts a route below each of the prefixes.
func (c *Console) add(r route, prefixes ...string) {
	method, place, _ := strings.Cut(r.Pattern, " ")
	r.label = place
	if r.Body == 0 {
		r.Body = site.DefaultBody
	}
	if r.Time == 0 {
		r.Time = site.DefaultTime
	}
	slices.Sort(prefixes)
	for _, prefix := range slices.Compact(prefixes) {
		pattern := method + " " + prefix + place
		c.routes[pattern] = &r
		c.mux.Handle(pattern, r.Handler)
	}
}

// ServeHTTP passes a request to its route, if it may have it.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := &answer{ResponseWriter: w, control: http.NewResponseController(w), began: c.now()}
	_, pattern := c.mux.Handler(r)
	rt := c.routes[pattern]
	if rt == nil { // whoever asks for what isn't there is asked who they are, too
		rt = &route{Route: site.Route{Role: principals.Read, Body: site.DefaultBody, Time: site.DefaultTime}, label: unmatched}
	}
	c.metrics.inFlight.Inc()
	defer c.finish(a, r, rt)

	ctx, cancel := context.WithTimeout(r.Context(), rt.Time)
	defer cancel()
	r = r.WithContext(ctx)
	a.allow(0, strangerPause) // until it is known who it is
	secure(a.Header(), r.TLS != nil)
	if len(r.TransferEncoding) > 0 {
		// It may have had a Content-Length besides, which net/http hides. A proxy that went by that takes what
		// follows for another's request; RFC 9112, 6.1, says to close.
		a.Header().Set("Connection", "close")
	}
	release, err := c.admit(a, &r, rt)
	defer release()
	switch {
	case err != nil:
		c.refused(a, r, err)
	case c.site.IsAPI(r) && path.Clean(r.URL.EscapedPath()) != r.URL.EscapedPath(): // http.ServeMux would send it there, in HTML
		c.site.Fail(a, r, problem.New(problem.NotFound, "There is nothing at this address. Write its path as "+path.Clean(r.URL.EscapedPath())+"."))
	case rt.label == unmatched:
		c.noRoute(a, r)
	default:
		c.mux.ServeHTTP(a, r)
	}
}

// refused answers with what the middleware has found.
func (c *Console) refused(a *answer, r *http.Request, p *problem.Problem) {
	c.metrics.refuse(p.Type)
	c.site.Fail(a, r, p)
}

// noRoute says whether nothing is there, or only nothing for the method.
func (c *Console) noRoute(a *answer, r *http.Request) {
	h, _ := c.mux.Handler(r)
	var probe muxAnswer
	h.ServeHTTP(&probe, r)
	if allow := probe.Header().Get("Allow"); allow != "" {
		a.Header().Set("Allow", allow)
		c.site.Fail(a, r, problem.New(problem.MethodNotAllowed, "This address takes "+allow+"."))
		return
	}
	detail := "There is nothing at this address."
	if prefix := c.site.Prefix; prefix != "" && !strings.HasPrefix(r.URL.Path, prefix+"/") {
		detail = "The console is below " + prefix + "/ (--prefix): a proxy in front of it has to pass paths as they are."
	}
	c.site.Fail(a, r, problem.New(problem.NotFound, detail))
}

// muxAnswer keeps what http.ServeMux would say of a request without a route.
type muxAnswer struct{ header http.Header }

func (m *muxAnswer) Header() http.Header {
	if m.header == nil {
		m.header = http.Header{}
	}
	return m.header
}

func (m *muxAnswer) Write(p []byte) (int, error) { return len(p), nil }

func (m *muxAnswer) WriteHeader(int) {}

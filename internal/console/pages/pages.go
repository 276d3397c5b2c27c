// Package pages is the web page of the console: templates, a style sheet and a small script, all of its own. Every page
// works without the script.
package pages

import (
	"embed"
	"net/http"

	"vizstop/internal/console/operate"
	"vizstop/internal/console/site"
	"vizstop/internal/console/snapshot"
	"vizstop/internal/principals"
)

//go:embed templates/*.html static/*
var files embed.FS

// pages is what every handler has.
type pages struct {
	site      *site.Site
	source    *snapshot.Source
	operator  *operate.Operator
	results   results
	templates map[string]*page
	static    map[string]staticFile
}

// New returns the routes of the pages and of their static files, and has the site answer problems with a page.
func New(s *site.Site) []site.Route {
	p := &pages{site: s, source: s.Snapshot, operator: s.Operator, static: readStatic()}
	p.templates = p.parse()
	s.ErrorPage = p.problem
	return p.routes()
}

func (p *pages) routes() []site.Route {
	routes := []site.Route{{Pattern: "GET /static/{name}", Handler: http.HandlerFunc(p.serveStatic)}}
	for pattern, show := range map[string]handler{
		"GET /{$}":                  p.overview,
		"GET /batches":              p.batches,
		"GET /batches/{batch}":      p.batch,
		"GET /jobs/{project}/{job}": p.job,
		"GET /schedules":            p.schedules,
		"GET /limits":               p.limits,
		"GET /actions":              p.actions,
		"GET /accounts":             p.accounts,
	} {
		routes = append(routes, site.Route{Pattern: pattern, Role: principals.Read, Handler: p.handle(show)})
	}
	return append(routes,
		site.Route{Pattern: "GET /act/{action}", Role: principals.Operate, Action: true, Handler: p.handle(p.confirm)},
		site.Route{Pattern: "POST /act/{action}", Role: principals.Operate, Action: true, Body: 16 << 10, Handler: p.handle(p.act)})
}

// handler answers a request. What it returns as an error becomes a page in words; then it has written nothing.
type handler func(w http.ResponseWriter, r *http.Request) error

func (p *pages) handle(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			p.site.Fail(w, r, err)
		}
	})
}

// who is whose request it is.
func who(r *http.Request) *principals.Principal { return principals.FromContext(r.Context()) }

// mayAct reports whether links to actions make sense for a person.
func (p *pages) mayAct(r *http.Request) bool { return p.site.Actions && who(r).May(principals.Operate) }

package browsertest

import (
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
)

var forgery = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><title>another site</title>
<form method="post" action="{{.Target}}">
{{range $name, $values := .Fields}}{{range $values}}<input type="hidden" name="{{$name}}" value="{{.}}">{{end}}{{end}}
<button>Win a prize</button></form></html>
`))

// ForgedPost has somebody with the page's Options, in a browser that knows the same password, click a button on
// another site, which posts a form to target, a URL with a host in numbers. It returns the status of the answer.
// The other site is a second local server, under the name localhost, so that it is another site for the browser,
// not only another port.
func (p *Page) ForgedPost(target string, fields url.Values) int {
	p.t.Helper()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_ = forgery.Execute(w, map[string]any{"Target": target, "Fields": fields})
	}))
	defer other.Close()
	victim := p.browser.Page(p.t, p.options)
	victim.Goto(strings.Replace(other.URL, "127.0.0.1", "localhost", 1))
	victim.Expect("") // all that the answer brings with it
	victim.Through(func() { victim.Click("button") })
	return victim.Status()
}

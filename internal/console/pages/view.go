package pages

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/fnv"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"vizstop/internal/console/problem"
	"vizstop/internal/console/snapshot"
	"vizstop/internal/plain"
	"vizstop/internal/principals"
)

// page is a template and what is the same each time.
type page struct{ *template.Template }

// view is what a template gets.
type view struct {
	Title string
	Nav   string // which entry of the navigation it belongs to
	Body  any

	Now     time.Time // by the fleet's clock, of what is shown
	Trouble string    // why it is not from now; "": it is
	Live    bool      // the script keeps it up to date
	Did     *did      // what has just been done; nil: nothing

	Principal *principals.Principal
	May       bool // act
	Accounts  bool // there is a page of accounts
	Grafana   string
	Path      string // that was asked for, with its query, for the link that loads it again
}

// nav is the navigation, in its order.
var nav = []struct{ Path, Name string }{
	{"/", "Overview"}, {"/batches", "Batches"}, {"/schedules", "Schedules"}, {"/limits", "Limits"}, {"/actions", "Actions"}, {"/accounts", "Accounts"},
}

// Entries are the entries of the navigation that the reader has.
func (v *view) Entries() []struct{ Path, Name string } {
	entries := slices.Clone(nav)
	if !v.Accounts {
		entries = entries[:len(entries)-1]
	}
	return entries
}

// newView begins a page.
func (p *pages) newView(r *http.Request, title, nav string, body any) *view {
	address := p.site.URL(p.site.Path(r))
	if r.URL.RawQuery != "" {
		address += "?" + r.URL.RawQuery
	}
	return &view{Title: title, Nav: nav, Body: body, Now: p.site.Desk.Fleet.Now().UTC(), Principal: who(r), May: p.mayAct(r),
		Accounts: p.hasAccounts(), Grafana: p.site.GrafanaURL, Path: address}
}

// Says is what a problem says, as a sentence. One that begins with a principal's name stays as it is.
func (v *view) Says(s string) string {
	if what, ok := v.Body.(*problem.Problem); ok && what.Type == problem.RoleTooLow {
		return plain.Line(s, 1000)
	}
	return sentence(s)
}

// kept tells of what age the data of a page is.
func (v *view) kept(read time.Time, trouble error) *view {
	v.Live = true
	if trouble != nil {
		age := max(0, time.Since(read))
		v.Trouble = fmt.Sprintf("Redis does not answer the console. This is how it was %s ago.", span(age))
		v.Now = v.Now.Add(-age)
	}
	return v
}

// parse reads the templates. They are part of the program, so one that can't be read is a fault of it.
func (p *pages) parse() map[string]*page {
	all := map[string]*page{}
	funcs := p.funcs()
	names, err := files.ReadDir("templates")
	if err != nil {
		panic(err)
	}
	shared := []string{"templates/layout.html", "templates/parts.html"}
	for _, entry := range names {
		name := "templates/" + entry.Name()
		if slices.Contains(shared, name) {
			continue
		}
		all[strings.TrimSuffix(entry.Name(), ".html")] = &page{
			template.Must(template.New(entry.Name()).Funcs(funcs).ParseFS(files, append(shared, name)...))}
	}
	return all
}

// show answers with a page. A reader who has the same already is told so.
func (p *pages) show(w http.ResponseWriter, r *http.Request, name string, v *view) error {
	return p.showAs(w, r, http.StatusOK, name, v)
}

func (p *pages) showAs(w http.ResponseWriter, r *http.Request, status int, name string, v *view) error {
	var b bytes.Buffer
	if err := p.templates[name].ExecuteTemplate(&b, "layout", v); err != nil {
		return err
	}
	h := w.Header()
	if status == http.StatusOK && v.Trouble == "" && v.Live {
		sum := fnv.New64a()
		_, _ = sum.Write(b.Bytes())
		if sameTag(w, r, strconv.FormatUint(sum.Sum64(), 36)) {
			return nil
		}
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
	return nil
}

// sameTag sets the ETag, and answers 304 to who has that already.
func sameTag(w http.ResponseWriter, r *http.Request, tag string) bool {
	tag = `"` + tag + `"`
	h := w.Header()
	h.Set("Etag", tag)
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Authorization")
	for known := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(known), "W/") == tag {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	return false
}

// problem answers a person with what went wrong.
func (p *pages) problem(w http.ResponseWriter, r *http.Request, what *problem.Problem) {
	v := p.newView(r, what.Type.Title(), "", what)
	v.Accounts = v.Accounts && who(r) != nil
	var b bytes.Buffer
	if err := p.templates["problem"].ExecuteTemplate(&b, "layout", v); err != nil {
		p.site.Log.ErrorContext(r.Context(), "the page of a problem has failed", "error", err)
		b.Reset()
		b.WriteString(template.HTMLEscapeString(what.Error()))
	}
	what.Head(w, "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

// staticFile is one file of the embedded ones.
type staticFile struct {
	body  []byte
	kind  string
	print string // of its content, part of its address
}

var kinds = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

func readStatic() map[string]staticFile {
	all := map[string]staticFile{}
	entries, err := files.ReadDir("static")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		body, err := files.ReadFile("static/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := fnv.New64a()
		_, _ = sum.Write(body)
		all[e.Name()] = staticFile{body, cmp.Or(kinds[path.Ext(e.Name())], "application/octet-stream"), strconv.FormatUint(sum.Sum64(), 36)}
	}
	return all
}

// serveStatic answers with a static file. An address with the print of its content is good for ever.
func (p *pages) serveStatic(w http.ResponseWriter, r *http.Request) {
	f, ok := p.static[r.PathValue("name")]
	if !ok {
		p.site.Fail(w, r, problem.New(problem.NotFound, "The console has no such file."))
		return
	}
	w.Header().Set("Content-Type", f.kind)
	if r.URL.Query().Get("v") == f.print {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(f.body)
}

func (p *pages) staticURL(name string) string {
	return p.site.URL("/static/" + name + "?v=" + p.static[name].print)
}

// batchURL, jobURL and the others are addresses of pages.
func (p *pages) batchURL(id string) string { return p.site.URL("/batches/" + url.PathEscape(id)) }

func (p *pages) jobURL(projectID, jobID string) string {
	return p.site.URL("/jobs/" + url.PathEscape(projectID) + "/" + url.PathEscape(jobID))
}

// with is an address with a query, of names and values in turn; empty values are left out.
func with(address string, pairs ...any) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if value := fmt.Sprint(pairs[i+1]); value != "" {
			q.Set(fmt.Sprint(pairs[i]), value)
		}
	}
	if len(q) == 0 {
		return address
	}
	return address + "?" + q.Encode()
}

// actURL is the page that confirms an action.
func (p *pages) actURL(action string, pairs ...any) string {
	return with(p.site.URL("/act/"+action), pairs...)
}

// runbook is the address of what to do, by the heading of docs/operations.md; "" if nobody told where that is.
func (p *pages) runbook(heading string) string {
	if p.site.RunbookURL == "" || heading == "" {
		return ""
	}
	return p.site.RunbookURL + "#" + heading
}

// state is the snapshot as the reader sees it.
func (p *pages) state(r *http.Request) (snapshot.Kept[*snapshot.State], error) {
	kept, err := p.source.State(r.Context())
	if err == nil {
		kept.Value = kept.Value.For(who(r))
	}
	return kept, err
}

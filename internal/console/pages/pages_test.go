package pages_test

import (
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"vizstop/internal/redistest"
	"vizstop/internal/release"
)

var (
	inline = regexp.MustCompile(`(?i)<script(\s[^>]*)?>[^<]|\sstyle\s*=|\son[a-z]+\s*=\s*["'][^&]|javascript:[^a]|<style`)
	tags   = regexp.MustCompile(`<[^>]*>`)
)

// Every page answers, runs nothing inline and shows hostile texts as texts.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for _, path := range everyPage {
		a := w.get("operator", path)
		want := 200
		if path == "/batches/nothing-like-it" {
			want = 404
		}
		if a.status != want || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %s\n%.300s", path, a.status, a.header.Get("Content-Type"), a.body)
			continue
		}
		if found := inline.FindString(a.body); found != "" {
			t.Errorf("%s has %q inline", path, found)
		}
		for _, raw := range []string{"<img/src", "<b>", "<u>", "\u202e", "\u0007", "owned'\"", "ZgotmplZ"} {
			if strings.Contains(a.body, raw) {
				t.Errorf("%s shows %q as it is", path, raw)
			}
		}
		for _, want := range []string{`<html lang="en">`, `<main id="main"`, `class="skip"`, "<h1", "</html>"} {
			if !strings.Contains(a.body, want) {
				t.Errorf("%s has no %s", path, want)
			}
		}
	}
	for path, wants := range map[string][]string{
		"/": {"Working, in part", "Stop calls of project " + paused, "https://runbooks.example/operations.html#vizstoplimitholds", "Confirmed each minute",
			"100 pending, 12 stopping"},
		"/batches/nightly-20261126":                               {"60 of 60 have an outcome", "nightly clean-up", "job … belongs to another workspace", "ticket=OPS-4711", "half within", "from due until stopped, of 48 jobs", "given up, and may still run: 8 jobs"},
		"/batches/20261126-evening":                               {"still running: 22 jobs"},
		"/batches/nightly-20261126?reason=ANOTHER+work":           {"a3f0c9d2-0052"},
		"/act/suspend-schedule?schedule=nightly&until=2031-01-02": {"until 2031-01-02 00:00:00"},
		"/batches/nightly-20261126?state=expired":                 {"a3f0c9d2-0055", "its deadline passed"},
		"/batches/sweep-http":                                     {"Why it stands still", "more than --batch-limit 50", "/act/allow?batch=sweep-http"},
		"/jobs/" + project + "/a3f0c9d2-0001":                     {"http 503 ModelArts.0107", "2f4a-a3f0c9d2-0001", "9 (stopped)"},
		"/schedules":                                              {"20:00 on Mon to Fri", "suspended", "partial", "60 asked for, ", " jobs may still run, and be billed: enqueue retry nightly-20261126 asks again", "in force"},
		"/limits":                                                 {"sweep-http"},
		"/batches?job=nowhere":                                    {"No stop of job"},
		"/batches?since=yesterday":                                {"is no time"},
		"/batches?outcome=expired":                                {"1 batch"},
	} {
		said := html.UnescapeString(tags.ReplaceAllString(w.get("operator", path).body, "")) + w.get("operator", path).body
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("%s does not say %q", path, want)
			}
		}
	}
	if a := w.get("operator", "/batches?job=a3f0c9d2-0007"); a.status != 303 || !strings.HasSuffix(a.header.Get("Location"), "/jobs/"+project+"/a3f0c9d2-0007") {
		t.Errorf("a job that is in one project: %d %s", a.status, a.header.Get("Location"))
	}
	for _, path := range []string{"/batches?page=x", "/batches/nightly-20261126?state=nonsense", "/batches/nightly-20261126?from=x"} {
		if a := w.get("operator", path); a.status != 400 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}

// A batch that stands still is not called in flight.
func TestWhatStandsStill(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	later := time.Now().Add(20 * time.Minute)
	w.ask(project, "later", ledgerMeta("ada"), true, later, ids("later-", 3)...)
	for batch, want := range map[string]string{"weekend-idle": "held: paused", "sweep-http": "held: a limit", "20261126-evening": "in flight",
		"later": "waits until ", "nightly-20261126": "ended, with failures"} {
		list := w.get("reader", "/batches?batch="+batch).body
		if page := w.get("reader", "/batches/"+batch).body; !strings.Contains(page, "</span>"+want) || !strings.Contains(list, "</span>"+want) {
			t.Errorf("batch %s is not said to be %q", batch, want)
		}
	}
	if _, err := w.desk.Release.Pause(t.Context(), "", "ada", "why"); err != nil {
		t.Fatal(err)
	}
	w.serve("")
	if page := w.get("operator", "/").body; strings.Contains(page, `href="/act/pause"`) || !strings.Contains(page, "All stop calls: paused by ada: why. No stop call goes out") ||
		strings.Index(page, `href="/act/resume"`) > strings.Index(page, `id="holds"`) {
		t.Errorf("the verdict does not tell of the pause, or does not lead to its end")
	}
	if page := w.get("reader", "/batches/20261126-evening").body; !strings.Contains(page, "</span>held: paused") {
		t.Error("a batch that the fleet's pause holds is not said to be held")
	}
}

// A page that the reader has is not sent again; it is when something has changed.
func TestETag(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	path := "/batches/nightly-20261126?state=rejected"
	redistest.Await(t, "304 to who has the page", func() bool {
		first := w.get("reader", path)
		again := w.get("reader", path, "If-None-Match", first.header.Get("Etag"))
		return first.status == 200 && again.status == 304 && again.body == ""
	})
	seen := w.get("reader", "/").header.Get("Etag")
	if _, err := w.desk.Release.Resume(t.Context(), paused); err != nil {
		t.Fatal(err)
	}
	redistest.Await(t, "the overview without the pause", func() bool {
		a := w.get("reader", "/", "If-None-Match", seen)
		return a.status == 200 && !strings.Contains(a.body, "paused by")
	})
	if a := w.get("", "/static/style.css"); a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/css") {
		t.Errorf("the style sheet: %d %v", a.status, a.header)
	}
	if a := w.get("", "/static/none"); a.status != 404 {
		t.Errorf("no file: %d", a.status)
	}
}

// Principals of some projects see those, and nobody sees links to what they may not do.
func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for _, tt := range []struct {
		who, path string
		status    int
		has, not  []string
	}{
		{"limited", "/", 200, []string{"sweep-http"}, []string{paused, project, "weekend-idle", "Confirmed each minute", "actions/none"}},
		{"limited", "/batches", 200, []string{"sweep-http"}, []string{"weekend-idle", "nightly-20261126"}},
		{"limited", "/batches/weekend-idle", 404, nil, []string{"idle over the weekend", "retention"}},
		{"limited", "/jobs/" + project + "/a3f0c9d2-0001", 404, nil, []string{"http 503"}},
		{"limited", "/schedules", 403, nil, []string{"nightly"}},
		{"limited", "/act/cancel?batch=weekend-idle", 404, nil, []string{"<strong>25"}},
		{"limited", "/act/pause", 403, nil, nil},
		{"limited", "/batches?job=a3f0c9d2-0007", 200, []string{"No stop of job"}, []string{project}},
		{"other", "/limits", 200, nil, []string{"sweep-http"}},
		{"reader", "/", 200, []string{"sweep-http", "weekend-idle"}, []string{"/act/"}},
		{"reader", "/batches/sweep-http", 200, []string{"more than --batch-limit 50"}, []string{"/act/"}},
		{"reader", "/act/pause", 403, []string{"reader has the role"}, nil},
		{"operator", "/batches/sweep-http", 200, []string{"/act/cancel?batch=sweep-http"}, nil},
		{"operator", "/batches/nightly-20261126", 200, []string{"/act/retry?"}, []string{"/act/cancel?", "/act/undo?"}}, // nothing in flight, no credentials
		{"limited", "/", 200, []string{"Working, in part", "Batch sweep-http: a limit"}, []string{`href="/act/pause"`}},
		{"operator", "/", 200, []string{`href="/act/pause"`, "1 more hold is listed below"}, nil},
		{"operator", "/act/dance", 404, nil, nil},
		{"operator", "/accounts", 404, nil, nil},
		{"", "/", 401, []string{"<main"}, []string{"sweep-http", "<nav"}},
	} {
		a := w.get(tt.who, tt.path)
		if a.status != tt.status {
			t.Errorf("%s of %s: %d, want %d\n%.300s", tt.path, tt.who, a.status, tt.status, a.body)
		}
		for _, want := range tt.has {
			if !strings.Contains(a.body, want) {
				t.Errorf("%s of %s does not show %q", tt.path, tt.who, want)
			}
		}
		for _, not := range tt.not {
			if strings.Contains(a.body, not) {
				t.Errorf("%s of %s shows %q", tt.path, tt.who, not)
			}
		}
	}
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)

// form reads the hidden fields of a page that confirms an action.
func form(t *testing.T, a answer, status int, more ...string) url.Values {
	t.Helper()
	values := url.Values{}
	for _, found := range hidden.FindAllStringSubmatch(a.body, -1) {
		values.Add(found[1], html.UnescapeString(found[2]))
	}
	if a.status != status || values.Get("expect") == "" {
		t.Fatalf("the page that confirms: %d %v\n%.900s", a.status, values, a.body)
	}
	for i := 0; i+1 < len(more); i += 2 {
		values.Set(more[i], more[i+1])
	}
	return values
}

// Without Redis the pages show what was read last, and say so on top.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	if a := w.get("reader", "/"); strings.Contains(a.body, "Not from now") {
		t.Error("a fresh page says that it is not")
	}
	w.server.Kill()
	redistest.Await(t, "a page that says that it is old", func() bool {
		a := w.get("reader", "/")
		return a.status == 200 && strings.Contains(a.body, "Redis does not answer the console. This is how it was") && strings.Contains(a.body, "sweep-http") &&
			a.header.Get("Etag") == ""
	})
	said := tags.ReplaceAllString(w.get("reader", "/").body, "")
	if !strings.Contains(said, "✕\n  Redis does not answer") || strings.Contains(said, "✓") || strings.Contains(said, "Nothing does.") {
		t.Errorf("the verdict without Redis: %s", strings.Join(strings.Fields(said), " "))
	}
	if a := w.get("reader", "/actions"); a.status != 503 || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "<main") {
		t.Errorf("a page that was never read: %d %v", a.status, a.header)
	}
}

// While Redis takes no writes nobody can tell who lives: the pages say that it refuses them, and not to start a worker.
func TestRedisFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.dies()
	must(t, w.admin.Del(t.Context(), "vizstop:{-}:workers").Err())
	w.serve("")
	said := func(path string) string {
		return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(w.get("operator", path).body, ""))), " ")
	}
	if a := said("/"); !strings.Contains(a, "No worker is alive") {
		t.Errorf("the overview without a worker: %s", a)
	}
	must(t, w.admin.ConfigSet(t.Context(), "maxmemory", "1").Err())
	w.serve("")
	for _, path := range []string{"/", "/batches/20261126-evening"} {
		if a := said(path); !strings.Contains(a, "Redis refuses writes") || !strings.Contains(a, "ut of memory: raise maxmemory above used_memory") ||
			strings.Contains(a, "No worker") || strings.Contains(a, "no worker") || strings.Contains(a, "Nothing does.") {
			t.Errorf("%s of a full Redis: %s", path, a)
		}
	}
	page := w.get("operator", "/act/pause")
	v := form(t, page, 200, "reason", "why")
	v.Set("typed", v.Get("expect")[strings.LastIndex(v.Get("expect"), ".")+1:])
	if a := w.send("operator", "POST", "/act/pause", v.Encode()); a.status != 503 || !strings.Contains(a.body, "Redis refuses writes: out of memory") || !strings.Contains(a.body, "stop the workers") {
		t.Errorf("a pause on a full Redis: %d %s", a.status, tags.ReplaceAllString(a.body, ""))
	}
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "/ops/vizstop")
	address := regexp.MustCompile(`(?:href|src|action)="(/[^"]*)"`)
	for _, path := range everyPage {
		a := w.get("operator", path)
		for _, found := range address.FindAllStringSubmatch(a.body, -1) {
			if !strings.HasPrefix(found[1], "/ops/vizstop/") {
				t.Errorf("%s leads to %s", path, found[1])
			}
		}
	}
	page := w.get("operator", "/act/pause")
	v := form(t, page, 200, "reason", "why")
	v.Set("typed", v.Get("expect")[strings.LastIndex(v.Get("expect"), ".")+1:])
	if done := w.send("operator", "POST", "/act/pause", v.Encode()); done.header.Get("Location") != "/ops/vizstop/?did=pause" {
		t.Errorf("after an action: %d %s", done.status, done.header.Get("Location"))
	}
}

// Whoever sees some projects is told that an account is held, and by what nobody else is: but never that nothing holds.
func TestHeldAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.credentials("accounts:\n- name: team-a\n  credentials: {prefix: TEAM_A}\n  regions:\n  - name: cn-north-4\n    projects: [{id: " + project + "}]\n" +
		"- name: team-b\n  credentials: {prefix: TEAM_B}\n  regions:\n  - name: cn-north-4\n    projects: [{id: " + quiet + "}, {id: " + lone + "}]\n")
	w.desk.Served = func(projectID string) (s release.Serving) {
		s.Account, s.Endpoint, s.Rate, s.Shadow = w.api.Serving(projectID)
		return s
	}
	w.ask(project, "moves", ledgerMeta("ada"), true, time.Now(), "1")
	w.ask(lone, "stands", ledgerMeta("ada"), true, time.Now(), "1")
	must(t, w.admin.SAdd(t.Context(), "vizstop:{-}:accounts", "team-b").Err())
	must(t, w.admin.HSet(t.Context(), "vizstop:{-}:account:team-b", "hold", string(release.Credentials), "hold_since", time.Now().UnixMilli(), "hold_words", "secret words").Err())
	w.serve("")
	for _, c := range []struct{ who, path, has, not string }{
		{"operator", "/accounts", "secret words", "not held yet"},
		{"limited", "/accounts", "held", "not held"},
		{"limited", "/", "by what concerns the whole account", "No limit"},
		{"pair", "/", "Working, in part", "nothing holds them back"},
	} {
		a := w.get(c.who, c.path)
		if text := tags.ReplaceAllString(a.body, ""); a.status != 200 || !strings.Contains(text, c.has) || strings.Contains(text, c.not) || c.who != "operator" && strings.Contains(text, "secret words") {
			t.Errorf("%s of %s: %d, want %q and not %q: %s", c.path, c.who, a.status, c.has, c.not, strings.Join(strings.Fields(text), " "))
		}
	}
}

// A form that can't be read is the sender's fault, and is told as that.
func TestUnreadableForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	if a := w.send("operator", "POST", "/act/pause", "reason=%zz"); a.status != 400 || strings.Contains(a.body, "zz") {
		t.Errorf("a form that can't be read: %d %s", a.status, tags.ReplaceAllString(a.body, ""))
	}
}

// Accounts are shown by names and projects, and no secret of them.
func TestAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.credentials(`accounts:
- name: team-a
  credentials: {prefix: TEAM_A}
  regions:
  - name: cn-north-4
    projects: [{id: ` + project + `, name: "vision <b>"}, {id: ` + paused + `}]
- name: team-b
  credentials: {prefix: TEAM_B}
  regions:
  - name: cn-east-3
    projects: [{id: ` + quiet + `, rate: 5}]
`)
	w.serve("")
	all, mine := w.get("operator", "/accounts"), w.get("limited", "/accounts")
	for _, want := range []string{"team-a", "team-b", project, quiet, "vision &lt;b&gt;", "cn-east-3", "5/s", "not held"} {
		if !strings.Contains(all.body, want) {
			t.Errorf("accounts do not show %q: %d\n%.300s", want, all.status, all.body)
		}
	}
	if mine.status != 200 || strings.Contains(mine.body, "team-a") || !strings.Contains(mine.body, quiet) {
		t.Errorf("whoever sees one project: %d", mine.status)
	}
	if strings.Contains(all.body, "secret") || strings.Contains(all.body, "AKTEAM") || !strings.Contains(all.body, `href="/accounts" aria-current="page"`) {
		t.Error("the page has something secret, or is in no navigation")
	}
	if a := w.get("operator", "/batches/nightly-20261126"); !strings.Contains(a.body, "/act/undo?") {
		t.Error("with credentials there is no undo")
	}
}

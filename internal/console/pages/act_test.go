package pages_test

import (
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"time"

	"vizstop/internal/actions"
	"vizstop/internal/ledger"
	"vizstop/internal/schedules"
)

// What was confirmed is what is done: with a reason, above 20 with the number typed, and only while it is what it was.
func TestConfirm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	post := func(who string, action string, v url.Values, headers ...string) answer {
		return w.send(who, "POST", "/act/"+action, v.Encode(), headers...)
	}
	inFlight := func() int {
		b, err := w.desk.Batch(t.Context(), "weekend-idle")
		must(t, err)
		n, err := b.InFlight(t.Context())
		must(t, err)
		return n
	}
	page := w.get("operator", "/act/cancel?batch=weekend-idle")
	for _, refused := range []struct {
		name   string
		who    string
		values url.Values
		status int
		more   []string
	}{
		{"no reason", "operator", form(t, page, 200, "typed", "25"), 422, nil},
		{"only spaces", "operator", form(t, page, 200, "reason", "  ", "typed", "25"), 422, nil},
		{"too long a reason", "operator", form(t, page, 200, "reason", long, "typed", "25"), 422, nil},
		{"another number", "operator", form(t, page, 200, "reason", "why", "typed", "24"), 422, nil},
		{"no plan", "operator", url.Values{"batch": {"weekend-idle"}, "reason": {"why"}, "typed": {"25"}}, 400, nil},
		{"a reader", "reader", form(t, page, 200, "reason", "why", "typed", "25"), 403, nil},
		{"who does not see it", "limited", form(t, page, 200, "reason", "why", "typed", "25"), 404, nil},
		{"another site", "operator", form(t, page, 200, "reason", "why", "typed", "25"), 403, []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}},
	} {
		if a := post(refused.who, "cancel", refused.values, refused.more...); a.status != refused.status || inFlight() != 25 {
			t.Errorf("%s: %d, want %d; %d stops are in flight", refused.name, a.status, refused.status, inFlight())
		}
	}
	typed := post("operator", "cancel", form(t, page, 200, "reason", "keep <this>", "typed", "24"))
	if !strings.Contains(typed.body, "keep &lt;this&gt;") || !strings.Contains(typed.body, "Type the number") {
		t.Error("what was written is gone after a fault")
	}

	confirmed := form(t, page, 200, "reason", "wrong weekend", "typed", "25")
	w.ask(paused, "weekend-idle", ledgerMeta("lin"), true, time.Now(), "one-more")
	changed := post("operator", "cancel", confirmed)
	if !strings.Contains(changed.body, "It has changed") || !strings.Contains(changed.body, "<strong>26</strong>") || inFlight() != 26 {
		t.Fatalf("a batch that has grown: %d\n%.500s", changed.status, changed.body)
	}
	done := post("operator", "cancel", form(t, changed, 409, "reason", "wrong weekend", "typed", "26"))
	if done.status != 303 || done.header.Get("Location") != "/batches/weekend-idle?did=cancel" || inFlight() != 0 {
		t.Fatalf("canceled: %d to %s, %d in flight", done.status, done.header.Get("Location"), inFlight())
	}
	if a := post("operator", "cancel", form(t, changed, 409, "reason", "wrong weekend", "typed", "26")); a.status != 303 || a.header.Get("Location") != done.header.Get("Location") {
		t.Errorf("a second click: %d to %s", a.status, a.header.Get("Location"))
	}
	after := w.get("operator", done.header.Get("Location"))
	for _, want := range []string{"was recorded at", "wrong weekend", "26 of 26 have an outcome", "26 canceled", "26 stops were canceled; for 0 it was too late"} {
		if !strings.Contains(after.body, want) {
			t.Errorf("after it the page does not say %q", want)
		}
	}
	if a := w.get("reader", "/batches/weekend-idle?did=cancel"); strings.Contains(a.body, "was recorded at") {
		t.Error("a page tells somebody that they did what another one did")
	}
	if a := w.get("operator", "/batches/nightly-20261126?did=undo"); strings.Contains(a.body, "was recorded at") {
		t.Error("a page tells of what nobody did")
	}
	if a := w.get("reader", "/actions"); !strings.Contains(a.body, "wrong weekend") || !strings.Contains(a.body, "console, 127.0.0.1") {
		t.Errorf("the record of actions does not tell of it")
	}
	if a := w.get("operator", "/act/cancel?batch=weekend-idle"); a.status != 200 || !strings.Contains(a.body, "Nothing was done: <bdi>every stop of batch weekend-idle has an outcome: there is nothing to cancel</bdi>.") ||
		!strings.Contains(a.body, `href="/batches/weekend-idle"`) || strings.Contains(a.body, "HTTP") {
		t.Errorf("nothing is left: %d", a.status)
	}
}

func TestOtherActions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for _, tt := range []struct{ who, action, query, location, then string }{
		{"operator", "resume", "project=" + paused, "/?did=resume", "Batch sweep-http"},
		{"operator", "pause", "", "/?did=pause", "All stop calls"},
		{"operator", "retry", "batch=nightly-20261126", "/batches/", "retry_of=nightly-20261126"},
		{"limited", "allow", "batch=sweep-http", "/batches/sweep-http?did=allow", "was recorded"},
		{"limited", "allow", "project=" + quiet + "&count=5", "/limits?did=allow", "was recorded"},
		{"operator", "suspend-schedule", "schedule=nightly&until=12h", "/schedules?did=suspend-schedule", "tidy up"},
		{"operator", "resume-schedule", "schedule=weekend", "/schedules?did=resume-schedule", "was recorded"},
	} {
		page := w.get(tt.who, "/act/"+tt.action+"?"+tt.query)
		values := form(t, page, 200, "reason", "tidy up")
		values.Set("typed", values.Get("expect")[strings.LastIndex(values.Get("expect"), ".")+1:])
		done := w.send(tt.who, "POST", "/act/"+tt.action, values.Encode())
		location := done.header.Get("Location")
		if done.status != 303 || !strings.HasPrefix(location, tt.location) {
			t.Errorf("%s: %d to %s\n%.600s", tt.action, done.status, location, done.body)
			continue
		}
		if again := w.send(tt.who, "POST", "/act/"+tt.action, values.Encode()); again.status != 303 || again.header.Get("Location") != location {
			t.Errorf("%s, sent twice: %d to %s, and not to %s", tt.action, again.status, again.header.Get("Location"), location)
		}
		if a := w.get(tt.who, location); a.status != 200 || !strings.Contains(a.body, tt.then) {
			t.Errorf("after %s, %s does not show %q: %d", tt.action, location, tt.then, a.status)
		}
	}
	if a := w.get("operator", "/act/retry?batch=nightly-20261126"); !strings.Contains(a.body, "Asked again already in batch") || !strings.Contains(a.body, "by <bdi>operator</bdi>") {
		t.Error("a second retry is not told of the first")
	}
	for _, path := range []string{"/act/allow?project=" + quiet + "&count=none", "/act/suspend-schedule?schedule=nightly&until=2020-01-01"} {
		if a := w.get("operator", path); a.status != 200 || !strings.Contains(a.body, "does not do") || strings.Contains(a.body, `method="post"`) {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}

// A batch that was undone says so, and offers no second undo; its job says so, too.
func TestUndone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.credentials("accounts:\n- name: team-a\n  credentials: {prefix: TEAM_A}\n  regions:\n  - name: cn-north-4\n    projects: [{id: " + project + "}]\n")
	w.serve("")
	undo := func(job string) {
		stop := w.stop(project, "nightly-20261126", job)
		_, err := w.desk.Ledger.Undo(t.Context(), stop, "nightly-20261126", "it")
		must(t, err)
		must(t, w.desk.Ledger.Restarted(t.Context(), stop, "nightly-20261126", "it"))
	}
	undo("a3f0c9d2-0000")
	must(t, w.desk.Actions.Record(t.Context(), actions.Action{What: "undo", Scope: "batch nightly-20261126", By: "alice", Jobs: 1, Reason: "wrong night"}))
	said := func(path string) string {
		return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(w.get("operator", path).body, ""))), " ")
	}
	if a := said("/batches/nightly-20261126"); !strings.Contains(a, "1 of the stopped jobs was restarted at") || !strings.Contains(a, "by alice (undo)") || !strings.Contains(a, "restart what it has stopped") {
		t.Errorf("a batch that was undone in part: %s", a)
	}
	if a := said("/jobs/" + project + "/a3f0c9d2-0000"); !strings.Contains(a, "stopped, then restarted") || !strings.Contains(a, "restarted (undo)") {
		t.Errorf("its job: %s", a)
	}
	for _, job := range ids("a3f0c9d2-", 48) {
		undo(job)
	}
	w.serve("") // that has read nothing yet
	if a := said("/batches/nightly-20261126"); !strings.Contains(a, "48 of the stopped jobs were restarted") || !strings.Contains(a, "stopped, then restarted; with failures") || strings.Contains(a, "restart what it has stopped") {
		t.Errorf("a batch that was undone: %s", a)
	}
	if a := said("/batches"); !strings.Contains(a, "stopped, then restarted; with failures") {
		t.Errorf("the list of batches: %s", a)
	}
	w.ask(project, "one", ledgerMeta("ada"), true, time.Now(), "shared-job")
	w.ask(project, "two", ledgerMeta("lin"), true, time.Now(), "shared-job")
	w.end(w.stop(project, "one", "shared-job"), ledger.Stopped, "")
	_, err := w.desk.Ledger.Renounce(t.Context(), w.stop(project, "one", "shared-job"), "one")
	must(t, err)
	w.serve("")
	for _, path := range []string{"/batches/one", "/jobs/" + project + "/shared-job"} {
		if a := said(path); !strings.Contains(a, "shared-job") || strings.Contains(a, "restarted") {
			t.Errorf("%s: batch two still wants the job stopped: %s", path, a)
		}
	}
}

// A tick that has no stops yet is told of, and canceled, on the page of the schedules.
func TestCancelOfATick(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	tick := time.Now().Truncate(time.Second)
	id := schedules.BatchID("nightly", tick)
	record := fmt.Sprintf(`{"next":%d,"claim":{"tick":%[1]d,"try":1,"retry_at":%d,"error":"http 401"}}`, tick.UnixMilli(), tick.Add(time.Minute).UnixMilli())
	must(t, w.admin.HSet(t.Context(), "vizstop:{-}:schedule:nightly", "record", record).Err())
	if a := w.get("reader", "/schedules"); !strings.Contains(a.body, id) || !strings.Contains(a.body, "again at") || strings.Contains(a.body, "/act/") {
		t.Errorf("the page of schedules: %d\n%s", a.status, a.body)
	}
	if a := w.get("operator", "/schedules"); !strings.Contains(a.body, "/act/cancel?batch="+id) {
		t.Errorf("nothing to cancel it by: %d", a.status)
	}
	if a := w.get("reader", "/batches/"+id); a.status != 404 || !strings.Contains(a.body, "has no stops: the tick of schedule nightly at") {
		t.Errorf("the page of its batch: %d", a.status)
	}
	for _, path := range []string{"/batches/" + id, "/act/cancel?batch=" + id} {
		if a := w.get("limited", path); a.status != 404 || strings.Contains(a.body, "of schedule") {
			t.Errorf("%s of who sees one project: %d", path, a.status)
		}
	}
	page := w.get("operator", "/act/cancel?batch="+id)
	if !strings.Contains(page.body, "It has no stops in flight") || !strings.Contains(page.body, `href="/schedules">Back`) {
		t.Errorf("the page that confirms it: %d\n%s", page.status, page.body)
	}
	done := w.send("operator", "POST", "/act/cancel", form(t, page, 200, "reason", "wrong rule").Encode())
	if location := done.header.Get("Location"); done.status != 303 || location != "/schedules?did=cancel" {
		t.Fatalf("canceled: %d to %s", done.status, location)
	}
	after := w.get("operator", "/schedules?did=cancel")
	for _, want := range []string{"was recorded", "canceled by operator: wrong rule", "The tick of schedule nightly is canceled"} {
		if !strings.Contains(after.body, want) {
			t.Errorf("after it the page does not say %q", want)
		}
	}
	if strings.Contains(after.body, "/act/cancel?") {
		t.Error("it can be canceled again")
	}
}

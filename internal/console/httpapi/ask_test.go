package httpapi_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
)

// Clients that repeat a PUT and a keyed POST at once double nothing, and everybody gets the same answer to a key.
func TestRepeatsDoubleNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{noAPI: true})
	const clients, jobs = 8, 15
	var accepted, known, first atomic.Int64
	answers := make([]string, clients)
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			r, err := w.try(call{as: "asker", method: "PUT", path: "/v1/batches/put", body: body(list(1, jobs), "")})
			if err != nil || r.status != http.StatusAccepted {
				t.Errorf("PUT: %d %s, %v", r.status, r.body, err)
				return
			}
			accepted.Add(int64(r.at("accepted").(float64)))
			known.Add(int64(r.at("known").(float64)))
			for { // until nobody else has it at work
				r, err := w.try(call{as: "asker", method: "POST", path: "/v1/batches", body: body(list(100, jobs), ""), header: map[string]string{"Idempotency-Key": "k"}})
				if err != nil || r.status != http.StatusAccepted && r.problem() != "in-progress" {
					t.Errorf("POST: %d %s, %v", r.status, r.body, err)
					return
				}
				if r.status == http.StatusAccepted {
					if answers[i] = r.body; r.header.Get("Idempotency-Replayed") == "" {
						first.Add(1)
					}
					return
				}
			}
		})
	}
	group.Wait()
	if accepted.Load() != jobs || known.Load() != (clients-1)*jobs {
		t.Errorf("%d were accepted and %d known, want %d and %d", accepted.Load(), known.Load(), jobs, (clients-1)*jobs)
	}
	if first.Load() != 1 {
		t.Errorf("%d requests with one key were carried out", first.Load())
	}
	for _, one := range answers[1:] {
		if one != answers[0] {
			t.Errorf("answers to one key differ:\n%s\n%s", answers[0], one)
		}
	}
	ids, err := w.desk.Ledger.Batches(t.Context(), 10)
	if err != nil || len(ids) != 2 {
		t.Fatalf("batches %v, %v", ids, err)
	}
	for _, id := range ids {
		if b := w.batch(id); b.Total != jobs || b.Meta.Requester != "asker" || b.Confirmed {
			t.Errorf("batch %+v", b)
		}
	}
}

// A key belongs to its principal.
func TestKeysArePrincipals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{noAPI: true})
	seen := map[any]bool{}
	for _, as := range []string{"asker", "second"} {
		r := w.send(call{as: as, method: "POST", path: "/v1/batches", body: body(`["1"]`, ""), header: map[string]string{"Idempotency-Key": "k"}})
		w.want(as, r, 202, "")
		if r.header.Get("Idempotency-Replayed") != "" || r.header.Get("Location") != "/v1/batches/"+r.at("batch").(string) {
			t.Errorf("%s: %v", as, r.header)
		}
		seen[r.at("batch")] = true
	}
	// A request that was refused has not used its key up.
	key := map[string]string{"Idempotency-Key": "other"}
	w.want("refused", w.send(call{as: "asker", method: "POST", path: "/v1/batches", body: body(`["a b"]`, ""), header: key}), 422, "invalid-content")
	w.want("corrected", w.send(call{as: "asker", method: "POST", path: "/v1/batches", body: body(`["ab"]`, ""), header: key}), 202, "")
	if len(seen) != 2 || strings.Contains(w.log.String(), "other") {
		t.Errorf("batches %v; the log:\n%s", seen, w.log)
	}
}

// What nobody has confirmed is within the limits; what an operator confirms by number is not.
func TestConfirm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{noAPI: true})
	for i, c := range []struct {
		batch, as, more string
		jobs            int
		status          int
		problem         string
		held, confirmed bool
	}{
		{"few", "asker", "", 19, 202, "", false, false},
		{"many", "asker", "", 20, 202, "", true, false}, // it is not known how many run
		{"role", "asker", `, "confirm": 20`, 20, 403, "role-too-low", false, false},
		{"wrong", "operator", `, "confirm": 19`, 20, 422, "invalid-content", false, false},
		{"right", "operator", `, "confirm": 20`, 20, 202, "", false, true},
	} {
		r := w.send(call{as: c.as, method: "PUT", path: "/v1/batches/" + c.batch, body: body(list(100*i, c.jobs), c.more)})
		w.want(c.batch, r, c.status, c.problem)
		if c.status != 202 {
			continue
		}
		if b := w.batch(c.batch); b.Confirmed != c.confirmed || w.isHeld(c.batch) != c.held || (r.at("held.0") != nil) != c.held {
			t.Errorf("%s: confirmed %t, held %t, answer %s", c.batch, b.Confirmed, w.isHeld(c.batch), r.body)
		}
	}
	// It adds up: parts of a batch are no way around the limit.
	w.ask("asker", "few", body(list(9000, 1), ""))
	if !w.isHeld("few") {
		t.Error("a batch that grew over the limit is not held")
	}
}

// isHeld reports whether a limit holds a batch.
func (w *world) isHeld(batch string) bool {
	w.Helper()
	held, err := w.redis.Client(w).HExists(w.Context(), ledger.Keys(project).Limits(), "held:"+batch).Result()
	if err != nil {
		w.Fatal(err)
	}
	return held
}

// A large list is taken as CSV and as JSON lines, and told in full as lines; nothing of it is recorded if it is wrong.
func TestLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{noAPI: true})
	const n = 1500
	var csv, lines strings.Builder
	csv.WriteString("job_id;team\n")
	for i := range n {
		fmt.Fprintf(&csv, "%d;vision\n", i+1)
		fmt.Fprintf(&lines, `{"job_id": %d, "project_id": %q}`+"\n", n+i+1, project)
	}
	as := func(types string) map[string]string {
		return map[string]string{"Content-Type": types, "Accept": "application/x-ndjson"}
	}
	query := "?project_id=" + project + "&max=2000&label=shift=late&reason=night"
	w.want("over max", w.send(call{as: "asker", method: "PUT", path: "/v1/batches/csv?project_id=" + project, body: csv.String(), header: as("text/csv")}), 422, "invalid-content", "max 1000")
	bad := w.send(call{as: "asker", method: "PUT", path: "/v1/batches/csv" + query, body: csv.String() + "a b;x\n\x00;y\n", header: as("text/csv")})
	w.want("bad lines", bad, 422, "invalid-content", "2 of 1502", `"line":1502`)
	if _, err := w.desk.Ledger.BatchProjects(t.Context(), "csv"); err == nil {
		t.Error("something was recorded of a list that was refused")
	}
	for batch, c := range map[string]call{
		"csv":   {body: csv.String() + "a b;x\n", header: as("text/csv; charset=utf-8"), path: "/v1/batches/csv" + query + "&skip_invalid=true"},
		"lines": {body: lines.String(), header: as("application/x-ndjson"), path: "/v1/batches/lines?max=2000&label=shift=late&reason=night"},
	} {
		c.as, c.method = "asker", "PUT"
		r := w.send(c)
		if r.status != 202 {
			t.Fatalf("%s: %d %s", batch, r.status, r.body)
		}
		items, last := 0, map[string]any{}
		for s := bufio.NewScanner(strings.NewReader(r.body)); s.Scan(); items++ {
			last = map[string]any{}
			if err := json.Unmarshal(s.Bytes(), &last); err != nil {
				t.Fatal(err)
			}
		}
		if items != n+1 || last["kind"] != "stop" || last["accepted"] != float64(n) {
			t.Errorf("%s: %d lines, the last one %v", batch, items, last)
		}
		if b := w.batch(batch); b.Total != n || b.Meta.Reason != "night" || b.Meta.Labels["shift"] != "late" {
			t.Errorf("%s: %+v", batch, b)
		}
	}
	s, err := w.desk.Ledger.Get(t.Context(), project, ledger.StopID("csv", project, "7"))
	if err != nil || s.Labels["team"] != "vision" {
		t.Errorf("stop %+v, %v", s, err)
	}
	// All of them come back, page by page.
	found, cursor := map[any]bool{}, ""
	for {
		r := w.send(call{as: "reader", method: "GET", path: "/v1/batches/csv/stops?limit=400" + cursor})
		for _, one := range r.at("stops").([]any) {
			found[one.(map[string]any)["job_id"]] = true
		}
		next, more := r.at("next_cursor").(string)
		if !more {
			break
		}
		cursor = "&cursor=" + next
	}
	if len(found) != n {
		t.Errorf("%d stops came in pages, want %d", len(found), n)
	}
}

// fields is n fields of an object.
func fields(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`"%d": ""`, i)
	}
	return strings.Join(all, ",")
}

// Bad bodies are refused with what is wrong and where, and nothing is recorded.
func TestBadBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{noAPI: true})
	for _, c := range []struct {
		body    string
		status  int
		problem string
		says    string
	}{
		{`{"jobs": ["1"]`, 400, "malformed-body", "does not end"},
		{`{"jobs": ["1"]} {}`, 400, "malformed-body", "more after"},
		{"{\"reason\": \"\xff\"}", 400, "malformed-body", "UTF-8"},
		{strings.Repeat("[", 100000), 400, "malformed-body", "nested"},
		{`not JSON`, 400, "malformed-body", "not JSON"},
		{`[]`, 422, "invalid-content", "an object"},
		{body(`["1"]`, `, "raeson": "x"`), 422, "invalid-content", `"/raeson"`},
		{body(`["1"]`, `, "Reason": "x"`), 422, "invalid-content", `"/Reason"`},
		{body(`["1"]`, `, "reason": "x", "reason": "y"`), 422, "invalid-content", "there twice"},
		{body(`["1"]`, `, "rule": {"all": true}`), 422, "invalid-content", "either by rule or by id"},
		{body(`["1"]`, `, "shadow": "yes"`), 422, "invalid-content", `"/shadow"`},
		{body(`["1"]`, `, "max": 0`), 422, "invalid-content", `"/max"`},
		{body(`["1"]`, `, "max": 99999999999999999999`), 422, "invalid-content", "too large a number"},
		{body(`["1"`+strings.Repeat(`,"1"`, 100_000)+`]`, ""), 413, "body-too-large", "application/x-ndjson"},
		{body(`["1"]`, `, "labels": {`+fields(17)+`}`), 422, "invalid-content", "more than 16 fields"},
		{body(`[{"id": "1", "labels": {`+fields(17)+`}}]`, ""), 422, "invalid-content", "/jobs/0/labels"},
		{`{` + fields(1000) + `}`, 422, "invalid-content", `"/9"`},
		{`{"reason": {` + fields(1000) + `}}`, 422, "invalid-content", "/reason"},
		{body(`["1"]`, `, "max": 1e99`), 422, "invalid-content", `"/max"`},
		{body(`["1"]`, `, "notify": "ftp://x"`), 422, "invalid-content", `"/notify"`},
		{body(`["1"]`, `, "at": "25:00"`), 422, "invalid-content", `"/at"`},
		{body(`["1"]`, `, "at": "20:00", "in": "1h"`), 422, "invalid-content", "at and in exclude"},
		{body(`["1"]`, `, "deadline": "1ms"`), 422, "invalid-content", `"/deadline"`},
		{body(`["1"]`, `, "reason": "a\u202eb"`), 422, "invalid-content", `"/reason"`},
		{body(`["1"]`, `, "labels": {"a\u0000": "b"}`), 422, "invalid-content", `"/labels"`},
		{body(`["1"]`, `, "labels": {"a": 1}`), 422, "invalid-content", `"/labels`},
		{body(`[]`, ""), 422, "invalid-content", "no job"},
		{`{}`, 422, "invalid-content", "jobs or a rule"},
		{`{"jobs": ["1"]}`, 422, "invalid-content", "no project_id"},
		{body(`[1e3, true, {"id": "../x"}, {"id": "9", "project_id": 7}, null]`, ""), 422, "invalid-content", `"/jobs/4"`},
		{body(`["1", "null"]`, ""), 422, "invalid-content", `the job id is \"null\", which programs write for a value that is missing`},
		{body(`[{"id": "1", "wait": 1}]`, ""), 422, "invalid-content", `"/jobs/0/wait"`},
	} {
		r := w.send(call{as: "asker", method: "PUT", path: "/v1/batches/b", body: c.body})
		w.want(c.body[:min(60, len(c.body))], r, c.status, c.problem, c.says)
	}
	for query, says := range map[string]string{"": "project", "?project_id=" + project + "&shadow=1": "shadow", "?project_id=" + project + "&label=x": "label",
		"?project_id=" + project + "&project_id=x": "2 times", "?jobs=1": "jobs"} {
		r := w.send(call{as: "asker", method: "PUT", path: "/v1/batches/b" + query, body: "job_id\n1\n", header: map[string]string{"Content-Type": "text/csv"}})
		if r.status != 400 && r.status != 422 || !strings.Contains(r.body, says) {
			t.Errorf("%s: %d %s", query, r.status, r.body)
		}
	}
	for _, id := range []string{"queue-20261126", "sched-x-20261126T200000Z", "key-" + strings.Repeat("0f", 16), "a%20b", "-", strings.Repeat("a", 65)} {
		w.want(id, w.send(call{as: "asker", method: "PUT", path: "/v1/batches/" + id, body: body(`["1"]`, "")}), 400, "invalid-request")
	}
	if ids, err := w.desk.Ledger.Batches(t.Context(), 10); err != nil || len(ids) != 0 {
		t.Errorf("batches %v, %v", ids, err)
	}
}

// Whoever sees some projects is told nothing of others.
func TestProjectsAreKeptApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{noAPI: true, prefix: "/stops"})
	both := fmt.Sprintf(`{"jobs": [{"id": "1", "project_id": %q}, {"id": "2", "project_id": %q}], "in": "5h"}`, project, other)
	w.ask("operator", "both", both)
	w.ask("operator", "theirs", strings.Replace(body(`["1"]`, `, "in": "5h"`), project, other, 1))
	for _, path := range []string{"/v1/batches", "/v1/batches/both", "/v1/batches/both/stops", "/v1/holds"} {
		if r := w.send(call{as: "partial", method: "GET", path: path}); r.status != 200 || strings.Contains(r.body, other) || strings.Contains(r.body, "theirs") {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	for _, path := range []string{"/v1/batches/theirs", "/v1/batches/theirs/stops"} {
		w.want(path, w.send(call{as: "partial", method: "GET", path: path}), 404, "not-found")
	}
	why := `{"reason": "x"}`
	w.want("theirs", w.send(call{as: "partial", method: "POST", path: "/v1/batches/theirs/cancel", body: why}), 404, "not-found")
	w.want("everything", w.send(call{as: "partial", method: "PUT", path: "/v1/pauses/-", body: why}), 403, "project-denied")
	w.want("ours", w.send(call{as: "partial", method: "POST", path: "/v1/batches/both/cancel", body: why}), 200, "", `"canceled":1`)
	w.want("a job of theirs", w.send(call{as: "partial", method: "GET", path: "/v1/projects/" + other + "/jobs/1"}), 403, "project-denied")
}

// That an account is held is told to whoever has a project of it; in which words of whose job, only to who sees all.
func TestWordsOfHeldAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{noAPI: true})
	admin := w.redis.Client(t)
	if err := errors.Join(admin.SAdd(t.Context(), "vizstop:{-}:accounts", "default").Err(), admin.HSet(t.Context(), "vizstop:{-}:account:default", "hold", "credentials",
		"hold_since", time.Now().UnixMilli(), "hold_words", "job 4711 of project "+other+": refused").Err()); err != nil {
		t.Fatal(err)
	}
	w.want("all", w.send(call{as: "reader", method: "GET", path: "/v1/holds"}), 200, "", "4711", `"scope":"credential"`)
	for _, path := range []string{"/v1/holds", "/v1/holds?project_id=" + project} {
		r := w.send(call{as: "partial", method: "GET", path: path})
		if w.want(path, r, 200, "", `"scope":"credential"`); strings.Contains(r.body, "4711") || strings.Contains(r.body, other) {
			t.Errorf("%s: %s", path, r.body)
		}
	}
}

// Nobody learns of a project that is none of theirs by which API its jobs are called.
func TestShapesOfOthersAreNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	uuid := `["0f0e0d0c-0b0a-4900-8807-060504030201"]`
	w.want("a project of ours", w.send(call{as: "partial", method: "POST", path: "/v1/batches", body: body(uuid, "")}), 422, "invalid-content", "v1")
	theirs := strings.Replace(body(uuid, ""), project, other, 1)
	w.want("a project of others", w.send(call{as: "partial", method: "POST", path: "/v1/batches", body: theirs}), 403, "project-denied")
}

// With credentials the console finds out how many jobs run, and holds no batch that is a small part of them.
func TestShareOfWhatRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	begin := time.Now()
	for i := range 60 {
		w.sim.AddJob(project, modelartstest.Job{ID: fmt.Sprint(i + 1)})
	}
	for batch, n := range map[string]int{"small": 30, "large": 31} {
		r := w.ask("asker", batch, body(list(1, n), `, "in": "5h"`))
		if held := n > 30; w.isHeld(batch) != held || (r.at("held.0.why") != nil) != held {
			t.Errorf("%d of 60: held %t, %s", n, w.isHeld(batch), r.body)
		}
	}
	for i := range 60 { // a moment later it is not listed again
		w.sim.AddJob(project, modelartstest.Job{ID: fmt.Sprint(i + 101)})
	}
	if r := w.ask("asker", "soon", body(list(1, 31), `, "in": "5h"`)); r.at("held.0.why") == nil && time.Since(begin) < 10*time.Second {
		t.Errorf("jobs were listed again within moments: %s", r.body)
	}
}

// A batch that was asked for in another way has options, too.
func TestBatchOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{noAPI: true})
	if err := w.desk.Ledger.Describe(t.Context(), project, "b", ledger.Meta{Requester: "asker", Reason: "by hand"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk.Ledger.Open(t.Context(), project, "b", []ledger.Ask{{JobID: "1", Deadline: time.Now().Add(time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	put := call{as: "asker", method: "PUT", path: "/v1/batches/b", body: body(`["2"]`, "")}
	w.want("another reason", w.send(put), 409, "conflict", "by hand")
	put.body = body(`["1", "2"]`, `, "reason": "by hand"`)
	w.want("the same", w.send(put), 202, "", `"accepted":1`, `"known":1`)
	put.as = "second"
	w.want("another principal", w.send(put), 409, "conflict", "The id b is taken")
	for _, guess := range []string{"by hand", "else"} { // whether a guess is right is not told
		put.body = body(`["1"]`, fmt.Sprintf(`, "validate_only": true, "reason": %q`, guess))
		if r := w.send(put); r.status != 409 || strings.Contains(r.body, "reason") || r.at("errors") != nil {
			t.Errorf("%s: %d %s", guess, r.status, r.body)
		}
	}
	// A requester of the same name, in projects that the principal does not see.
	if err := w.desk.Ledger.Describe(t.Context(), other, "far", ledger.Meta{Requester: "partial", Reason: "by hand"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk.Ledger.Open(t.Context(), other, "far", []ledger.Ask{{JobID: "1", Deadline: time.Now().Add(time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	put = call{as: "partial", method: "PUT", path: "/v1/batches/far", body: body(`["2"]`, "")}
	if r := w.send(put); r.status != 409 || strings.Contains(r.body, "by hand") || !strings.Contains(r.body, "is taken") {
		t.Errorf("a batch in projects of others: %d %s", r.status, r.body)
	}
	put.body = strings.Replace(put.body, project, other, 1)
	w.want("a project of others comes first", w.send(put), 403, "project-denied")
}

package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vizstop/internal/console/problem"
)

// Every operation answers with every status that it is described to have, and so does the middleware before it; every
// type of problem was met.
func TestEveryStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.startWorker()
	w.addJobs("1", "2", "3")
	slow := make(chan struct{})
	go func() { defer close(slow); w.slow() }()
	const b = "/v1/batches/b"
	why := `{"reason": "test"}`
	json := map[string]string{"Content-Type": "application/json"}

	// What is there to be found.
	w.ask("asker", "b", body(`["1", {"id": 2, "labels": {"team": "vision"}}]`, `, "reason": "evening"`))
	w.ask("operator", "later", body(list(100, 30), `, "in": "5h"`))
	w.ask("operator", "all", body(list(200, 40), `, "in": "5h"`))
	for {
		r := w.send(call{as: "reader", method: "GET", path: b + "?wait=30"})
		w.want("the batch", r, 200, "")
		if r.at("projects.0.ended") != nil {
			break
		}
	}
	tag := w.send(call{as: "reader", method: "GET", path: b}).header.Get("ETag")

	for _, c := range []struct {
		what string
		call
		status  int
		problem string
		says    []string
	}{
		{"post", call{as: "asker", method: "POST", path: "/v1/batches", body: body(`["3"]`, "")}, 202, "", nil},
		{"post, nothing", call{as: "asker", method: "POST", path: "/v1/batches", body: body(`["3"]`, `, "validate_only": true`)}, 200, "", []string{`"validated"`}},
		{"put, nothing", call{as: "asker", method: "PUT", path: b, body: body(`["3"]`, `, "validate_only": true, "reason": "evening"`)}, 200, "", nil},
		{"put, other options", call{as: "asker", method: "PUT", path: b, body: body(`["3"]`, `, "reason": "morning"`)}, 409, "conflict", []string{`was \"evening\", and is \"morning\" now`}},
		{"put, other principal", call{as: "second", method: "PUT", path: b, body: body(`["3"]`, `, "reason": "evening"`)}, 409, "conflict", []string{"is taken"}},
		{"put, form", call{as: "asker", method: "PUT", path: b, body: "{}", header: map[string]string{"Content-Type": "text/html"}}, 415, "unsupported-media-type", nil},
		{"post, form", call{as: "asker", method: "POST", path: "/v1/batches", body: "{}", header: map[string]string{"Content-Encoding": "gzip"}}, 415, "unsupported-media-type", nil},
		{"put, nonsense", call{as: "asker", method: "PUT", path: "/v1/batches/new", body: body(`["a b"]`, "")}, 422, "invalid-content", nil},
		{"post, nonsense", call{as: "asker", method: "POST", path: "/v1/batches", body: body(`[]`, "")}, 422, "invalid-content", nil},
		{"batches", call{as: "reader", method: "GET", path: "/v1/batches?limit=2&state=ended"}, 200, "", []string{`"b"`}},
		{"batch, known", call{as: "reader", method: "GET", path: b, header: map[string]string{"If-None-Match": tag}}, 304, "", nil},
		{"batch, unknown", call{as: "reader", method: "GET", path: "/v1/batches/none"}, 404, "not-found", nil},
		{"stops", call{as: "reader", method: "GET", path: b + "/stops?outcome=stopped&limit=1"}, 200, "", []string{`"next_cursor"`}},
		{"stops as lines", call{as: "reader", method: "GET", path: b + "/stops", header: map[string]string{"Accept": "application/x-ndjson"}}, 200, "", []string{`"job_id":"2"`}},
		{"stops as CSV", call{as: "reader", method: "GET", path: b + "/stops", header: map[string]string{"Accept": "text/csv"}}, 200, "", []string{"batch,project_id,job_id"}},
		{"stops, unknown", call{as: "reader", method: "GET", path: "/v1/batches/none/stops"}, 404, "not-found", nil},
		{"job", call{as: "reader", method: "GET", path: "/v1/projects/" + project + "/jobs/1"}, 200, "", []string{`"stopped"`, `"history":[{"n":1,`}},
		{"job, unknown", call{as: "reader", method: "GET", path: "/v1/projects/" + project + "/jobs/77"}, 404, "not-found", nil},
		{"schedules", call{as: "reader", method: "GET", path: "/v1/schedules"}, 200, "", nil},
		{"cancel, plan", call{as: "operator", method: "POST", path: "/v1/batches/later/cancel", body: `{"validate_only": true}`}, 200, "", []string{`"count":30`}},
		{"cancel, changed", call{as: "operator", method: "POST", path: "/v1/batches/later/cancel", body: `{"reason": "x", "expect": "a.1.1"}`}, 409, "changed", []string{`"now":{"kind":"plan"`}},
		{"cancel", call{as: "operator", method: "POST", path: "/v1/batches/later/cancel", body: why}, 200, "", []string{`"canceled":30`}},
		{"cancel again", call{as: "operator", method: "POST", path: "/v1/batches/later/cancel", body: why}, 200, "", []string{`"nothing":true`}},
		{"retry", call{as: "operator", method: "POST", path: "/v1/batches/later/retry", body: `{"reason": "x", "outcomes": ["canceled"]}`}, 200, "", []string{`"batch":"2`}},
		{"retry, changed", call{as: "operator", method: "POST", path: "/v1/batches/later/retry", body: `{"reason": "x", "outcomes": ["canceled"], "expect": "x"}`}, 409, "changed", nil},
		{"retry, no outcome", call{as: "operator", method: "POST", path: "/v1/batches/later/retry", body: `{"reason": "x", "outcomes": ["pending"]}`}, 422, "invalid-content", nil},
		{"undo, changed", call{as: "operator", method: "POST", path: b + "/undo", body: `{"reason": "x", "expect": "x"}`}, 409, "changed", nil},
		{"undo", call{as: "operator", method: "POST", path: b + "/undo", body: why}, 200, "", []string{`"restarted":2`}},
		{"allow, changed", call{as: "operator", method: "POST", path: "/v1/batches/all/allow", body: `{"reason": "x", "expect": "x"}`}, 409, "changed", nil},
		{"allow", call{as: "operator", method: "POST", path: "/v1/batches/all/allow", body: `{"reason": "x", "count": 5}`}, 200, "", []string{`"allowed":5`}},
		{"allow calls, changed", call{as: "operator", method: "POST", path: "/v1/projects/" + project + "/allow", body: `{"reason": "x", "count": 5, "expect": "x"}`}, 409, "changed", nil},
		{"allow calls", call{as: "operator", method: "POST", path: "/v1/projects/" + project + "/allow", body: `{"reason": "x", "count": 5}`}, 200, "", []string{`"allowed":5`}},
		{"allow calls, once", call{as: "operator", method: "POST", path: "/v1/projects/" + project + "/allow", body: `{"reason": "x", "count": 7}`, header: map[string]string{"Idempotency-Key": "seven"}}, 200, "", []string{`"repeated":false`}},
		{"allow calls, again", call{as: "operator", method: "POST", path: "/v1/projects/" + project + "/allow", body: `{"reason": "x", "count": 7}`, header: map[string]string{"Idempotency-Key": "seven"}}, 200, "", []string{`"repeated":true`, `"allowed":7`}},
		{"allow calls, another", call{as: "operator", method: "POST", path: "/v1/projects/" + project + "/allow", body: `{"reason": "x", "count": 8}`, header: map[string]string{"Idempotency-Key": "seven"}}, 422, "key-reused", nil},
		{"allow calls, bad key", call{as: "operator", method: "POST", path: "/v1/projects/" + project + "/allow", body: `{"reason": "x", "count": 8}`, header: map[string]string{"Idempotency-Key": ""}}, 400, "invalid-request", nil},
		{"pause, changed", call{as: "operator", method: "PUT", path: "/v1/pauses/-", body: `{"reason": "x", "expect": "x"}`}, 409, "changed", nil},
		{"pause", call{as: "operator", method: "PUT", path: "/v1/pauses/" + project, body: why}, 200, "", []string{`"changed":true`}},
		{"overview", call{as: "reader", method: "GET", path: "/v1/overview"}, 200, "", []string{`"in_flight"`, `"last_hour":[{`, `"reason":"paused"`}},
		{"overview, known", call{as: "reader", method: "GET", path: "/v1/overview", header: map[string]string{"If-None-Match": "*"}}, 304, "", nil},
		{"overview in part", call{as: "partial", method: "GET", path: "/v1/overview"}, 200, "", []string{`"last_hour":null`, `"reason":"paused"`}},
		{"holds", call{as: "partial", method: "GET", path: "/v1/holds"}, 200, "", []string{`"reason":"paused"`}},
		{"resume, changed", call{as: "operator", method: "DELETE", path: "/v1/pauses/" + project + "?reason=x&expect=x"}, 409, "changed", nil},
		{"resume, form", call{as: "operator", method: "DELETE", path: "/v1/pauses/" + project, body: why, header: map[string]string{"Content-Type": "text/plain"}}, 415, "unsupported-media-type", nil},
		{"resume", call{as: "operator", method: "DELETE", path: "/v1/pauses/" + project + "?reason=x"}, 200, "", []string{`"changed":true`}},
		{"actions", call{as: "reader", method: "GET", path: "/v1/actions?limit=20"}, 200, "", []string{`"resume"`, `"from":"127.0.0.1"`}},
		{"the description", call{method: "GET", path: "/openapi.yaml"}, 200, "", nil},
		{"the description, query", call{method: "GET", path: "/openapi.yaml?x=1"}, 400, "invalid-request", nil},

		{"no body", call{as: "operator", method: "POST", path: b + "/cancel", header: json}, 400, "malformed-body", nil},
		{"nobody", call{method: "GET", path: b}, 401, "not-authenticated", nil},
		{"too late", call{as: "former", method: "GET", path: b}, 401, "expired", nil},
		{"role", call{as: "reader", method: "PUT", path: b, body: "{}"}, 403, "role-too-low", nil},
		{"other project", call{as: "partial", method: "PUT", path: "/v1/batches/new", body: strings.Replace(body(`["1"]`, ""), project, other, 1)}, 403, "project-denied", []string{other}},
		{"all projects", call{as: "partial", method: "GET", path: "/v1/schedules"}, 403, "project-denied", nil},
		{"other site", call{as: "operator", method: "POST", path: b + "/cancel", body: why, header: map[string]string{"Sec-Fetch-Site": "cross-site"}}, 403, "cross-origin", nil},
		{"other host", call{as: "reader", method: "GET", path: b, header: map[string]string{"Host": "evil.example"}}, 421, "wrong-host", nil},
		{"no route", call{as: "reader", method: "GET", path: "/v1/none"}, 404, "not-found", nil},
		{"other method", call{as: "reader", method: "DELETE", path: "/v1/batches"}, 405, "method-not-allowed", nil},
		{"accept", call{as: "reader", method: "GET", path: b, header: map[string]string{"Accept": "image/png"}}, 406, "not-acceptable", nil},
		{"query", call{as: "reader", method: "GET", path: b + "?wiat=3"}, 400, "invalid-request", []string{`\"wiat\"`, "takes wait"}},
		{"wait", call{as: "reader", method: "GET", path: b + "?wait=3000"}, 400, "invalid-request", []string{"from 0 to 60"}},
		{"cursor", call{as: "reader", method: "GET", path: b + "/stops?cursor=x"}, 400, "invalid-request", nil},
		{"too large", call{as: "asker", method: "PUT", path: b, body: body(`["`+strings.Repeat("1", 9<<20)+`"]`, "")}, 413, "body-too-large", nil},
		{"too large for an action", call{as: "operator", method: "POST", path: b + "/cancel", body: `{"reason": "` + strings.Repeat("1", 1<<20) + `"}`}, 413, "body-too-large", nil},
	} {
		w.want(c.what, w.send(c.call), c.status, c.problem, c.says...)
	}
	for _, path := range []string{b + "/cancel", b + "/retry", b + "/undo", b + "/allow", "/v1/projects/" + project + "/allow", "/v1/pauses/-",
		"/v1/schedules/s/run", "/v1/schedules/s/suspend", "/v1/schedules/s/resume"} {
		method := "POST"
		if strings.HasPrefix(path, "/v1/pauses") {
			method = "PUT"
		}
		w.want(path, w.send(call{as: "operator", method: method, path: path, body: why, header: map[string]string{"Content-Type": "text/plain"}}), 415, "unsupported-media-type")
		w.want(path, w.send(call{as: "operator", method: method, path: path, body: `{"resaon": "x"}`}), 422, "invalid-content", `/resaon`)
		if strings.HasPrefix(path, b) {
			w.want(path, w.send(call{as: "operator", method: method, path: strings.Replace(path, "/b/", "/none/", 1), body: why}), 404, "not-found")
		}
	}
	w.want("resume, field", w.send(call{as: "operator", method: "DELETE", path: "/v1/pauses/-", body: `{"resaon": "x"}`}), 422, "invalid-content")
	w.byRuleAndByKey()
	<-slow
	seen := w.spec.seen
	for _, o := range []options{{noAPI: true, noActions: true}, {noAPI: true, inFlight: 1, rate: 1_000_000}, {rate: 1}} {
		o.elsewhere(t, seen)
	}
	w.missing(seen)
}

// byRuleAndByKey asks by rule, and with an Idempotency-Key.
func (w *world) byRuleAndByKey() {
	w.Helper()
	rule := fmt.Sprintf(`{"project_id": %q, "rule": {"all": true}}`, project)
	none := fmt.Sprintf(`{"project_id": %q, "rule": {"name": ["no-such-job"]}}`, project)
	w.want("a rule that matches nothing", w.send(call{as: "asker", method: "PUT", path: "/v1/batches/none", body: none}), 200, "", `"batch":""`)
	key := map[string]string{"Idempotency-Key": "monday 🙂"}
	w.want("key", w.send(call{as: "asker", method: "POST", path: "/v1/batches", body: rule, header: key}), 400, "invalid-request")
	key["Idempotency-Key"] = "monday"
	w.want("rule", w.send(call{as: "asker", method: "POST", path: "/v1/batches", body: rule, header: key}), 202, "")
	w.want("key, other body", w.send(call{as: "asker", method: "POST", path: "/v1/batches", body: none, header: key}), 422, "key-reused")
	w.atWork(call{as: "asker", method: "POST", path: "/v1/batches", body: rule, header: key})
	w.sim.Close()
	for _, c := range []call{{method: "PUT", path: "/v1/batches/rule"}, {method: "POST", path: "/v1/batches"}} {
		c.as, c.body = "asker", rule
		w.want("API", w.send(c), 502, "api-failed", "Nothing was recorded")
	}
}

// atWork asks again while another console has the same request at work, and after it has died of it.
func (w *world) atWork(c call) {
	w.Helper()
	ctx, admin := w.Context(), w.redis.Client(w)
	keys, err := admin.Keys(ctx, "vizstop:{-}:idempotency:*").Result()
	if err != nil || len(keys) != 1 {
		w.Fatalf("keys %v, %v", keys, err)
	}
	if err := errors.Join(admin.HDel(ctx, keys[0], "answer").Err(), admin.HSet(ctx, keys[0], "until", time.Now().Add(time.Hour).UnixMilli()).Err()); err != nil {
		w.Fatal(err)
	}
	r := w.send(c)
	w.want("at work", r, 409, "in-progress")
	if r.header.Get("Retry-After") == "" {
		w.Error("409 of a request at work without Retry-After")
	}
	if err := admin.HSet(ctx, keys[0], "until", time.Now().Add(-time.Minute).UnixMilli()).Err(); err != nil {
		w.Fatal(err)
	}
	w.want("after its death", w.send(c), 202, "")
	again := w.send(c)
	w.want("after that", again, 202, "")
	if again.header.Get("Idempotency-Replayed") != "true" {
		w.Error("the answer was not kept")
	}
	if left := admin.TTL(ctx, keys[0]).Val(); left < 6*24*time.Hour || left > 7*24*time.Hour {
		w.Errorf("the key is kept for %v", left)
	}
}

// slow sends a body that stops.
func (w *world) slow() {
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		w.Error(err)
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PUT /v1/batches/slow HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", w.tokens["asker"])
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		w.Error(err)
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	r := decoded(resp, text)
	if err := w.spec.check("PUT", "/v1/batches/slow", r); err != nil || r.status != 408 || r.problem() != "slow-body" {
		w.Errorf("a slow body: %d %s, %v", r.status, r.body, err)
	}
}

// elsewhere asks consoles that are set up otherwise.
func (o options) elsewhere(t *testing.T, seen map[string]bool) {
	w := newWorld(t, o)
	w.spec.seen = seen
	why := `{"reason": "test"}`
	switch {
	case o.noActions:
		w.want("actions are off", w.send(call{as: "operator", method: "PUT", path: "/v1/pauses/-", body: why}), 403, "actions-off")
		rule := fmt.Sprintf(`{"project_id": %q, "rule": {"all": true}}`, project)
		w.want("no credentials", w.send(call{as: "asker", method: "PUT", path: "/v1/batches/b", body: rule}), 501, "no-credentials")
		w.want("no credentials", w.send(call{as: "asker", method: "POST", path: "/v1/batches", body: rule}), 501, "no-credentials")
		w.breakRedis()
	case o.rate == 1:
		for {
			if r := w.send(call{as: "reader", method: "GET", path: "/v1/batches"}); r.status != 200 {
				w.want("too many requests", r, 429, "too-many-requests")
				if r.header.Get("Retry-After") == "" {
					t.Error("429 without Retry-After")
				}
				break
			}
		}
		bad := map[string]string{"Authorization": "Bearer wrong"}
		for {
			if r := w.send(call{method: "GET", path: "/v1/batches", header: bad}); r.status != 401 {
				w.want("too many guesses", r, 429, "too-many-guesses")
				break
			}
		}
	default:
		w.ask("operator", "b", body(`["1"]`, `, "in": "5h"`))
		w.want("undo without credentials", w.send(call{as: "operator", method: "POST", path: "/v1/batches/b/undo", body: why}), 501, "no-credentials")
		ctx, stop := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		defer waiting.Wait()
		defer stop()
		waiting.Go(func() { // it may meet the others itself
			for ctx.Err() == nil {
				_, _ = w.tryIn(ctx, call{as: "reader", method: "GET", path: "/v1/batches/b?wait=20"})
			}
		})
		for {
			if r := w.send(call{as: "asker", method: "GET", path: "/v1/batches"}); r.status != 200 {
				w.want("overloaded", r, 503, "overloaded")
				break
			}
		}
	}
}

// breakRedis has Redis say what no console can work with, and then nothing.
func (w *world) breakRedis() {
	w.Helper()
	ctx := w.Context()
	admin := w.redis.Client(w)
	if err := admin.Set(ctx, "vizstop:{-}:actions", "not a stream", 0).Err(); err != nil {
		w.Fatal(err)
	}
	w.want("a key of the wrong type", w.send(call{as: "reader", method: "GET", path: "/v1/actions"}), 500, "internal")
	w.redis.Kill()
	w.want("a Redis that is gone", w.send(call{as: "reader", method: "GET", path: "/v1/batches"}), 503, "unavailable")
}

// missing says what was described and not met.
func (w *world) missing(seen map[string]bool) {
	w.Helper()
	// The middleware answers with these in the same way for every operation, so they are wanted of any one.
	everywhere := []string{"400", "401", "403", "406", "408", "413", "421", "429", "500", "503"}
	met := map[string]bool{}
	for one := range seen {
		met[one[strings.LastIndex(one, " ")+1:]] = true
	}
	for _, status := range everywhere {
		if !met[status] {
			w.Errorf("no answer was %s", status)
		}
	}
	for pattern, op := range w.spec.ops {
		for status := range op["responses"].(object) {
			// What goes on in the background takes longer than a test may (package operate has one); no schedule is
			// in force.
			background := status == "202" && !strings.HasSuffix(pattern, "/v1/batches") && !strings.HasPrefix(pattern, "PUT /v1/batches")
			schedules := strings.Contains(pattern, "/schedules/") && (status == "200" || status == "409")
			if !slices.Contains(everywhere, status) && !seen[pattern+" "+status] && !background && !schedules {
				w.Errorf("%s was not seen to answer %s", pattern, status)
			}
		}
	}
	for _, one := range problem.Types() {
		if !seen[string(one)] && one != problem.TookTooLong { // package site has a test of it
			w.Errorf("no answer was a problem of the type %s", one)
		}
	}
}

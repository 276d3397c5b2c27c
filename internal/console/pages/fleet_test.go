package pages_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/urfave/cli/v3"

	"vizstop/internal/browsertest"
	"vizstop/internal/console"
	"vizstop/internal/console/operate"
	"vizstop/internal/console/site"
	"vizstop/internal/control"
	"vizstop/internal/fleet"
	"vizstop/internal/ledger"
	"vizstop/internal/principals"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
	"vizstop/internal/settings"
)

func TestMain(m *testing.M) { os.Exit(browsertest.Run(m)) }

const (
	project = "0123456789abcdef0123456789abcdef"
	paused  = "fedcba9876543210fedcba9876543210"
	quiet   = "00000000000000000000000000000009" // that the limited principal sees, too
	lone    = "00000000000000000000000000000005" // that only the principal pair sees, beside project
)

// hostile is a text from outside at its worst: markup, a script, quotes, marks that turn the direction of writing, a
// control character and no space.
const hostile = `<img/src=x onerror="document.title='owned'"><script>document.title='owned'</script>'"` + "\u202e\u0007" + `{{.}}javascript:alert(1)`

var long = strings.Repeat("a1b2c3d4", 32) // 256 characters without a space

// world is a fleet in a certain state, and a console that shows it.
type world struct {
	*testing.T
	admin  *redis.Client
	desk   *control.Desk
	url    string
	server *redistest.Server
	tokens map[string]string
	dies   func()            // ends the only worker
	api    *settings.Service // nil: no credentials
}

// newWorld makes a fleet: a batch that has ended with failures, one in flight, one that a limit holds, one of a project
// that is paused, and one whose texts are hostile.
func newWorld(t *testing.T, prefix string) *world {
	t.Helper()
	s := redistest.Start(t)
	w := &world{T: t, server: s, admin: s.Client(t), tokens: map[string]string{}}
	rdb := s.Limited(t)
	member := fleet.New(rdb, 50)
	w.dies = alive(t, member)
	must(t, release.New(rdb, "", member.Now, release.Config{Rate: 50}).Announce(t.Context()))
	desk, err := control.Open(t.Context(), rdb)
	must(t, err)
	w.desk = desk
	w.populate()
	w.hour()
	w.schedules(member.ID())
	w.serve(prefix)
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// alive has a worker say that it lives until the test ends, or until dies is called.
func alive(t *testing.T, m *fleet.Member) (dies func()) {
	must(t, m.Beat(t.Context()))
	ctx, end := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(fleet.BeatInterval); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
				_ = m.Beat(ctx)
			}
		}
	}()
	dies = func() { end(); <-done }
	t.Cleanup(dies)
	return dies
}

func (w *world) ask(projectID, batch string, meta ledger.Meta, confirmed bool, due time.Time, jobs ...string) {
	w.Helper()
	l := w.desk.Ledger
	must(w.T, l.Describe(w.Context(), projectID, batch, meta))
	var asks []ledger.Ask
	for _, job := range jobs {
		asks = append(asks, ledger.Ask{JobID: job, Due: due, Deadline: due.Add(2 * time.Hour), Confirmed: confirmed, Labels: meta.Labels})
	}
	_, err := l.Open(w.Context(), projectID, batch, asks)
	must(w.T, err)
	must(w.T, release.Ask(w.Context(), w.desk.Redis, projectID))
}

func (w *world) stop(projectID, batch, job string) *ledger.Stop {
	w.Helper()
	s, err := w.desk.Ledger.Get(w.Context(), projectID, ledger.StopID(batch, projectID, job))
	must(w.T, err)
	return s
}

// end ends a stop as a worker would, with calls in its history.
func (w *world) end(s *ledger.Stop, outcome ledger.State, reason string) {
	w.Helper()
	w.called(s)
	s.Note(ledger.HistoryStep{At: s.Accepted.Add(4 * time.Second), Call: ledger.HistoryDetail, Answer: "ok", Status: "9 (stopped)", RequestID: "req-" + s.JobID})
	s.Polls = 1
	ok, err := w.desk.Ledger.Finish(w.Context(), s, outcome, reason, 5*time.Second)
	if err != nil || !ok {
		w.Fatal(ok, err)
	}
}

func (w *world) called(s *ledger.Stop) {
	at := s.Due.Add(time.Second)
	s.Called, s.Accepted, s.Calls, s.Status, s.RequestID = at, at.Add(200*time.Millisecond), 1, "8 (running)", "2f4a-"+s.JobID
	s.Note(ledger.HistoryStep{At: at, Call: ledger.HistoryStop, Answer: "http 503 ModelArts.0107: service is busy, try again"})
	s.Note(ledger.HistoryStep{At: s.Accepted, Call: ledger.HistoryStop, Answer: "accepted", Status: "8 (running)", RequestID: "2f4a-" + s.JobID})
}

func ids(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s%04d", prefix, i)
	}
	return list
}

func (w *world) populate() {
	now := time.Now()
	night := ledger.Meta{Requester: "ada", Reason: "nightly clean-up", Labels: map[string]string{"team": "vision", "ticket": "OPS-4711"}}
	jobs := ids("a3f0c9d2-", 60)
	w.ask(project, "nightly-20261126", night, true, now.Add(-6*time.Second), jobs...)
	for i, job := range jobs {
		s := w.stop(project, "nightly-20261126", job)
		switch {
		case i < 48:
			w.end(s, ledger.Stopped, "")
		case i < 51:
			w.end(s, ledger.AlreadyStopped, "")
		case i < 54:
			w.end(s, ledger.Rejected, "http 403 ModelArts.0010: job "+job+" belongs to another workspace")
		case i < 55:
			w.end(s, ledger.NotFound, "http 404 ModelArts.0104: the job does not exist")
		default:
			w.end(s, ledger.Expired, "its deadline passed: http 503 ModelArts.0107: service is busy")
		}
	}
	moving := ids("b7e1aa04-", 40)
	w.ask(project, "20261126-evening", ledger.Meta{Requester: "grace", Reason: "GPU shortage, see OPS-4712"}, true, now.Add(-90*time.Second), moving...)
	for i, job := range moving[:30] {
		s := w.stop(project, "20261126-evening", job)
		if i < 18 {
			w.end(s, ledger.Stopped, "")
			continue
		}
		w.called(s)
		s.State = ledger.Stopping
		ok, err := w.desk.Ledger.Advance(w.Context(), s, ledger.Step{Kind: ledger.KindPoll, Due: now.Add(time.Minute)})
		if err != nil || !ok {
			w.Fatal(ok, err)
		}
	}
	w.ask(paused, "weekend-idle", ledger.Meta{Requester: "lin", Reason: "idle over the weekend"}, true, now.Add(-95*time.Minute), ids("c0ffee00-", 25)...)
	_, err := w.desk.Release.Pause(w.Context(), paused, "lin "+hostile, "waiting for the owner "+hostile)
	must(w.T, err)
	w.held(quiet, "sweep-http", 64)
	w.ask(project, "hostile", ledger.Meta{Requester: hostile, Reason: long + hostile, Labels: map[string]string{"<b>": hostile, "long": long}}, true,
		now.Add(-3*time.Second), "hostile-job", "other-job")
	s := w.stop(project, "hostile", "hostile-job")
	s.Status = hostile
	s.Note(ledger.HistoryStep{At: now, Call: ledger.HistoryStop, Answer: hostile, Status: hostile, RequestID: "<u>" + hostile})
	w.end(s, ledger.Rejected, hostile+long)
}

// held opens a batch that a limit holds.
func (w *world) held(projectID, batch string, n int) {
	w.Helper()
	must(w.T, w.desk.Ledger.StateSize(w.Context(), projectID, batch, n, "it has "+fmt.Sprint(n)+" stops, more than --batch-limit 50"))
	w.ask(projectID, batch, ledger.Meta{Requester: "http: sweeper", Reason: "sweep"}, false, time.Now().Add(-4*time.Minute), ids("d00d0000-", n)...)
	must(w.T, w.admin.SAdd(w.Context(), "vizstop:{-}:held", projectID).Err()) // as a worker does at its next round
}

// hour makes up what workers would have counted in the last hour.
func (w *world) hour() {
	now := time.Now().Unix() / 60
	for i := range int64(60) {
		n := 20 + (i*i*7)%23
		if i%17 == 5 {
			n = 0
		}
		bad := int64(0)
		if i%11 == 3 {
			bad = 4
		}
		text := fmt.Sprintf(`{"o":{"stopped":%d,"rejected":%d},"l":{"4":%d,"6":%d},"c":{"stop":[%d,%d,0],"detail":[%d,0,1]}}`, n, bad, n-n/10, n/10, n+bad, bad, 2*n)
		must(w.T, w.admin.HSet(w.Context(), fmt.Sprintf("vizstop:{-}:minute:%d", now-59+i), "worker", text).Err())
	}
}

// schedules puts a schedules file into force, as a worker does.
func (w *world) schedules(worker string) {
	now := time.Now().UTC()
	put := func(key, field string, value any) {
		b, err := json.Marshal(value)
		must(w.T, err)
		must(w.T, w.admin.HSet(w.Context(), key, field, b).Err())
	}
	put("vizstop:{-}:schedules", "record", map[string]any{"revision": 3, "hash": "9f2c", "since": now, "schedules": []any{
		map[string]any{"name": "nightly", "timing": "20:00 on Mon to Fri, Asia/Shanghai", "timezone": "Asia/Shanghai", "since": now},
		map[string]any{"name": "weekend", "timing": "08:00 on Sat, Sun, Asia/Shanghai", "timezone": "Asia/Shanghai", "since": now}}})
	put("vizstop:{-}:schedules:files", worker, map[string]any{"worker": worker, "revision": 3, "hash": "9f2c", "said": now})
	put("vizstop:{-}:schedule:nightly", "record", map[string]any{"next": now.Add(3 * time.Hour).UnixMilli(), "last_done": now.Add(-21 * time.Hour).UnixMilli()})
	put("vizstop:{-}:schedule:weekend", "record", map[string]any{"next": now.Add(30 * time.Hour).UnixMilli(), "suspensions": []any{
		map[string]any{"from": now.Add(-time.Hour).UnixMilli(), "until": now.Add(50 * time.Hour).UnixMilli(), "by": "ada", "reason": "inventory"}}})
	result, err := json.Marshal(map[string]any{"tick": now.Add(-21 * time.Hour), "outcome": "partial", "at": now, "batch": "nightly-20261126", "chosen": 60,
		"accepted": 58, "joined": 2, "held": "more than its limit", "reason": "project " + quiet + " could not be listed: " + hostile})
	must(w.T, err)
	must(w.T, w.admin.LPush(w.Context(), "vizstop:{-}:schedule:nightly:results", result).Err())
}

// serve starts the console, with its whole middleware.
func (w *world) serve(prefix string) {
	w.Helper()
	text := "principals:\n"
	for name, more := range map[string]string{"reader": "role: read", "operator": "role: operate", "limited": "role: operate, projects: [" + quiet + "]",
		"other": "role: read, projects: [" + paused + "]", "pair": "role: read, projects: [" + project + ", " + lone + "]"} {
		token, hash := principals.NewToken()
		w.tokens[name] = token
		text += fmt.Sprintf("- {name: %s, token_hash: %q, %s}\n", name, hash, more)
	}
	path := filepath.Join(w.TempDir(), "principals.yaml")
	must(w.T, os.WriteFile(path, []byte(text), 0o600))
	known, err := principals.Open(path, nil)
	must(w.T, err)
	operator := operate.New(w.desk, nil)
	w.Cleanup(operator.Close)
	c, err := console.New(console.Config{Site: &site.Site{Desk: w.desk, Operator: operator, Prefix: prefix, Actions: true, API: w.api, Log: slog.New(slog.DiscardHandler),
		GrafanaURL: "https://grafana.example/d/vizstop", RunbookURL: "https://runbooks.example/operations.html"}, Principals: known,
		Registry: prometheus.NewRegistry(), Ready: func(context.Context) error { return nil }})
	must(w.T, err)
	server := httptest.NewServer(c)
	w.Cleanup(server.Close)
	w.url = server.URL + prefix
}

// answer is what the console answered.
type answer struct {
	status int
	header http.Header
	body   string
}

func (w *world) get(who, path string, headers ...string) answer {
	w.Helper()
	return w.send(who, "GET", path, "", headers...)
}

func (w *world) send(who, method, path, body string, headers ...string) answer {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), method, w.url+path, strings.NewReader(body))
	must(w.T, err)
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+w.tokens[who])
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	must(w.T, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(w.T, err)
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// everyPage is a path of every page of the world.
var everyPage = []string{"/", "/batches", "/batches?job=nowhere&since=24h", "/batches/nightly-20261126", "/batches/20261126-evening", "/batches/sweep-http",
	"/batches/hostile", "/jobs/" + project + "/a3f0c9d2-0001", "/jobs/" + project + "/hostile-job", "/schedules", "/limits", "/actions",
	"/act/cancel?batch=weekend-idle", "/act/allow?project=" + quiet, "/act/suspend-schedule?schedule=nightly", "/batches/nothing-like-it"}

// credentials gives the console an accounts file.
func (w *world) credentials(file string) {
	w.Helper()
	path := filepath.Join(w.TempDir(), "accounts.yaml")
	must(w.T, os.WriteFile(path, []byte(file), 0o600))
	var set settings.Set
	var api settings.API
	api.Declare(&set, true)
	getenv := func(name string) string {
		return map[string]string{"TEAM_A_ACCESS_KEY": "AKTEAMA", "TEAM_A_SECRET_KEY": "team-a-secret", "TEAM_B_ACCESS_KEY": "AKTEAMB", "TEAM_B_SECRET_KEY": "team-b-secret"}[name]
	}
	cmd := &cli.Command{Name: "console", Flags: set.Flags(), Action: func(_ context.Context, cmd *cli.Command) (err error) {
		if err := set.Load(cmd, getenv); err != nil {
			return err
		}
		w.api, err = api.Open(settings.Options{})
		return err
	}}
	must(w.T, cmd.Run(w.Context(), []string{"console", "--accounts", path}))
}

func ledgerMeta(who string) ledger.Meta { return ledger.Meta{Requester: who} }

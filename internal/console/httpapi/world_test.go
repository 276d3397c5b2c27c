package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vizstop/internal/caller"
	"vizstop/internal/console"
	"vizstop/internal/console/operate"
	"vizstop/internal/console/site"
	"vizstop/internal/control"
	"vizstop/internal/httpd"
	"vizstop/internal/ledger"
	"vizstop/internal/logtest"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/principals"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
	"vizstop/internal/settings"
	"vizstop/internal/tasks"
	"vizstop/internal/worker"
)

const (
	project = "0123456789abcdef0123456789abcdef"
	other   = "fedcba9876543210fedcba9876543210"
)

// patience is for machines that are very busy.
const patience = 2 * time.Minute

// world is a console with its Redis and the API, and the description that all of its answers are held against.
type world struct {
	*testing.T
	redis  *redistest.Server
	sim    *modelartstest.Server
	desk   *control.Desk
	url    string
	tokens map[string]string
	spec   *spec
	log    *logtest.Buffer
}

// options of a world.
type options struct {
	noAPI, noActions bool
	inFlight, rate   int
	prefix           string
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	w := &world{T: t, redis: redistest.Start(t), tokens: map[string]string{}, spec: readSpec(t), log: &logtest.Buffer{}}
	log := slog.New(slog.NewTextHandler(w.log, nil))
	rdb := w.redis.Limited(t)
	var err error
	if w.desk, err = control.Open(t.Context(), rdb); err != nil {
		t.Fatal(err)
	}
	var api *settings.Service
	if !o.noAPI {
		api = w.startAPI()
	}
	var calls caller.API // not one that is nil inside
	if api != nil {
		calls = api
	}
	operator := operate.New(w.desk, calls)
	t.Cleanup(operator.Close)
	c, err := console.New(console.Config{
		Site:       &site.Site{Desk: w.desk, Operator: operator, Prefix: o.prefix, Actions: !o.noActions, API: api, Log: log},
		Principals: w.directory(), Registry: prometheus.NewRegistry(), InFlight: o.inFlight, Rate: o.rate,
		Ready: func(ctx context.Context) error { return rdb.Ping(ctx).Err() },
	})
	if err != nil {
		t.Fatal(err)
	}
	server, err := httpd.Listen(httpd.Config{Listen: "127.0.0.1:0", Handler: c, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(time.Second) })
	w.url = "http://" + server.Addr() + o.prefix
	return w
}

func (w *world) startAPI() *settings.Service {
	w.Helper()
	var cfg modelartstest.Config
	cfg.Only = modelartstest.V1
	cfg.Auth.AccessKeys = map[string]string{"key": "secret"}
	sim, err := modelartstest.Start(cfg)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(sim.Close)
	w.sim = sim
	api, err := (&settings.API{Region: "cn-north-4", Endpoint: sim.URL, Generation: "v1", Login: settings.Login{AccessKey: "key", SecretKey: "secret"}}).Open(settings.Options{})
	if err != nil {
		w.Fatal(err)
	}
	return api
}

// directory has a principal of each role, one with one project, and one who is too late.
func (w *world) directory() *principals.Directory {
	w.Helper()
	text := "principals:\n"
	for name, more := range map[string]string{"reader": "role: read", "asker": "role: ask", "second": "role: ask", "operator": "role: operate",
		"partial": "role: operate, projects: [" + project + "]", "former": "role: read, expires: 2020-01-01"} {
		token, hash := principals.NewToken()
		w.tokens[name] = token
		text += fmt.Sprintf("- {name: %s, token_hash: %q, %s}\n", name, hash, more)
	}
	path := filepath.Join(w.TempDir(), "principals.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
	d, err := principals.Open(path, nil)
	if err != nil {
		w.Fatal(err)
	}
	return d
}

// startWorker has a worker carry out what is asked for.
func (w *world) startWorker() {
	w.Helper()
	api, err := (&settings.API{Region: "cn-north-4", Endpoint: w.sim.URL, Generation: "v1", Login: settings.Login{AccessKey: "key", SecretKey: "secret"}}).Open(settings.Options{})
	if err != nil {
		w.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	wk := worker.New(worker.Config{Redis: w.redis.Limited(w), Jobs: api, Registry: reg, Metrics: worker.NewMetrics(reg, "test"),
		Release: release.Config{Rate: 1000}, CheckInterval: 20 * time.Millisecond, Schedule: tasks.Schedule{PollFirst: 100 * time.Millisecond}})
	if err := wk.Start(w.Context()); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(wk.Shutdown)
}

func (w *world) addJobs(ids ...string) {
	for _, id := range ids {
		w.sim.AddJob(project, modelartstest.Job{ID: id, StopTime: 100 * time.Millisecond})
	}
}

// call is a request of a test.
type call struct {
	as     string // a principal; "": nobody
	method string
	path   string
	body   string
	header map[string]string
}

// reply is what came of it.
type reply struct {
	status int
	header http.Header
	body   string
	fields map[string]any // of a JSON object
}

// text is a field of the answer, such as "projects.0.batch".
func (r reply) at(path string) any {
	var v any = r.fields
	for name := range strings.SplitSeq(path, ".") {
		switch of := v.(type) {
		case map[string]any:
			v = of[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(of) {
				return nil
			}
			v = of[i]
		default:
			return nil
		}
	}
	return v
}

// problem is the type of the problem, without the path before it.
func (r reply) problem() string {
	t, _ := r.at("type").(string)
	return strings.TrimPrefix(t, "/problems/")
}

// send sends a request and holds the answer against the description. A body is JSON unless its header says otherwise.
func (w *world) send(c call) reply {
	w.Helper()
	r, err := w.try(c)
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func (w *world) try(c call) (reply, error) { return w.tryIn(w.Context(), c) }

func (w *world) tryIn(ctx context.Context, c call) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var body io.Reader
	if c.body != "" {
		body = strings.NewReader(c.body)
	}
	req, err := http.NewRequestWithContext(ctx, c.method, w.url+c.path, body)
	if err != nil {
		return reply{}, err
	}
	if c.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.as != "" {
		req.Header.Set("Authorization", "Bearer "+w.tokens[c.as])
	}
	for name, value := range c.header {
		if name == "Host" {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, err
	}
	r := decoded(resp, text)
	return r, w.spec.check(c.method, c.path, r)
}

// ask asks for jobs as a principal, and wants it to be taken.
func (w *world) ask(as, batch, body string) reply {
	w.Helper()
	r := w.send(call{as: as, method: "PUT", path: "/v1/batches/" + batch, body: body})
	if r.status != http.StatusAccepted {
		w.Fatalf("asking for batch %s: %d %s", batch, r.status, r.body)
	}
	return r
}

func (w *world) batch(id string) *ledger.Batch {
	w.Helper()
	b, err := w.desk.Ledger.Batch(w.Context(), project, id)
	if err != nil {
		w.Fatal(err)
	}
	return b
}

// want checks a reply.
func (w *world) want(what string, r reply, status int, problem string, says ...string) {
	w.Helper()
	if r.status != status || problem != r.problem() {
		w.Errorf("%s: %d %s, want %d %s\n%.600s", what, r.status, r.problem(), status, problem, r.body)
	}
	for _, word := range says {
		if !strings.Contains(r.body, word) {
			w.Errorf("%s: says not %q: %.900s", what, word, r.body)
		}
	}
}

// list is n job ids as JSON, from the first one on.
func list(from, n int) string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%q", fmt.Sprint(from+i))
	}
	return "[" + strings.Join(ids, ",") + "]"
}

func body(jobs, more string) string {
	return fmt.Sprintf(`{"project_id": %q, "jobs": %s%s}`, project, jobs, more)
}

func decoded(resp *http.Response, text []byte) reply {
	r := reply{status: resp.StatusCode, header: resp.Header, body: string(text)}
	_ = json.Unmarshal(text, &r.fields) // not all is JSON
	return r
}

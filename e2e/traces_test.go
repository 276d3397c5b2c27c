package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/tasks"
)

// askTraced asks for ids with that environment and returns the batch.
func (w *world) askTraced(env []string, ids ...string) string {
	w.t.Helper()
	p := launch(w.t, env, "", "enqueue", append([]string{"--quiet"}, ids...)...)
	p.wantExit(0)
	if said := p.stderr.String(); said != "" {
		w.t.Errorf("enqueue said %q", said)
	}
	return strings.TrimSpace(p.stdout.String())
}

// One stop is one trace, from enqueue over every task to the last call. Log lines
// and exemplars name it, and nothing in it proves who we are.
func TestOneTracePerStop(t *testing.T) {
	t.Parallel()
	w, c := newWorld(t, modelartstest.Config{Only: either(modelartstest.V2)}), newCollector(t)
	env := c.traced(w.env())
	p := startWorker(t, env)
	stop := w.awaitEnd(w.askTraced(env, w.addJobs(1, time.Second)...))[w.id(1000)]
	if stop.State != ledger.Stopped {
		t.Fatalf("%s: %s", stop.State, stop.Reason)
	}
	var trace string
	await(t, "the span of the ask", func() bool {
		sends := c.named("send visualization", w.id(1000))
		if len(sends) == 1 {
			trace = sends[0].trace
		}
		return trace != ""
	})
	await(t, "the whole trace", func() bool { // a span is sent when it ends, so a call's is sent before its task's
		count := map[string]int{}
		for _, s := range c.of(trace) {
			count[s.service+" "+s.Name]++
		}
		gets := count["vizstop-worker GET"]
		return count["vizstop-enqueue send visualization"] == 1 && count["vizstop-worker process visualization"] == 1+gets-w.guards(w.id(1000), 1) &&
			count["vizstop-worker POST"] == 1 && gets >= 1 && gets == w.calls(jobs.OperationDetail, w.id(1000))
	})
	w.checkFamily(c.of(trace))
	for _, secret := range []string{accessKey, secretKey, "Authorization", "SDK-HMAC"} {
		if bytes.Contains(c.sent(), []byte(secret)) {
			t.Errorf("a span holds %q", secret)
		}
	}
	if !loggedWith(p, "stop ended", trace) || !loggedWith(p, "stop accepted", trace) {
		t.Errorf("no line of log names trace %s", trace)
	}
	page := p.openMetrics()
	for _, series := range []string{"vizstop_stop_duration_seconds_bucket", "vizstop_stop_phase_seconds_bucket", "vizstop_stop_polls_bucket",
		"vizstop_poll_lag_seconds_bucket", `vizstop_modelarts_request_duration_seconds_bucket{account="default",operation="stop"`} {
		if !hasExemplar(page, series, trace) {
			t.Errorf("%s has no exemplar with trace %s", series, trace)
		}
	}
}

// checkFamily holds spans of one trace against the semantic conventions: every
// parent is there, and attributes say what happened.
func (w *world) checkFamily(spans []span) {
	t, job := w.t, w.id(1000)
	t.Helper()
	byID := map[string]span{}
	for _, s := range spans {
		byID[string(s.SpanId)] = s
	}
	for _, s := range spans {
		parent, ok := byID[string(s.ParentSpanId)]
		switch s.Name {
		case "send visualization":
			if len(s.ParentSpanId) > 0 {
				t.Errorf("%s has a parent", s.Name)
			}
		case "POST", "GET":
			if !ok || !strings.HasPrefix(parent.Name, "process ") || s.attrs["server.address"] != "127.0.0.1" ||
				s.attrs["http.request.method"] != s.Name || !strings.Contains(s.attrs["url.full"], w.path(job)) {
				t.Errorf("%s under %q: %v", s.Name, parent.GetName(), s.attrs)
			}
			continue
		default:
			if !ok || parent.Name != "send visualization" {
				t.Errorf("%s under %q", s.Name, parent.GetName())
			}
		}
		if s.attrs["messaging.system"] != "asynq" || s.attrs["messaging.message.id"] == "" || s.attrs["vizstop.job"] != job ||
			s.Name != s.attrs["messaging.operation.name"]+" "+s.attrs["messaging.destination.name"] {
			t.Errorf("%s: %v", s.Name, s.attrs)
		}
	}
}

// loggedWith reports whether a line of log with that message names the trace.
func loggedWith(p *workerProcess, msg, trace string) bool {
	for line := range strings.Lines(p.stderr.String()) {
		var said struct {
			Msg   string
			Trace string `json:"trace_id"`
		}
		if json.Unmarshal([]byte(line), &said) == nil && said.Msg == msg && said.Trace == trace {
			return true
		}
	}
	return false
}

// openMetrics is /metrics in the format that has exemplars.
func (w *workerProcess) openMetrics() string {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodGet, w.url+"/metrics", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	res, err := (&http.Client{Timeout: patience}).Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func hasExemplar(page, series, trace string) bool {
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, series) && strings.Contains(line, `# {trace_id="`+trace+`"}`) {
			return true
		}
	}
	return false
}

// Stops that are watched have no task of their own, and keep their trace.
func TestTraceOfWatchedStops(t *testing.T) {
	t.Parallel()
	w, c := newWorld(t, modelartstest.Config{}), newCollector(t)
	env := c.traced(w.env())
	startWorker(t, env, "--list-from", "2")
	ids := w.addJobs(8, 2*time.Second)
	w.awaitEnd(w.askTraced(env, ids...))
	await(t, "a look at a job that has left the list", func() bool { return len(c.named("list check visualization", "")) > 0 })
	for _, job := range ids {
		await(t, "the ask for job "+job, func() bool { return len(c.named("send visualization", job)) == 1 })
		trace := c.named("send visualization", job)[0].trace
		await(t, "the confirming call in the trace of job "+job, func() bool {
			looks := 0
			for _, s := range c.of(trace) {
				if s.Name == "GET" && strings.HasSuffix(s.attrs["url.full"], w.path(job)) {
					looks++
				}
			}
			return looks > w.guards(job, 1)
		})
	}
}

// A foreign task that carries a trace context goes on in that trace, and one of
// enqueue that is not traced begins one with its first task.
func TestTraceOfOthers(t *testing.T) {
	t.Parallel()
	w, c := newWorld(t, modelartstest.Config{}), newCollector(t)
	startWorker(t, c.traced(w.env()))
	w.addJobs(2, time.Second)
	const theirs = "0af7651916cd43dd8448eb211c80319c"
	task := asynq.NewTaskWithHeaders(tasks.TypeStop, []byte(`{"project_id":"`+project+`","job_id":"`+w.id(1000)+`"}`),
		map[string]string{"traceparent": "00-" + theirs + "-b7ad6b7169203331-01"})
	if _, err := asynq.NewClientFromRedisClient(w.rdb).Enqueue(task, asynq.Queue(tasks.Queue)); err != nil {
		t.Fatal(err)
	}
	await(t, "the API calls in the trace of a foreign task", func() bool {
		count := map[string]int{}
		for _, s := range c.of(theirs) {
			count[s.Name]++
		}
		// The task that is adopted, the one that carries the stop call, and the polls.
		return count["POST"] == 1 && count["GET"] >= 1 && count["process visualization"] == 2+count["GET"]-w.guards(w.id(1000), 1)
	})
	w.awaitEnd(w.ask(w.id(1001)))
	await(t, "one trace of a stop that was asked for without", func() bool {
		traces := map[string]bool{}
		tasks := c.named("process visualization", w.id(1001))
		for _, s := range tasks {
			traces[s.trace] = true
		}
		return len(tasks) >= 2 && len(traces) == 1 // the stop call and the polls
	})
}

// Switched off, tracing sends nothing and leaves nothing in Redis.
func TestNoTraces(t *testing.T) {
	t.Parallel()
	w, c := newWorld(t, modelartstest.Config{}), newCollector(t)
	for what, env := range map[string][]string{"without a variable": w.env(), "disabled": append(c.traced(w.env()), "OTEL_SDK_DISABLED=true")} {
		job := map[bool]string{true: w.id(1000), false: w.id(1001)}[what == "disabled"]
		w.sim.AddJob(project, modelartstest.Job{ID: job, StopTime: time.Second})
		batch := w.askTraced(env, job)
		id := ledger.StopID(batch, project, job)
		p := startWorker(t, env)
		w.awaitEnd(batch)
		fields, err := w.rdb.HGetAll(context.Background(), "vizstop:{"+project+"}:stop:"+id).Result()
		if _, has := fields["trace"]; has || err != nil || fields["job"] != job {
			t.Errorf("%s: fields %v, %v", what, fields, err)
		}
		if strings.Contains(p.openMetrics(), "trace_id") || strings.Contains(p.stderr.String(), "trace_id") {
			t.Errorf("%s: the worker names a trace", what)
		}
		p.signal(syscall.SIGTERM)
		p.wantExit(0)
	}
	if sent := c.sent(); len(sent) > 0 {
		t.Errorf("%d bytes of spans were sent", len(sent))
	}
}

// A collector that is away, or one that speaks something else, costs a line of
// standard error and nothing more.
func TestTracesWithoutCollector(t *testing.T) {
	t.Parallel()
	w := newWorld(t, modelartstest.Config{})
	w.addJobs(1, time.Second)
	for _, env := range [][]string{
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
	} {
		p := launch(t, append(w.env(), env...), "", "enqueue", "--quiet", w.id(1000))
		p.wantExit(0)
		said := p.stderr.String()
		if !strings.HasPrefix(said, "enqueue: traces: ") || strings.Count(said, "\n") != 1 {
			t.Errorf("%v: said %q", env, said)
		}
	}
}

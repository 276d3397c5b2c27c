package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/urfave/cli/v3"

	"vizstop/internal/embedded"
	"vizstop/internal/estimate"
	"vizstop/internal/httpd"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redisconn"
	"vizstop/internal/release"
	"vizstop/internal/report"
	"vizstop/internal/settings"
	"vizstop/internal/tasks"
	"vizstop/internal/version"
	"vizstop/internal/worker"
)

// demoProject is the project of the simulated jobs.
const demoProject = "0123456789abcdef0123456789abcdef"

// demo is the settings of "worker demo".
type demo struct {
	config
	jobs int
	json bool
	keep bool
}

func demoCommand(getenv func(string) string, stdout, stderr io.Writer) *cli.Command {
	var d demo
	d.Int(&d.jobs, "jobs", "", 200, "running jobs to stop, besides three awkward ones", 1, 100000)
	d.Bool(&d.json, "json", "", "print one JSON object at the end instead of a table")
	d.Bool(&d.keep, "serve", "", "keep running after the end, with the console beside, so that both can be looked at")
	d.declareRate()
	d.declareListen("127.0.0.1:9464")
	d.OneOf(&d.log.Level, "log-level", "", "error", "least level that is logged: debug, info, warn, error",
		"debug", "info", "warn", "error")
	return &cli.Command{
		Name:  "demo",
		Usage: "stop simulated jobs with the real worker: no Redis, no credentials, no network",
		Description: `Starts an embedded Redis and a simulated ModelArts on loopback, asks for one batch
of stops and shows how each ended. Among the jobs, one has already completed, one
does not exist, and one makes the API answer 429.`,
		Flags:        d.Flags(),
		OnUsageError: usageError,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if err := errors.Join(settings.NoArguments(cmd), d.Load(cmd, getenv)); err != nil {
				return err
			}
			d.log.Format = "text"
			return d.run(ctx, stdout, stderr)
		},
	}
}

// demoResult is what --json prints.
type demoResult struct {
	Requested int              `json:"requested"`
	Outcomes  map[string]int   `json:"outcomes"`
	Duration  report.Quantiles `json:"duration_seconds"`
	APICalls  map[string]int   `json:"api_calls"`
}

func (d *demo) run(ctx context.Context, stdout, stderr io.Writer) error {
	fmt.Fprintln(stderr, "demo: a Redis, a simulated ModelArts and a worker in this process")
	sim, err := modelartstest.Start(modelartstest.Config{
		Latency: func(string) time.Duration { return 20 * time.Millisecond },
	})
	if err != nil {
		return err
	}
	defer sim.Close()
	ids := d.populate(sim.Simulator)

	own, err := embedded.Start("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer own.Close()
	d.redis.Use(own.Options())
	rdb, err := d.redis.Connect(ctx, 50)
	if err != nil {
		return err
	}
	defer rdb.Close()
	reg := prometheus.NewRegistry()
	events := worker.NewMetrics(reg, version.String())
	api, err := sim.API(worker.ObserveAPI(events, release.DefaultAccount))
	if err != nil {
		return err
	}
	log := d.log.Logger(stderr)
	redisconn.RouteLogs(slog.New(slog.DiscardHandler))
	d.worker.Redis, d.worker.Jobs, d.worker.Logger = rdb, api, log
	d.worker.Registry, d.worker.Metrics = reg, events
	d.worker.ShutdownTimeout = time.Second
	w := worker.New(d.worker)
	pages, err := d.pages(w, log, stderr)
	if err != nil {
		return err
	}
	defer pages.Close(scrapeGrace)
	if d.keep {
		end, err := d.console(ctx, rdb, log, stderr)
		if err != nil {
			return err
		}
		defer end()
	}
	if err := w.Start(ctx); err != nil {
		return err
	}
	defer w.Shutdown()

	rate := estimate.Rate{Calls: d.worker.Release.Rate, Stops: release.StopShare * d.worker.Release.Rate}
	books := ledger.New(rdb, time.Now)
	summary, err := d.stopAll(ctx, books, tasks.NewProducer(books, rdb), ids, rate, stderr)
	if err != nil {
		return err
	}
	if err := d.print(summary, sim.Simulator.Counts(), stdout); err != nil || !d.keep {
		return err
	}
	fmt.Fprintf(stderr, "serving %s until interrupted\n", d.metricsURL(pages))
	select {
	case <-ctx.Done():
		return nil
	case err := <-pages.Failed():
		return err
	}
}

// populate makes the simulated jobs and returns the ids to stop. The times to
// stop spread over seconds, most of them short.
func (d *demo) populate(sim *modelartstest.Simulator) []string {
	random := rand.New(rand.NewPCG(1, 2))
	var ids []string
	for i := range d.jobs {
		id := strconv.Itoa(1000 + i)
		seconds := math.Min(8, math.Exp(0.7+0.5*random.NormFloat64())) // median 2 s
		sim.AddJob(demoProject, modelartstest.Job{ID: id, StopTime: time.Duration(seconds * float64(time.Second))})
		ids = append(ids, id)
	}
	sim.AddJob(demoProject, modelartstest.Job{ID: "1", Status: modelartstest.Completed})
	sim.AddJob(demoProject, modelartstest.Job{ID: "2", StopTime: time.Second})
	sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, JobID: "2", Times: 1, Reply: modelartstest.ReplyError(http.StatusTooManyRequests, "APIGW.0308", "The throttling threshold has been reached").With("Retry-After", "2")})
	return append(ids, "1", "2", "404")
}

func (d *demo) pages(w *worker.Worker, log *slog.Logger, stderr io.Writer) (*httpd.Server, error) {
	server := httpd.Config{Listen: d.listen, Setting: listenSetting, WebConfig: d.webConfig, Handler: w.Pages(), Log: log}
	pages, err := httpd.Listen(server)
	if err != nil && !d.keep { // nobody asked for the pages: any port will do
		server.Listen = "127.0.0.1:0"
		pages, err = httpd.Listen(server)
	}
	if err == nil {
		fmt.Fprintf(stderr, "metrics: %s\n", d.metricsURL(pages))
	}
	return pages, err
}

func (d *demo) metricsURL(pages *httpd.Server) string {
	scheme := "http"
	if d.webConfig != "" {
		scheme = "http(s)" // as the file says now
	}
	return scheme + "://" + pages.Addr() + "/metrics"
}

func (d *demo) stopAll(ctx context.Context, books *ledger.Ledger, p *tasks.Producer, ids []string, rate estimate.Rate, stderr io.Writer) (*report.Summary, error) {
	batch, now := ledger.NewBatchID(time.Now()), time.Now()
	fmt.Fprintf(stderr, "stopping %d simulated jobs, batch %s\n", len(ids), batch)
	ahead := estimate.Of(now, rate, []estimate.Share{{ProjectID: demoProject, Stops: len(ids), First: now, Last: now}})
	deadline := ahead.Deadline()
	if err := ahead.Refuse(deadline, "the longest deadline"); err != nil {
		return nil, err
	}
	if sentence := ahead.Sentence(deadline); sentence != "" {
		fmt.Fprintln(stderr, sentence)
	}
	asks := make([]ledger.Ask, len(ids))
	for i, id := range ids {
		asks[i] = ledger.Ask{JobID: id, Deadline: now.Add(deadline), Confirmed: true}
	}
	if _, err := p.Ask(ctx, demoProject, batch, asks); err != nil {
		return nil, err
	}
	progress := report.NewProgress(stderr, settings.IsTerminal(stderr), false)
	err := report.Wait(ctx, report.Watch{Ledger: books, Batch: batch, Projects: []string{demoProject}, Progress: progress, Rate: rate})
	if err != nil {
		return nil, err
	}
	return report.Summarize(ctx, books, demoProject, batch)
}

func (d *demo) print(s *report.Summary, calls map[string]int, stdout io.Writer) error {
	if d.json {
		return report.WriteJSON(stdout, demoResult{
			Requested: s.Requested, Outcomes: s.Outcomes, Duration: s.Duration, APICalls: calls,
		})
	}
	if err := s.WriteTable(stdout); err != nil {
		return err
	}
	total := 0
	for _, n := range calls {
		total += n
	}
	fmt.Fprintf(stdout, "\nAPI calls: %d stop, %d list, %d detail: %.2f for each stop\n",
		calls[jobs.OperationStop], calls[jobs.OperationList], calls[jobs.OperationDetail], float64(total)/float64(s.Requested))
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/urfave/cli/v3"
	"golang.org/x/sync/errgroup"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/release"
	"vizstop/internal/report"
	"vizstop/internal/settings"
)

// undone is what "enqueue undo" prints as JSON.
type undone struct {
	Kind      string      `json:"kind"` // "undo"
	Batch     string      `json:"batch"`
	DryRun    bool        `json:"dry_run"`
	Restarted int         `json:"restarted"` // with --dry-run: would be
	Running   int         `json:"running"`   // were running again already
	Left      int         `json:"left"`      // were left as they are: no longer as the stop had left them, or asked to stop again
	Failed    int         `json:"failed"`
	Jobs      []undoneJob `json:"jobs"`
}

type undoneJob struct {
	ProjectID string `json:"project_id"`
	JobID     string `json:"job_id"`
	Result    string `json:"result"` // restarted, running, left, failed, or would_restart
	Reason    string `json:"reason"`
}

// undoCmd is the settings of "enqueue undo".
type undoCmd struct {
	store
	limits
	api     settings.API
	streams streams
	rate    float64
	dryRun  bool
	json    bool
}

func undoCommand(getenv func(string) string, streams streams) *cli.Command {
	c := &undoCmd{streams: streams}
	c.store.declare()
	c.limits.declare(&c.Set, "restart")
	c.Bool(&c.dryRun, "dry-run", "", "show what would be restarted, and restart nothing")
	c.Bool(&c.json, "json", "", "print one JSON object")
	c.Float(&c.rate, "api-rate", "VIZSTOP_API_RATE", 50, "calls per second and project of the whole fleet; as the workers have it", 0, 100000)
	c.api.Declare(&c.Set, false)
	return &cli.Command{
		Name:      "undo",
		Usage:     "restart the jobs that a batch has stopped",
		ArgsUsage: "BATCH",
		Description: `Restarts the jobs that this batch has stopped: their stop call was accepted, they stand
as the stop left them, and nobody has asked to stop them again since. All others stay as
they are. Running it again is harmless.

exit codes: 0 all run again, 1 error, 2 some could not be restarted`,
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: c.batchAction(getenv, func(ctx context.Context, books *books, batch string, projects []string) error {
			return c.run(ctx, books, batch, projects)
		}),
	}
}

func (c *undoCmd) run(ctx context.Context, books *books, batch string, projects []string) error {
	var stopped []*ledger.Stop
	for s, err := range batchStops(ctx, books.ledger, projects, batch, []string{string(ledger.Stopped)}) {
		if err != nil {
			return err
		}
		if !s.Accepted.IsZero() { // else the job may have ended by itself
			stopped = append(stopped, s)
		}
	}
	stops, err := c.unlessAgain(ctx, books.ledger, stopped)
	if err != nil {
		return err
	}
	if len(stops) == 0 {
		return fmt.Errorf("batch %s has stopped no job (yet): there is nothing to undo", batch)
	}
	refusal := c.checkMax(len(stops))
	if c.dryRun { // shows what is refused, too
		return errors.Join(c.conclude(pretend(batch, stops)), refusal)
	}
	if refusal != nil {
		return refusal
	}
	if err := c.confirm(c.streams, len(stops), "restart"); err != nil {
		return err
	}
	client, err := c.api.Client()
	if err != nil {
		return err
	}
	u := &undo{client: client, ledger: books.ledger, release: release.New(books.rdb, "", books.fleet.Now, release.Config{Rate: c.rate}),
		undone: undone{Kind: "undo", Batch: batch, Jobs: []undoneJob{}}}
	if err := u.restartAll(ctx, stops); err != nil {
		return fmt.Errorf("%d of %d jobs were restarted, then: %w", u.Restarted, len(stops), err)
	}
	return c.conclude(&u.undone)
}

// unlessAgain leaves out the jobs that were stopped again later, or are being
// stopped now: whoever asked for that does not want them to run.
func (c *undoCmd) unlessAgain(ctx context.Context, l *ledger.Ledger, stops []*ledger.Stop) ([]*ledger.Stop, error) {
	again := make([]bool, len(stops))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(connections / 2)
	for i, s := range stops {
		group.Go(func() error {
			var err error
			again[i], err = stoppedAgain(groupCtx, l, s)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var left []*ledger.Stop
	for i, s := range stops {
		if !again[i] {
			left = append(left, s)
		}
	}
	if n := len(stops) - len(left); n > 0 {
		fmt.Fprintf(c.streams.err, "left as they are: %d jobs that were asked to stop again after this batch\n", n)
	}
	return left, nil
}

// stoppedAgain reports whether the job of s was stopped again later, or is being
// stopped now.
func stoppedAgain(ctx context.Context, l *ledger.Ledger, s *ledger.Stop) (bool, error) {
	all, err := l.JobStops(ctx, s.ProjectID, s.JobID)
	at := slices.IndexFunc(all, func(one *ledger.Stop) bool { return !one.State.Ended() || one.State == ledger.Stopped })
	return at >= 0 && all[at].ID != s.ID, err
}

func pretend(batch string, stops []*ledger.Stop) *undone {
	u := &undone{Kind: "undo", Batch: batch, DryRun: true, Restarted: len(stops), Jobs: []undoneJob{}}
	for _, s := range stops {
		u.Jobs = append(u.Jobs, undoneJob{s.ProjectID, s.JobID, "would_restart", ""})
	}
	return u
}

// undo is a batch that is being undone.
type undo struct {
	client  *modelarts.Client
	ledger  *ledger.Ledger
	release *release.Releaser

	mu sync.Mutex
	undone
}

// parallelRestarts is how many restart calls are on their way at once.
const parallelRestarts = 8

func (u *undo) restartAll(ctx context.Context, stops []*ledger.Stop) error {
	// The first alone: an access key locks after a few refusals.
	if err := u.restart(ctx, stops[0]); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelRestarts)
	for _, s := range stops[1:] {
		group.Go(func() error { return u.restart(ctx, s) })
	}
	return group.Wait()
}

// restart restarts one job, if it still stands as its stop left it: whoever
// confirmed this may have taken a while. The error is that of Redis, of ctx, or of
// an API that refuses these credentials: they are this command's own, so no worker
// hears of it. A job's own trouble is noted.
func (u *undo) restart(ctx context.Context, s *ledger.Stop) error {
	again, err := stoppedAgain(ctx, u.ledger, s)
	if err != nil {
		return err
	}
	if again {
		u.note(s, "left", "it was asked to stop again")
		return nil
	}
	var job *modelarts.VisualizationJob
	jobErr, err := u.call(ctx, s, func(ctx context.Context) (err error) {
		job, err = u.client.ShowVisualizationJob(ctx, s.ProjectID, s.JobID)
		return err
	})
	switch {
	case err != nil:
		return err
	case jobErr != nil:
		u.note(s, "failed", jobErr.Error())
		return nil
	case job.Status.Class() == modelarts.ClassActive:
		u.note(s, "running", job.Status.String())
		return nil
	case int(job.Status) != s.Status:
		u.note(s, "left", fmt.Sprintf("job status %v, not %v as its stop left it", job.Status, modelarts.Status(s.Status)))
		return nil
	}
	jobErr, err = u.call(ctx, s, func(ctx context.Context) error {
		_, err := u.client.RestartVisualizationJob(ctx, s.ProjectID, s.JobID)
		return err
	})
	apiErr, _ := errors.AsType[*modelarts.APIError](jobErr)
	switch {
	case err != nil:
		return err
	case jobErr == nil:
		u.note(s, "restarted", "")
	case apiErr != nil && apiErr.HasJobStatus && apiErr.JobStatus.Class() == modelarts.ClassActive:
		u.note(s, "running", apiErr.JobStatus.String())
	default:
		u.note(s, "failed", jobErr.Error())
	}
	return nil
}

// call makes one call for the job of s within the rate, again if there is no
// answer: a repeat of a restart that worked is told as running. jobErr is what the
// API says of the job; err ends the undo.
func (u *undo) call(ctx context.Context, s *ledger.Stop, do func(context.Context) error) (jobErr, err error) {
	const tries = 5
	for try := 1; ; try++ {
		if err := u.release.Spend(ctx, s.ProjectID); err != nil {
			return nil, err
		}
		callCtx, cancel := context.WithTimeout(ctx, 30*time.Second)
		callErr := do(callCtx)
		cancel()
		kind := modelarts.KindOf(callErr)
		apiErr, _ := errors.AsType[*modelarts.APIError](callErr)
		switch {
		case kind == modelarts.KindCredentials || kind == modelarts.KindNoAPI:
			return nil, callErr
		case kind == modelarts.KindThrottled:
			if err := u.release.Throttled(context.WithoutCancel(ctx), s.ProjectID, callErr); err != nil {
				return nil, err
			}
			if ctx.Err() == nil {
				try-- // it says nothing about the job, and the rate holds the next try back
				continue
			}
		case try < tries && apiErr != nil && (apiErr.MaybeSent || kind == modelarts.KindUnreachable || kind == modelarts.KindUnavailable):
			continue
		}
		return callErr, nil
	}
}

func (u *undo) note(s *ledger.Stop, result, reason string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch result {
	case "restarted":
		u.Restarted++
	case "running":
		u.Running++
	case "left":
		u.Left++
	default:
		u.Failed++
	}
	u.Jobs = append(u.Jobs, undoneJob{s.ProjectID, s.JobID, result, reason})
}

func (c *undoCmd) conclude(u *undone) error {
	if c.json {
		if err := report.WriteJSON(c.streams.out, u); err != nil {
			return err
		}
	} else if err := c.print(u); err != nil {
		return err
	}
	if u.Failed > 0 {
		return exitCode{exitBad, fmt.Sprintf("%d jobs of batch %s could not be restarted", u.Failed, u.Batch)}
	}
	return nil
}

func (c *undoCmd) print(u *undone) error {
	t := newTable(c.streams.out)
	for _, j := range u.Jobs {
		if j.Result == "failed" || j.Result == "left" || u.DryRun {
			t.row(j.ProjectID, j.JobID, j.Result, j.Reason)
		}
	}
	if u.DryRun {
		t.row(fmt.Sprintf("%d jobs would be restarted; this was a dry run, nothing was", u.Restarted))
	} else {
		t.row("restarted", u.Restarted)
		t.row("running already", u.Running)
		t.row("left as they are", u.Left)
		t.row("failed", u.Failed)
	}
	return t.flush()
}

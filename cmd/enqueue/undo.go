package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/urfave/cli/v3"
	"golang.org/x/sync/errgroup"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/report"
)

// undone is what "enqueue undo" prints as JSON.
type undone struct {
	Kind      string      `json:"kind"` // "undo"
	Batch     string      `json:"batch"`
	DryRun    bool        `json:"dry_run"`
	Restarted int         `json:"restarted"` // with --dry-run: would be
	Running   int         `json:"running"`   // were running again already
	Left      int         `json:"left"`      // were left as they are: this batch has not provably stopped them, or they are not to be restarted
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
	api     access
	streams streams
	dryRun  bool
	json    bool
}

func undoCommand(getenv func(string) string, streams streams) *cli.Command {
	c := &undoCmd{streams: streams}
	c.store.declare()
	c.limits.declare(&c.Set, "restart")
	c.Bool(&c.dryRun, "dry-run", "", "show what would be restarted, and restart nothing")
	c.Bool(&c.json, "json", "", "print one JSON object")
	c.api.Declare(&c.Set, false)
	return &cli.Command{
		Name:      "undo",
		Usage:     "restart the jobs that a batch has stopped",
		ArgsUsage: "BATCH",
		Description: `Restarts the jobs that this batch has stopped: their stop call was accepted, they stand
as the stop left them, nobody has asked to stop them again since, no other batch wants
them stopped, and no undo of this batch has restarted them before. All others stay as
they are. Running it again is harmless. The calls keep to the rate of the workers.

exit codes: 0 all run again or were left as they are, 1 error, 2 some could not be restarted`,
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: c.batchAction(getenv, func(ctx context.Context, books *books, batch string, projects []string) error {
			return c.run(ctx, books, batch, projects)
		}),
	}
}

func (c *undoCmd) run(ctx context.Context, books *books, batch string, projects []string) error {
	var stops []*ledger.Stop
	for s, err := range batchStops(ctx, books.ledger, projects, batch, []string{string(ledger.Stopped)}) {
		if err != nil {
			return err
		}
		stops = append(stops, s)
	}
	if len(stops) == 0 {
		return fmt.Errorf("batch %s has stopped no job (yet): there is nothing to undo", batch)
	}
	ahead := newUndo(books.ledger, batch)
	if err := ahead.pretend(ctx, stops); err != nil {
		return err
	}
	refusal := c.checkMax(ahead.Restarted)
	if c.dryRun { // shows what is refused, too
		ahead.DryRun = true
		return errors.Join(c.conclude(&ahead.undone), refusal)
	}
	if refusal != nil {
		return refusal
	}
	if err := c.confirm(c.streams, ahead.Restarted, "restart"); err != nil {
		return err
	}
	calls, err := c.api.calls(books)
	if err != nil {
		return err
	}
	u := newUndo(books.ledger, batch)
	u.api = calls
	if err := u.restartAll(ctx, stops); err != nil {
		return fmt.Errorf("%d of %d jobs were restarted, then: %w", u.Restarted, ahead.Restarted, err)
	}
	return c.conclude(&u.undone)
}

// undo is a batch that is being undone.
type undo struct {
	api    *caller
	ledger *ledger.Ledger

	mu sync.Mutex
	undone
}

func newUndo(l *ledger.Ledger, batch string) *undo {
	return &undo{ledger: l, undone: undone{Kind: "undo", Batch: batch, Jobs: []undoneJob{}}}
}

// The reasons for which a job is left as it is.
const (
	unproven     = "the answer to its stop call was lost: somebody else may have stopped it"
	askedAgain   = "it was asked to stop again"
	alsoWanted   = "batch %s wants it stopped, too"
	undoneBefore = "an undo of this batch has restarted it before"
)

// why says why the job of s is to be left as it is; "" if it is to be restarted. s
// is as the batch sees it.
func (u *undo) why(ctx context.Context, s *ledger.Stop) (string, error) {
	if s.Accepted.IsZero() {
		return unproven, nil
	}
	all, err := u.ledger.JobStops(ctx, s.ProjectID, s.JobID)
	if err != nil {
		return "", err
	}
	latest := slices.IndexFunc(all, func(one *ledger.Stop) bool { return one.State != ledger.Canceled })
	other := s.WantedBesides(u.Batch)
	switch {
	case latest >= 0 && all[latest].ID != s.ID:
		return askedAgain, nil
	case other != "":
		return fmt.Sprintf(alsoWanted, other), nil
	case s.Undone(u.Batch):
		return undoneBefore, nil
	}
	return "", nil
}

// pretend notes what would become of each job.
func (u *undo) pretend(ctx context.Context, stops []*ledger.Stop) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(connections / 2)
	reasons := make([]string, len(stops))
	for i, s := range stops {
		group.Go(func() (err error) {
			reasons[i], err = u.why(groupCtx, s)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, s := range stops {
		result := "would_restart"
		if reasons[i] != "" {
			result = "left"
		}
		u.note(s, result, reasons[i])
	}
	return nil
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

// restart restarts the job of s, if that is still right: whoever confirmed it may
// have taken a while. The error is that of Redis, of ctx, or of an API that refuses
// these credentials. A job's own trouble is noted.
func (u *undo) restart(ctx context.Context, s *ledger.Stop) error {
	s, err := u.ledger.Get(ctx, s.ProjectID, s.ID)
	if err != nil {
		return err
	}
	why, err := u.why(ctx, s)
	if err != nil {
		return err
	}
	if why != "" && why != undoneBefore {
		if s.WantedBesides(u.Batch) != "" { // an undo of that batch restarts it
			err = u.ledger.Undo(ctx, s, u.Batch)
		}
		u.note(s, "left", why)
		return err
	}
	job, err := u.api.Get(ctx, s.ProjectID, s.JobID)
	switch {
	case ofJob(ctx, err):
		u.note(s, "failed", err.Error())
		return nil
	case err != nil:
		return err
	case job.Status.State == jobs.Active:
		u.note(s, "running", job.Status.String())
		return nil
	case why != "":
		u.note(s, "left", why+"; now it is "+job.Status.String())
		return nil
	case !job.Status.Is(s.Status):
		u.note(s, "left", fmt.Sprintf("job status %v, not %s as its stop left it", job.Status, s.Status))
		return nil
	}
	return u.call(ctx, s)
}

// call makes the restart call. It is noted before: if this command is killed, no
// other undo repeats it.
func (u *undo) call(ctx context.Context, s *ledger.Stop) error {
	if err := u.ledger.Undo(ctx, s, u.Batch); err != nil {
		return err
	}
	err := u.api.call(ctx, s.ProjectID, func(ctx context.Context) error {
		_, err := u.api.api.Restart(ctx, s.ProjectID, s.JobID)
		return err
	})
	apiErr, _ := errors.AsType[*jobs.Error](err)
	switch {
	case err == nil:
		u.note(s, "restarted", "")
		return nil
	case apiErr != nil && apiErr.JobStatus.State == jobs.Active:
		u.note(s, "running", apiErr.JobStatus.String())
		return nil
	}
	taken := u.ledger.NotUndone(context.WithoutCancel(ctx), s, u.Batch)
	if !ofJob(ctx, err) {
		return errors.Join(err, taken)
	}
	u.note(s, "failed", err.Error())
	return taken
}

// ofJob reports whether an error of a call is one job's own trouble.
func ofJob(ctx context.Context, err error) bool {
	kind := jobs.KindOf(err)
	_, ok := errors.AsType[*jobs.Error](err)
	return ok && ctx.Err() == nil && kind != jobs.KindCredentials && kind != jobs.KindNoAPI
}

func (u *undo) note(s *ledger.Stop, result, reason string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch result {
	case "restarted", "would_restart":
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

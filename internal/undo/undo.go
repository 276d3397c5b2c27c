// Package undo restarts the jobs that a batch has stopped: only those, provably, and
// each once.
package undo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
)

// API is the calls that an undo makes. It keeps to the rate, and repeats what got no
// answer.
type API interface {
	Get(ctx context.Context, projectID, jobID string) (*jobs.Job, error)
	Restart(ctx context.Context, projectID, jobID string) (requestID string, err error)
	Restarts(projectID string) bool // whether jobs of a project can be restarted at all
}

// Report is what became of each job, as "enqueue undo" prints it as JSON.
type Report struct {
	Kind      string `json:"kind"` // "undo"
	Batch     string `json:"batch"`
	DryRun    bool   `json:"dry_run"`
	Restarted int    `json:"restarted"` // with --dry-run: would be
	Running   int    `json:"running"`   // were running again already
	Left      int    `json:"left"`      // were left as they are: this batch has not provably stopped them, or they are not to be restarted
	Failed    int    `json:"failed"`
	Jobs      []Job  `json:"jobs"`
}

// Job is what became of one job.
type Job struct {
	ProjectID string `json:"project_id"`
	JobID     string `json:"job_id"`
	Result    string `json:"result"` // restarted, running, left, failed, or would_restart
	Reason    string `json:"reason"`
}

// Undo is a batch that is being undone.
type Undo struct {
	api    API
	ledger *ledger.Ledger

	mu sync.Mutex
	Report
}

// New returns an undo of a batch.
func New(l *ledger.Ledger, api API, batch string) *Undo {
	return &Undo{api: api, ledger: l, Report: Report{Kind: "undo", Batch: batch, Jobs: []Job{}}}
}

// Possible is an error that names the projects of these stops if their APIs have no
// call that starts a job again; nil if one has.
func Possible(api API, stops []*ledger.Stop) error {
	var without []string
	for _, s := range stops {
		if api.Restarts(s.ProjectID) {
			return nil
		}
		if !slices.Contains(without, s.ProjectID) {
			without = append(without, s.ProjectID)
		}
	}
	return fmt.Errorf("undo is not possible in project %s: %s", strings.Join(without, ", "), NoRestart)
}

// The reasons for which a job is left as it is.
const (
	unproven     = "the answer to its stop call was lost: somebody else may have stopped it"
	AskedAgain   = "it was asked to stop again"
	alsoWanted   = "batch %s wants it stopped, too"
	NoRestart    = "its API has no call that starts a job again: create a new one"
	UndoneBefore = "an undo of this batch has restarted it before"
)

// why says why the job of s is to be left as it is; "" if it is to be restarted. s
// is as the batch sees it.
func (u *Undo) why(ctx context.Context, s *ledger.Stop) (string, error) {
	switch {
	case !u.api.Restarts(s.ProjectID):
		return NoRestart, nil
	case s.Accepted.IsZero():
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
		return AskedAgain, nil
	case other != "":
		return fmt.Sprintf(alsoWanted, other), nil
	case s.Undone(u.Batch):
		return UndoneBefore, nil
	}
	return "", nil
}

// parallelReads is how many stops are looked up in the ledger at once.
const parallelReads = 40

// Pretend notes what would become of the job of each stop. The stops are as the
// batch sees them, and have ended as stopped.
func (u *Undo) Pretend(ctx context.Context, stops []*ledger.Stop) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallelReads)
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

// RestartAll restarts the job of each stop, if that is right. The stops are as the
// batch sees them, at least one, and have ended as stopped. The error is that of Redis,
// of ctx, or of an API that refuses these credentials; what was done before is noted. A
// job's own trouble is noted and is no error.
func (u *Undo) RestartAll(ctx context.Context, stops []*ledger.Stop) error {
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
// have taken a while.
func (u *Undo) restart(ctx context.Context, s *ledger.Stop) error {
	s, err := u.ledger.Get(ctx, s.ProjectID, s.ID)
	if err != nil {
		return err
	}
	why, err := u.why(ctx, s)
	if err != nil {
		return err
	}
	if why != "" && why != UndoneBefore {
		if s.WantedBesides(u.Batch) != "" { // an undo of that batch restarts it
			err = u.ledger.Renounce(ctx, s, u.Batch)
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
func (u *Undo) call(ctx context.Context, s *ledger.Stop) error {
	if err := u.ledger.Undo(ctx, s, u.Batch); err != nil {
		return err
	}
	_, err := u.api.Restart(ctx, s.ProjectID, s.JobID)
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

func (u *Undo) note(s *ledger.Stop, result, reason string) {
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
	u.Jobs = append(u.Jobs, Job{s.ProjectID, s.JobID, result, reason})
}

// Package undo restarts the jobs that a batch has stopped: only those, provably, and
// each once.
package undo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

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

// Undo is a batch that is being undone.
type Undo struct {
	api    API
	ledger *ledger.Ledger
	id     string // tells it from other undos of the batch

	lookAgain time.Duration

	counted map[stopKey]bool // what Pretend has counted as to be restarted, or awaited; nil: it did not run

	mu sync.Mutex
	Report
}

// stopKey tells a stop from all others.
type stopKey struct{ project, id string }

func keyOf(s *ledger.Stop) stopKey { return stopKey{s.ProjectID, s.ID} }

// New returns an undo of a batch.
func New(l *ledger.Ledger, api API, batch string) *Undo {
	return &Undo{api: api, ledger: l, id: rand.Text()[:10], lookAgain: lookAgain, Report: nothingYet(batch)}
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
	askedAgain   = "it was asked to stop again"
	askedAgainBy = "batch %s has asked to stop it again"
	alsoWanted   = "batch %s wants it stopped, too"
	runsAgainst  = "it runs again, but meanwhile %s: stop it once more"
	notCounted   = "it can be restarted only since the jobs were counted: undo the batch again"
	NoRestart    = "its API has no call that starts a job again: create a new one"
	undoneBefore = "an undo of %s has restarted it before"
	restarting   = "an undo of %s is restarting it, was killed while it did, or got no answer: look at the job"
	mayRun       = "it may run again, or not"
	mayAgainst   = "it may run again, but meanwhile %s: if it runs, stop it once more"
)

// forgotten is why the job of a stop that the ledger no longer has is not restarted.
const forgotten = "the ledger has forgotten its stop: look at the job, and start it by hand if it is to run"

// The reasons for which a job can't be restarted yet.
const (
	notStopped  = "it is stopping, and not confirmed as stopped yet"
	mayBeSent   = "its stop call has gone out, or may have: how it ends is not known yet"
	notCanceled = "no stop call for it was accepted yet, and its stop is not canceled"
)

// States are those of the stops that an undo is given.
func States() []string {
	return []string{string(ledger.Stopped), string(ledger.Pending), string(ledger.Stopping)}
}

// why says what the job of s is noted as, and why, if it is not to be restarted; "" and "" if it is. s has ended as
// stopped, and is as the batch sees it.
func (u *Undo) why(ctx context.Context, s *ledger.Stop) (result, reason string, err error) {
	switch {
	case !u.api.Restarts(s.ProjectID):
		return "left", NoRestart, nil
	case s.Accepted.IsZero():
		return "left", unproven, nil
	}
	if reason, err = u.askedAgain(ctx, s); reason != "" || err != nil {
		return "left", reason, err
	}
	if other := s.WantedBesides(u.Batch); other != "" {
		return "wanted", fmt.Sprintf(alsoWanted, other), nil
	}
	result, reason = u.undoneBefore(s)
	return result, reason, nil
}

// askedAgain says that the job of s was asked to stop again after s, if it was.
func (u *Undo) askedAgain(ctx context.Context, s *ledger.Stop) (reason string, err error) {
	all, err := u.ledger.JobStops(ctx, s.ProjectID, s.JobID)
	if err != nil {
		return "", err
	}
	latest := slices.IndexFunc(all, func(one *ledger.Stop) bool { return one.State != ledger.Canceled })
	if latest < 0 || all[latest].ID == s.ID {
		return "", nil
	}
	if by := all[latest].WantedBesides(u.Batch); by != "" {
		return fmt.Sprintf(askedAgainBy, by), nil
	}
	return askedAgain, nil
}

// undoneBefore says the same of a job that an undo has restarted before, or may have; "" and "" if none has.
func (u *Undo) undoneBefore(s *ledger.Stop) (result, reason string) {
	by := s.RestartedBy(u.Batch)
	whose := "batch " + by
	switch {
	case by == "":
		return "", ""
	case by == u.Batch:
		whose = "this batch"
	}
	if s.Restarting() {
		return "failed", fmt.Sprintf(restarting, whose)
	}
	return "left", fmt.Sprintf(undoneBefore, whose)
}

// awaits reports whether a stop in flight is to be waited for: it ends by itself, and its job can be restarted then.
// One that nobody has canceled, or that goes on for another batch, is not: it would be waited for until its job is
// stopped.
func (u *Undo) awaits(s *ledger.Stop) bool {
	return u.api.Restarts(s.ProjectID) &&
		(s.State == ledger.Stopping || s.TooLate(u.Batch) && s.WantedBesides(u.Batch) == "")
}

// whyNotYet is why the job of a stop in flight can't be restarted yet.
func (u *Undo) whyNotYet(s *ledger.Stop) string {
	switch {
	case s.State == ledger.Stopping:
		return notStopped
	case s.TooLate(u.Batch):
		return mayBeSent
	}
	return notCanceled
}

// parallelReads is how many stops are looked up in the ledger at once.
const parallelReads = 40

// Pretend notes what would become of the job of each stop. The stops are as the
// batch sees them, in one of States. RestartAll restarts no others than those that are counted here.
func (u *Undo) Pretend(ctx context.Context, stops []*ledger.Stop) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallelReads)
	results, reasons := make([]string, len(stops)), make([]string, len(stops))
	for i, s := range stops {
		if s.State != ledger.Stopped {
			continue
		}
		group.Go(func() (err error) {
			results[i], reasons[i], err = u.why(groupCtx, s)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	u.counted = map[stopKey]bool{}
	for i, s := range stops {
		switch {
		case s.State != ledger.Stopped:
			u.counted[keyOf(s)] = u.awaits(s)
			u.noteInFlight(s)
		case results[i] == "":
			u.counted[keyOf(s)] = true
			u.note(s, "would_restart", "")
		default:
			u.note(s, results[i], reasons[i])
		}
	}
	return nil
}

const (
	// parallelRestarts is how many restart calls are on their way at once.
	parallelRestarts = 8
	// lookAgain is how long RestartAll waits before it looks again whether stops of the batch have ended.
	lookAgain = time.Second
	// readPause is, for each stop in flight, how long it waits before it reads them again: no more than 2,000 are read
	// in a second while some of many end all the time.
	readPause = time.Millisecond / 2
)

// RestartAll restarts the job of each stop, if that is right. The stops are as the batch sees them, in one of States.
// Jobs of stops that are on their way are restarted as these end, for which it waits as long as wait says; those that
// are in flight then are noted as such, and so are all others that are in flight as they come: nobody has confirmed
// that their jobs are restarted. After Pretend the same goes for those that it has not counted: whoever wanted them
// stopped may no longer do so. The report begins anew. The error is that of Redis, of ctx, or of an API that refuses
// these credentials; what was done before is noted. A job's own trouble is noted and is no error.
func (u *Undo) RestartAll(ctx context.Context, stops []*ledger.Stop, wait time.Duration) error {
	u.Report = nothingYet(u.Batch)
	var meant, others []*ledger.Stop
	for _, s := range stops {
		if s.State == ledger.Stopped || wait > 0 && u.awaits(s) {
			meant = append(meant, s)
		} else {
			others = append(others, s)
		}
	}
	for end := time.Now().Add(wait); ; {
		projects := projectsOf(meant)
		before, err := u.outcomes(ctx, projects) // first: no stop that ends while they are read is missed
		if err != nil {
			return err
		}
		ended, inFlight, err := u.read(ctx, meant)
		if err == nil {
			err = u.restartEach(ctx, ended)
		}
		if err != nil {
			return err
		}
		if time.Until(end) <= 0 || !slices.ContainsFunc(inFlight, u.awaits) {
			for _, s := range append(inFlight, others...) {
				u.noteInFlight(s)
			}
			return nil
		}
		pause := max(u.lookAgain, time.Duration(len(inFlight))*readPause)
		if err := u.untilMoreEnd(ctx, projects, before, pause, end); err != nil {
			return err
		}
		meant = inFlight
	}
}

// untilMoreEnd returns when the batch has no longer that many outcomes in these projects, or at the end. It pauses
// before it looks. A look costs Redis one command a project, however many stops are in flight.
func (u *Undo) untilMoreEnd(ctx context.Context, projects []string, outcomes int, pause time.Duration,
	end time.Time) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(time.Until(end), pause)):
		}
		if time.Until(end) <= 0 {
			return nil
		}
		if now, err := u.outcomes(ctx, projects); err != nil || now != outcomes {
			return err
		}
		pause = u.lookAgain
	}
}

// outcomes is how many stops of the batch have ended in these projects.
func (u *Undo) outcomes(ctx context.Context, projects []string) (n int, err error) {
	for _, project := range projects {
		b, err := u.ledger.Batch(ctx, project, u.Batch)
		if errors.Is(err, ledger.ErrNotFound) { // the ledger has forgotten it
			continue
		}
		if err != nil {
			return 0, err
		}
		n += b.Total - b.InFlight()
	}
	return n, nil
}

// projectsOf lists the projects of stops, each once.
func projectsOf(stops []*ledger.Stop) []string {
	all := map[string]bool{}
	for _, s := range stops {
		all[s.ProjectID] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// readsAtOnce is how many stops are read from Redis in one round trip.
const readsAtOnce = 1000

// read reads stops of the batch again: whoever confirmed the undo may have taken a while. Those that are gone it notes.
func (u *Undo) read(ctx context.Context, stops []*ledger.Stop) (ended, inFlight []*ledger.Stop, err error) {
	byProject := map[string][]*ledger.Stop{}
	for _, s := range stops {
		byProject[s.ProjectID] = append(byProject[s.ProjectID], s)
	}
	for _, project := range slices.Sorted(maps.Keys(byProject)) {
		for chunk := range slices.Chunk(byProject[project], readsAtOnce) {
			ids, there := make([]string, len(chunk)), map[string]bool{}
			for i, s := range chunk {
				ids[i] = s.ID
			}
			now, err := u.ledger.GetAll(ctx, project, ids)
			if err != nil {
				return nil, nil, err
			}
			for _, s := range now {
				there[s.ID] = true
				if s = s.As(u.Batch); s.State.Ended() {
					ended = append(ended, s)
				} else {
					inFlight = append(inFlight, s)
				}
			}
			for _, s := range chunk {
				if !there[s.ID] {
					u.note(s, "failed", forgotten)
				}
			}
		}
	}
	return ended, inFlight, nil
}

// restartEach restarts the jobs of stops that have ended.
func (u *Undo) restartEach(ctx context.Context, stops []*ledger.Stop) error {
	if len(stops) == 0 {
		return nil
	}
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

// restart restarts the job of s, if that is right by now: there may be many before it.
func (u *Undo) restart(ctx context.Context, s *ledger.Stop) error {
	if s.State != ledger.Stopped { // it was in flight when the undo began
		u.note(s, "left", strings.TrimSuffix(fmt.Sprintf("its stop ended as %s: %s", s.State, s.Reason), ": "))
		return nil
	}
	now, result, why, err := u.claim(ctx, s)
	if errors.Is(err, ledger.ErrNotFound) {
		u.note(s, "failed", forgotten)
		return nil
	}
	if err != nil {
		return err
	}
	s = now
	if _, before := u.undoneBefore(s); why != before {
		u.note(s, result, why)
		return nil
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
		u.note(s, result, why+"; now it is "+job.Status.String())
		return nil
	case !job.Status.Is(s.Status):
		u.note(s, "left", fmt.Sprintf("job status %v, not %s as its stop left it", job.Status, s.Status))
		return nil
	case u.counted != nil && !u.counted[keyOf(s)]:
		u.note(s, "wanted", notCounted)
		return nil
	}
	again, err := u.askedAgain(ctx, s) // the look may have waited for minutes
	if err != nil {
		return err
	}
	if again != "" {
		u.note(s, "left", again)
		return nil
	}
	return u.call(ctx, s)
}

// claim reads s again, and says the same as why. A job that another batch wants stopped is left to the undo of that
// batch, unless that one leaves it to this one at the same time: Redis decides which of them restarts it.
func (u *Undo) claim(ctx context.Context, s *ledger.Stop) (now *ledger.Stop, result, reason string, err error) {
	for range 2 {
		if now, err = u.ledger.Get(ctx, s.ProjectID, s.ID); err != nil {
			return nil, "", "", err
		}
		result, reason, err = u.why(ctx, now)
		if err != nil || now.WantedBesides(u.Batch) == "" {
			break
		}
		var wanted bool
		if wanted, err = u.ledger.Renounce(ctx, now, u.Batch); wanted || err != nil {
			break
		}
	}
	return now, result, reason, err
}

// noteInFlight notes that the stop of a job has not ended.
func (u *Undo) noteInFlight(s *ledger.Stop) {
	if !u.api.Restarts(s.ProjectID) {
		u.note(s, "left", NoRestart)
		return
	}
	u.note(s, "in_flight", u.whyNotYet(s))
	if !u.awaits(s) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.waiting++
	}
}

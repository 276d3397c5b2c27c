package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vizstop/internal/joblist"
	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
	"vizstop/internal/tasks"
	"vizstop/internal/when"
)

// asker asks for stops of batch "b", which alice cancels meanwhile.
type asker struct {
	*testing.T
	desk     *Desk
	producer *tasks.Producer
	plan     when.Plan
	projects []string // of the latest ask
}

func newAsker(t *testing.T) *asker {
	rdb := redistest.Start(t).Limited(t)
	d, err := Open(t.Context(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := when.Parse(when.Spec{In: "1h"}, d.Fleet.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &asker{T: t, desk: d, producer: tasks.NewProducer(d.Ledger, rdb), plan: plan}
}

// ask asks for n jobs, of the projects by turns, and does something before the one of that number. The list ends with
// an error if there is one.
func (a *asker) ask(ctx context.Context, projects []string, from, n, at int, meanwhile func(), fault error) error {
	a.projects = projects
	_, err := a.desk.Ask(ctx, a.producer, Ask{
		Batch: "b", Projects: projects, Total: n, Plan: a.plan, Confirmed: true,
		Jobs: func(yield func(joblist.Item, error) bool) {
			for i := range n {
				if i == at {
					meanwhile()
				}
				if !yield(joblist.Item{ProjectID: projects[i%len(projects)], JobID: strconv.Itoa(from + i)}, nil) {
					return
				}
			}
			if fault != nil {
				yield(joblist.Item{}, fault)
			}
		}})
	return err
}

// cancel waits until so many stops are in flight in each project of the ask, and cancels the batch in some of them.
func (a *asker) cancel(inFlight int, projects ...string) {
	a.Helper()
	for _, p := range a.projects {
		for a.in(p).InFlight() < inFlight && a.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
	}
	b, err := a.desk.Batch(a.Context(), "b")
	if err == nil && len(projects) < len(b.Projects) {
		b = b.In(projects)
	}
	if err == nil {
		_, err = b.Cancel(a.Context(), "canceled by alice")
	}
	if err != nil {
		a.Error(err)
	}
}

// in is the batch in a project; an empty one before anything is recorded.
func (a *asker) in(project string) *ledger.Batch {
	b, err := a.desk.Ledger.Batch(a.Context(), project, "b")
	if errors.Is(err, ledger.ErrNotFound) {
		return &ledger.Batch{}
	}
	if err != nil {
		a.Fatal(err)
	}
	return b
}

// A batch that is canceled while it is being recorded has no stop in flight when both are done, also if it is asked for
// anew, with further jobs, and canceled by the same person.
func TestCancelWhileRecorded(t *testing.T) {
	t.Parallel()
	a := newAsker(t)
	for from := range 2 {
		err := a.ask(t.Context(), []string{"p"}, 1+10000*from, 3000, 1500, func() { a.cancel(1, "p") }, nil)
		if canceled, ok := errors.AsType[*CanceledError](err); !ok || canceled.Projects != nil {
			t.Errorf("the ask ended with %v, want it to tell of the cancel", err)
		}
		if b := a.in("p"); b.InFlight() > 0 || b.Counts[ledger.Canceled] != b.Total {
			t.Errorf("%d stops are in flight, and will stop their jobs: %+v", b.InFlight(), b)
		}
	}
}

// Whoever cancels one project of a batch that is being recorded leaves the others alone.
func TestCancelOfOneProjectWhileRecorded(t *testing.T) {
	t.Parallel()
	a := newAsker(t)
	err := a.ask(t.Context(), []string{"p", "q"}, 1, 6000, 3000, func() { a.cancel(1, "q") }, nil)
	if canceled, ok := errors.AsType[*CanceledError](err); !ok || !slices.Equal(canceled.Projects, []string{"q"}) {
		t.Errorf("the ask ended with %v, want it to tell of the cancel of q", err)
	}
	if p := a.in("p"); p.Counts[ledger.Canceled] > 0 || p.Total != 3000 {
		t.Errorf("in project p, which nobody canceled, %d of %d stops are canceled, want none of 3000",
			p.Counts[ledger.Canceled], p.Total)
	}
	if n := a.in("q").InFlight(); n > 0 {
		t.Errorf("in project q %d stops are in flight", n)
	}
}

// A cancel of one project while an ask is recorded is carried out, also if the ask fails afterwards for another reason.
func TestCancelOfOneProjectOfAnAskThatFails(t *testing.T) {
	t.Parallel()
	a := newAsker(t)
	shorter := errors.New("it is shorter now")
	err := a.ask(t.Context(), []string{"p", "q"}, 1, 1000, 750, func() { a.cancel(250, "q") }, shorter)
	if !errors.Is(err, shorter) || !strings.Contains(err.Error(), "canceled by alice") {
		t.Errorf("the ask ended with %v, want it to tell of both", err)
	}
	if n := a.in("q").InFlight(); n > 0 {
		t.Errorf("the ask: %v; of project q, which alice has canceled meanwhile, %d stops are in flight", err, n)
	}
}

// Who is told that one project was canceled is told of jobs that were refused in the others, too.
func TestCancelOfOneProjectBesideRefusedJobs(t *testing.T) {
	t.Parallel()
	a := newAsker(t)
	for i := range ledger.MaxWishes {
		full := ledger.Ask{JobID: "1", Deadline: a.desk.Fleet.Now().Add(time.Hour), Confirmed: true}
		if _, err := a.desk.Ledger.Open(t.Context(), "p", fmt.Sprint("other-", i), []ledger.Ask{full}); err != nil {
			t.Fatal(err)
		}
	}
	// Of the first 250 jobs of p, one is refused.
	err := a.ask(t.Context(), []string{"p", "q"}, 1, 600, 599, func() { a.cancel(249, "q") }, nil)
	if !strings.Contains(fmt.Sprint(err), "1 jobs were refused, such as job 1") {
		t.Errorf("job 1 of project p was not recorded, and its producer is told: %v", err)
	}
}

// An ask that is cut short after somebody has canceled its batch leaves nothing in flight, and takes nothing back that
// somebody else has asked for since.
func TestCancelOfAnAskThatIsCutShort(t *testing.T) {
	t.Parallel()
	a := newAsker(t)
	ctx, interrupt := context.WithCancel(t.Context())
	err := a.ask(ctx, []string{"p"}, 1, 2000, 1000, func() {
		a.cancel(1000, "p")
		if err := a.ask(t.Context(), []string{"p"}, 5000, 10, -1, nil, nil); err != nil {
			t.Error("the other ask:", err)
		}
		interrupt()
	}, nil)
	if !strings.Contains(fmt.Sprint(err), "canceled by alice") {
		t.Errorf("the ask ended with %v, want it to tell of the cancel", err)
	}
	if b := a.in("p"); b.InFlight() != 10 {
		t.Errorf("%d stops of %d are in flight, want the 10 that were asked for since", b.InFlight(), b.Total)
	}
}

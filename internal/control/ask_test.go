package control

import (
	"context"
	"errors"
	"fmt"
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

// A batch that is canceled while it is being recorded has no stop in flight when both are done.
func TestCancelWhileRecorded(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Limited(t)
	d, err := Open(t.Context(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := when.Parse(when.Spec{In: "1h"}, d.Fleet.Now())
	if err != nil {
		t.Fatal(err)
	}
	canceled := &Canceled{}
	asked, err := d.Ask(t.Context(), tasks.NewProducer(d.Ledger, rdb), Ask{
		Batch: "b", Projects: []string{"p"}, Total: 3000, Plan: plan, Confirmed: true,
		Jobs: func(yield func(joblist.Item, error) bool) {
			for i := range 3000 {
				if i == 1500 {
					for { // some are recorded
						if b, err := d.Batch(t.Context(), "b"); err == nil {
							if canceled, err = b.Cancel(t.Context(), "canceled by alice"); err != nil {
								t.Error(err)
							}
							break
						}
						time.Sleep(time.Millisecond)
					}
				}
				if !yield(joblist.Item{ProjectID: "p", JobID: strconv.Itoa(i + 1)}, nil) {
					return
				}
			}
		}})
	b, berr := d.Ledger.Batch(t.Context(), "p", "b")
	if berr != nil {
		t.Fatal(berr)
	}
	if n := b.InFlight(); n > 0 {
		t.Errorf("cancel answered %+v, the ask %+v, %v; %d stops are in flight, and will stop their jobs", canceled, asked, err, n)
	}
	if b.Counts[ledger.Canceled] != b.Total {
		t.Errorf("%+v", b)
	}
}

// Whoever cancels one project of a batch that is being recorded leaves the others alone.
func TestCancelOfOneProjectWhileRecorded(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Limited(t)
	d, err := Open(t.Context(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := when.Parse(when.Spec{In: "1h"}, d.Fleet.Now())
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Ask(t.Context(), tasks.NewProducer(d.Ledger, rdb), Ask{
		Batch: "b", Projects: []string{"p", "q"}, Total: 6000, Plan: plan, Confirmed: true,
		Jobs: func(yield func(joblist.Item, error) bool) {
			for i := range 6000 {
				if i == 3000 {
					for {
						b, err := d.Batch(t.Context(), "b")
						if err == nil && len(b.Projects) == 2 {
							if _, err = b.In([]string{"q"}).Cancel(t.Context(), "canceled by alice"); err != nil {
								t.Error(err)
							}
							break
						}
						time.Sleep(time.Millisecond)
					}
				}
				if !yield(joblist.Item{ProjectID: []string{"p", "q"}[i%2], JobID: strconv.Itoa(i + 1)}, nil) {
					return
				}
			}
		}})
	p, berr := d.Ledger.Batch(t.Context(), "p", "b")
	if berr != nil {
		t.Fatal(berr)
	}
	q, _ := d.Ledger.Batch(t.Context(), "q", "b")
	t.Logf("ask: %v; q: %d of %d canceled", err, q.Counts[ledger.Canceled], q.Total)
	if n := p.Counts[ledger.Canceled]; n > 0 || p.Total < 3000 {
		t.Errorf("in project p, which nobody canceled, %d of %d stops are canceled, want none of 3000", n, p.Total)
	}
}

// Who cancels a batch again that was canceled before, and asked for again, cancels it.
func TestCancelAgainWhileRecorded(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Limited(t)
	d, err := Open(t.Context(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := when.Parse(when.Spec{In: "1h"}, d.Fleet.Now())
	if err != nil {
		t.Fatal(err)
	}
	cancel := func() error {
		for {
			if b, err := d.Batch(t.Context(), "b"); err == nil && b.Ledger != nil {
				lb, err := d.Ledger.Batch(t.Context(), "p", "b")
				if err == nil && lb.InFlight() > 0 {
					_, err = b.Cancel(t.Context(), "canceled by alice@host")
					return err
				}
			}
			time.Sleep(time.Millisecond)
		}
	}
	ask := func(from, n int) error {
		_, err := d.Ask(t.Context(), tasks.NewProducer(d.Ledger, rdb), Ask{
			Batch: "b", Projects: []string{"p"}, Total: n, Plan: plan, Confirmed: true,
			Jobs: func(yield func(joblist.Item, error) bool) {
				for i := range n {
					if i == n/2 {
						if err := cancel(); err != nil {
							t.Error(err)
						}
					}
					if !yield(joblist.Item{ProjectID: "p", JobID: strconv.Itoa(from + i + 1)}, nil) {
						return
					}
				}
			}})
		return err
	}
	var canceled *CanceledError
	if err := ask(0, 3000); !errors.As(err, &canceled) {
		t.Fatal("the first cancel", err)
	}
	err = ask(10000, 3000) // further jobs of the same batch: a corrected list
	b, berr := d.Ledger.Batch(t.Context(), "p", "b")
	if berr != nil {
		t.Fatal(berr)
	}
	if n := b.InFlight(); n > 0 {
		t.Errorf("canceled a second time by the same person; the ask: %v; %d stops are in flight", err, n)
	}
}

// A cancel of one project while an ask is recorded is carried out, also if the ask fails afterwards for another reason.
func TestCancelOfOneProjectOfAnAskThatFails(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Limited(t)
	d, err := Open(t.Context(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := when.Parse(when.Spec{In: "1h"}, d.Fleet.Now())
	if err != nil {
		t.Fatal(err)
	}
	until := func(ok func() bool) {
		for !ok() {
			time.Sleep(time.Millisecond)
		}
	}
	recorded := func(project string) int {
		b, err := d.Ledger.Batch(t.Context(), project, "b")
		if err != nil {
			return 0
		}
		return b.Total
	}
	_, err = d.Ask(t.Context(), tasks.NewProducer(d.Ledger, rdb), Ask{
		Batch: "b", Projects: []string{"p", "q"}, Total: 2000, Plan: plan, Confirmed: true,
		Jobs: func(yield func(joblist.Item, error) bool) {
			for i := range 1000 {
				if i == 750 { // both projects have recorded their first chunk, and wait for the second
					until(func() bool { return recorded("p") == 250 && recorded("q") == 250 })
					time.Sleep(50 * time.Millisecond) // they have looked for cancels, too
					b, err := d.Batch(t.Context(), "b")
					if err == nil {
						_, err = b.In([]string{"q"}).Cancel(t.Context(), "canceled by alice")
					}
					if err != nil {
						t.Error(err)
					}
				}
				if !yield(joblist.Item{ProjectID: []string{"p", "q"}[i%2], JobID: strconv.Itoa(i + 1)}, nil) {
					return
				}
			}
			until(func() bool { return recorded("q") == 500 })
			yield(joblist.Item{}, errors.New("it is shorter now"))
		}})
	q, berr := d.Ledger.Batch(t.Context(), "q", "b")
	if berr != nil {
		t.Fatal(berr)
	}
	if n := q.InFlight(); n > 0 {
		t.Errorf("the ask: %v; of project q, which alice has canceled meanwhile, %d stops are in flight", err, n)
	}
}

// Who is told that one project was canceled is told of jobs that were refused in the others, too.
func TestCancelOfOneProjectBesideRefusedJobs(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Limited(t)
	d, err := Open(t.Context(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := when.Parse(when.Spec{In: "1h"}, d.Fleet.Now())
	if err != nil {
		t.Fatal(err)
	}
	for i := range ledger.MaxWishes {
		full := ledger.Ask{JobID: "full", Deadline: d.Fleet.Now().Add(time.Hour), Confirmed: true}
		if _, err := d.Ledger.Open(t.Context(), "p", fmt.Sprint("other-", i), []ledger.Ask{full}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = d.Ask(t.Context(), tasks.NewProducer(d.Ledger, rdb), Ask{
		Batch: "b", Projects: []string{"p", "q"}, Total: 502, Plan: plan, Confirmed: true,
		Jobs: func(yield func(joblist.Item, error) bool) {
			for i := range 500 {
				if i == 499 {
					for n := 0; n < 250; time.Sleep(10 * time.Millisecond) {
						if b, err := d.Ledger.Batch(t.Context(), "q", "b"); err == nil {
							n = b.Total
						}
					}
					time.Sleep(50 * time.Millisecond) // it has looked for cancels, too
					b, err := d.Batch(t.Context(), "b")
					if err == nil {
						_, err = b.In([]string{"q"}).Cancel(t.Context(), "canceled by alice")
					}
					if err != nil {
						t.Error(err)
					}
				}
				if !yield(joblist.Item{ProjectID: "q", JobID: strconv.Itoa(i + 1)}, nil) {
					return
				}
			}
			_ = yield(joblist.Item{ProjectID: "p", JobID: "full"}, nil) && yield(joblist.Item{ProjectID: "p", JobID: "1"}, nil)
		}})
	var canceled *CanceledError
	if !errors.As(err, &canceled) || !strings.Contains(err.Error(), "1 jobs were refused, such as job full") {
		t.Errorf("the job %q of project p was not recorded, and its producer is told: %v", "full", err)
	}
}

// An ask that is cut short after somebody has canceled its batch leaves nothing in flight, and takes nothing back that
// somebody else has asked for since.
func TestCancelOfAnAskThatIsCutShort(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Limited(t)
	d, err := Open(t.Context(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := when.Parse(when.Spec{In: "1h"}, d.Fleet.Now())
	if err != nil {
		t.Fatal(err)
	}
	producer := tasks.NewProducer(d.Ledger, rdb)
	ask := func(ctx context.Context, from, n int, halfway func()) error {
		_, err := d.Ask(ctx, producer, Ask{
			Batch: "b", Projects: []string{"p"}, Total: n, Plan: plan, Confirmed: true,
			Jobs: func(yield func(joblist.Item, error) bool) {
				for i := range n {
					if i == n/2 {
						halfway()
					}
					if !yield(joblist.Item{ProjectID: "p", JobID: strconv.Itoa(from + i)}, nil) {
						return
					}
				}
			}})
		return err
	}
	ctx, interrupt := context.WithCancel(t.Context())
	err = ask(ctx, 1, 2000, func() {
		for { // all of the first half are recorded
			if b, err := d.Ledger.Batch(t.Context(), "p", "b"); err == nil && b.Total == 1000 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		b, err := d.Batch(t.Context(), "b")
		if err == nil {
			_, err = b.Cancel(t.Context(), "canceled by alice")
		}
		if err != nil {
			t.Error(err)
		}
		if err := ask(t.Context(), 5000, 10, func() {}); err != nil {
			t.Error("the other ask:", err)
		}
		interrupt()
	})
	if err == nil || !strings.Contains(err.Error(), "canceled by alice") {
		t.Errorf("the ask ended with %v, want it to tell of the cancel", err)
	}
	b, err := d.Ledger.Batch(t.Context(), "p", "b")
	if err != nil || b.InFlight() != 10 {
		t.Errorf("%d stops of %d are in flight, %v; want the 10 that were asked for since", b.InFlight(), b.Total, err)
	}
}

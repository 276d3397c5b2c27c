package control

import (
	"strconv"
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

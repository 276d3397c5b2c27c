package control

import (
	"testing"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
)

// A key that holds no stop keeps a command from no other stop of the batch, in whatever project, and is told of.
func TestABatchWithAKeyThatHoldsNoStop(t *testing.T) {
	rdb := redistest.Start(t).Limited(t)
	d, err := Open(t.Context(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"p", "q"} {
		asks := []ledger.Ask{{JobID: "1", Deadline: d.Fleet.Now().Add(time.Hour)}, {JobID: "2", Deadline: d.Fleet.Now().Add(time.Hour)}}
		if _, err := d.Ledger.Open(t.Context(), p, "b", asks); err != nil {
			t.Fatal(err)
		}
	}
	if err := rdb.Set(t.Context(), ledger.Keys("p").Stop(ledger.StopID("b", "p", "1")), "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	batch, err := d.Batch(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := batch.Allow(t.Context(), 0); n != 3 || ledger.Unreadable(err) == nil {
		t.Errorf("%d allowed, %v; want 3 and the key", n, err)
	}
	if _, err := batch.Cancel(t.Context(), "emergency"); ledger.Unreadable(err) == nil {
		t.Errorf("canceled: %v, want the key", err)
	}
	for p, job := range map[string]string{"p": "2", "q": "1"} {
		s, err := d.Ledger.Get(t.Context(), p, ledger.StopID("b", p, job))
		if err != nil || s.State != ledger.Canceled {
			t.Errorf("job %s of project %s: %v, %v", job, p, s, err)
		}
	}
}

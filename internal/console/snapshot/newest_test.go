package snapshot

import (
	"fmt"
	"testing"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/principals"
)

// Batches of others don't push those of a principal out of the list, and Redis is not read for each who asks.
func TestNewestGoesBack(t *testing.T) {
	f := newFixture(t)
	f.ask(project, "mine", time.Now(), 1)
	for i := range listed + 5 {
		id := fmt.Sprintf("theirs-%d", i)
		if _, err := f.desk.Ledger.Open(t.Context(), other, id, []ledger.Ask{{JobID: fmt.Sprint(i), Deadline: time.Now().Add(time.Hour)}}); err != nil {
			t.Fatal(err)
		}
	}
	all := func(*Batch) bool { return true }
	me := &principals.Principal{Name: "me", Projects: []string{project}}
	var reads int64
	for i := range 3 {
		kept, err := f.source.Newest(t.Context(), me, 50, all)
		if err != nil || len(kept.Value) != 1 || kept.Value[0].ID != "mine" {
			t.Fatalf("my batches: %+v, %v", kept, err)
		}
		if i == 0 {
			reads = f.reads.n.Load()
		}
	}
	if n := f.reads.n.Load(); n != reads {
		t.Errorf("the list was read %d times more for who asked again", n-reads)
	}
	kept, err := f.source.Newest(t.Context(), &principals.Principal{Name: "admin"}, 2000, all)
	if err != nil || len(kept.Value) != listed+6 || kept.Value[listed+5].ID != "mine" {
		t.Errorf("all: %d batches, %v", len(kept.Value), err)
	}
}

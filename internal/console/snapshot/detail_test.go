package snapshot

import (
	"testing"
	"time"

	"vizstop/internal/ledger"
)

// Only a job that an undo has restarted is shown as such: not one that every batch has left to another.
func TestUndoneAt(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	left := ledger.Wish{Batch: "one", Undone: at.Add(time.Minute), Renounced: true}
	restarted := ledger.Wish{Batch: "two", Undone: at}
	for _, tt := range []struct {
		wishes []ledger.Wish
		want   time.Time
	}{
		{[]ledger.Wish{left}, time.Time{}},
		{[]ledger.Wish{left, restarted}, at},
		{[]ledger.Wish{left, {Batch: "two"}}, time.Time{}},
	} {
		if got := UndoneAt(&ledger.Stop{State: ledger.Stopped, Wishes: tt.wishes}); !got.Equal(tt.want) {
			t.Errorf("%+v: %v, want %v", tt.wishes, got, tt.want)
		}
	}
}

package actions

import (
	"strings"
	"testing"
	"time"

	"vizstop/internal/redistest"
)

func TestActions(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client(t)
	now := time.Now()
	book := New(rdb, func() time.Time { return now })
	for _, a := range []Action{
		{What: "pause", Scope: Of("project", ""), By: "ann", Reason: "an incident"},
		{What: "cancel", Scope: Of("batch", "b1"), Jobs: 12, By: "bob\x1b[2J", Reason: strings.Repeat("x", 1000)},
	} {
		if err := book.Record(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
	last, err := book.Last(t.Context(), 10)
	if err != nil || len(last) != 2 {
		t.Fatalf("%v, %v", last, err)
	}
	newest, first := last[0], last[1]
	if newest.What != "cancel" || newest.Scope != "batch b1" || newest.Jobs != 12 || strings.ContainsRune(newest.By, '\x1b') || len(newest.Reason) > 300 {
		t.Errorf("the newest is %+v", newest)
	}
	if first.Scope != "everything" || first.By != "ann" || first.From == "" || !first.At.Equal(now.Add(-2*time.Second).Truncate(time.Millisecond)) {
		t.Errorf("the first is %+v", first)
	}
	if last, err := book.Last(t.Context(), 1); err != nil || len(last) != 1 || last[0].What != "cancel" {
		t.Errorf("the last one is %v, %v", last, err)
	}

	if err := book.Forget(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if last, _ := book.Last(t.Context(), 10); len(last) != 2 {
		t.Errorf("%d are left, want both", len(last))
	}
	now = now.Add(2 * time.Hour)
	if err := book.Forget(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if last, _ := book.Last(t.Context(), 10); len(last) != 0 {
		t.Errorf("%d are left after their time", len(last))
	}
}

// However many there are, the newest are kept.
func TestActionsAreBounded(t *testing.T) {
	t.Parallel()
	book := New(redistest.Start(t).Client(t), time.Now)
	book.most = 3
	for i := range 5 {
		if err := book.Record(t.Context(), Action{What: "allow", Jobs: i}); err != nil {
			t.Fatal(err)
		}
	}
	if last, err := book.Last(t.Context(), 10); err != nil || len(last) != 3 || last[0].Jobs != 4 || last[2].Jobs != 2 {
		t.Errorf("%v, %v; want 4, 3 and 2", last, err)
	}
}

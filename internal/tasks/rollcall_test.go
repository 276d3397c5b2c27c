package tasks

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
)

var rollTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// watchedJobs are jobs to be looked for since the roll call's time.
func watchedJobs(ids ...int) []ledger.Watched {
	var all []ledger.Watched
	for _, id := range ids {
		all = append(all, ledger.Watched{JobID: fmt.Sprint(id), From: rollTime})
	}
	return all
}

func page(total int, status modelarts.Status, ids ...int) *modelarts.JobPage {
	p := &modelarts.JobPage{TotalCount: total}
	for _, id := range ids {
		p.Jobs = append(p.Jobs, modelarts.VisualizationJob{ID: fmt.Sprint(id), Status: status})
	}
	return p
}

func ids(watched []ledger.Watched) []string {
	all := []string{}
	for _, w := range watched {
		all = append(all, w.JobID)
	}
	return all
}

func sequence(from, to int) (all []int) {
	for i := from; i <= to; i++ {
		all = append(all, i)
	}
	return all
}

func TestRollCall(t *testing.T) {
	roll := newRollCall(append(watchedJobs(1, 2, 3), ledger.Watched{JobID: "4", From: rollTime.Add(time.Second)}), rollTime)
	if roll.complete() {
		t.Fatal("complete before the first page")
	}
	roll.take(page(2, modelarts.StatusKilling, 2, 9))
	if !roll.complete() || roll.trouble() != nil {
		t.Fatalf("complete %v, %v", roll.complete(), roll.trouble())
	}
	seen := roll.result()
	if got := ids(seen.left); !slices.Equal(got, []string{"1", "3"}) {
		t.Errorf("left: %v, want 1 and 3", got)
	}
	if got := ids(seen.stopping); !slices.Equal(got, []string{"2", "4"}) {
		t.Errorf("not left: %v, want 2, and 4 that is not looked for yet", got)
	}
}

// When a job of the first page leaves before the second is read, the first of
// the second moves where nobody sees it.
func TestAShiftBetweenPagesLeavesDoubt(t *testing.T) {
	roll := newRollCall(watchedJobs(5, 100, 101, 102), rollTime)
	roll.take(page(150, modelarts.StatusKilling, sequence(1, 100)...))
	roll.take(page(149, modelarts.StatusKilling, sequence(102, 150)...)) // 101 is now on page 1
	if got := ids(roll.result().left); len(got) != 0 {
		t.Errorf("left: %v, want none", got)
	}

	roll = newRollCall(watchedJobs(50, 120, 120000), rollTime)
	roll.take(page(150, modelarts.StatusKilling, slices.DeleteFunc(sequence(1, 101), func(i int) bool { return i == 50 })...))
	roll.take(page(150, modelarts.StatusKilling, slices.DeleteFunc(sequence(102, 150), func(i int) bool { return i == 120 })...))
	if got := ids(roll.result().left); !slices.Equal(got, []string{"50", "120", "120000"}) {
		t.Errorf("left: %v, want all: pages in the order of ids leave no doubt", got)
	}
}

func TestRollCallTrouble(t *testing.T) {
	roll := newRollCall(watchedJobs(1, 2), rollTime)
	roll.take(page(2, modelarts.StatusRunning, 1, 2))
	if err := roll.trouble(); !errors.Is(err, errUnfiltered) || !listRefused(err) {
		t.Errorf("a list of running jobs: %v", err)
	}
}

func TestRollCallOfNobodyNeedsNoPage(t *testing.T) {
	roll := newRollCall([]ledger.Watched{{JobID: "1", From: rollTime.Add(time.Second)}}, rollTime)
	if !roll.complete() || len(roll.result().left) != 0 {
		t.Error("a page is asked for although nobody is looked for")
	}
}

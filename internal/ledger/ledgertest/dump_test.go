package ledgertest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vizstop/internal/redistest"
)

var update = flag.Bool("update", false, "write the listing of the dump anew")

// TestListing holds the listing against the dump.
func TestListing(t *testing.T) {
	t.Parallel()
	s, age := redistest.StartFrom(t, firstDump)
	if err := moveOn(t.Context(), s.Client(t), age); err != nil {
		t.Fatal(err)
	}
	got := read(t, s.Client(t))
	got.MoveOn(-age)
	path, err := redistest.InModule(filepath.FromSlash(firstListing))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, got.encode(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || string(want) != string(got.encode()) {
		t.Errorf("%s does not list what the dump holds (%v): run the test with -update, and look at the difference", firstListing, err)
	}
}

// TestFirstVersion holds the dump against what it was made for.
func TestFirstVersion(t *testing.T) {
	t.Parallel()
	s, d := FirstVersion(t)
	if got := read(t, s.Client(t)); !reflect.DeepEqual(got, d) {
		t.Error("the listing and the data were moved differently")
	}
	now := time.Now().UnixMilli()
	ended := func(state string) func(*Stop) bool { return func(s *Stop) bool { return s.State == state } }
	flying := func(kind, queue string) func(*Stop) bool {
		return func(s *Stop) bool { return s.InFlight() && s.Kind == kind && s.InQueue == queue }
	}
	for _, c := range []struct {
		what  string
		least int
		match func(*Stop) bool
	}{
		{"stopped", 3, ended("stopped")},
		{"already stopped", 1, ended("already_stopped")},
		{"gone", 1, ended("gone")},
		{"canceled", 4, ended("canceled")},
		{"rejected", 3, ended("rejected")},
		{"expired", 1, ended("expired")},
		{"pending in the queue", 1, flying("stop", "pending")},
		{"scheduled", 20, flying("stop", "scheduled")},
		{"polled one by one", 3, flying("poll", "scheduled")},
		{"watched", 8, flying("watch", "")},
		{"with the call in the middle", 1, func(s *Stop) bool { return s.InTheMiddle() && s.InQueue == "active" }},
		{"due in some minutes", 2, func(s *Stop) bool { return s.InFlight() && s.Due > now+5*60_000 && s.Due < now+15*60_000 }},
		{"due some other day", 3, func(s *Stop) bool { return s.InFlight() && s.Due > now+60*60_000 }},
		{"waiting at the pace of the API", 3, func(s *Stop) bool { return s.Hop == 1 && s.State == "pending" && s.Next > s.Due+2000 }},
		{"waiting for the rate", 3, func(s *Stop) bool { return s.State == "pending" && s.Slot != 0 }},
		{"unsure", 1, func(s *Stop) bool { return s.State == "pending" && s.Unsure }},
		{"that a foreign task asked for", 1, func(s *Stop) bool { return s.InFlight() && s.Task != "" }},
		{"of a job that had one before", 1, func(s *Stop) bool { return s.Prev != "" }},
		{"with labels", 5, func(s *Stop) bool { return s.Labels != "" }},
	} {
		if n := len(d.Of(c.match)); n < c.least {
			t.Errorf("%d stops %s, want %d", n, c.what, c.least)
		}
	}
	for _, s := range d.Of(func(s *Stop) bool { return s.InFlight() != (s.Expires == 0) }) {
		t.Errorf("stop %s is %s and expires at %d", s.ID, s.State, s.Expires)
	}
	for _, s := range d.Of(func(s *Stop) bool { return s.InFlight() && s.Kind != "watch" && s.InQueue == "" }) {
		t.Errorf("stop %s in flight has no task", s.ID)
	}
	for _, s := range d.Of(func(s *Stop) bool { return s.InFlight() && s.Deadline < now+29*24*60*60_000 }) {
		if s.Batch != "in-ten-minutes" {
			t.Errorf("stop %s of batch %s has an early deadline", s.ID, s.Batch)
		}
	}
	if !slices.ContainsFunc(d.Batches, func(b Batch) bool { return b.ID == "evening-too" && len(b.Joined) >= 3 }) {
		t.Error("no batch has joined another's stops")
	}
	foreign := func(task Task) bool { return task.Queue == "visualization" && !strings.HasPrefix(task.ID, "stop:") }
	if !slices.ContainsFunc(d.Tasks, foreign) {
		t.Error("no foreign task waits")
	}
	if !slices.ContainsFunc(d.Tasks, func(task Task) bool { return task.Type == "visualization:screen" }) {
		t.Error("there is no screen")
	}
	paused := func(p Project) bool { return len(p.Pause) > 0 && p.Pending > 0 }
	if !slices.ContainsFunc(d.Projects, paused) || !slices.ContainsFunc(d.Projects, func(p Project) bool { return len(p.Uncounted) > 0 }) {
		t.Error("no project is paused, or no stop uncounted")
	}
	if len(d.Notify) != 2 {
		t.Errorf("reports to post: %v", d.Notify)
	}
}

// TestMoveOn looks for times that the first version wrote and nobody moved.
func TestMoveOn(t *testing.T) {
	t.Parallel()
	s, _ := redistest.StartFrom(t, firstDump)
	rdb, ctx := s.Client(t), t.Context()
	const years = 20 * 365 * 24 * time.Hour
	if err := moveOn(ctx, rdb, years); err != nil {
		t.Fatal(err)
	}
	limit := time.Now().Add(years / 2)
	check := func(key, name, text string) {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n < 1e9 {
			return // no time
		}
		for n < 1e18 { // to ns
			n *= 1000
		}
		if time.Unix(0, int64(n)).Before(limit) {
			t.Errorf("%s: %s is still %s", key, name, text)
		}
	}
	for _, key := range ok(rdb.Keys(ctx, "*").Result()) {
		for _, z := range rdb.ZRangeWithScores(ctx, key, 0, -1).Val() {
			check(key, fmt.Sprint(z.Member), strconv.FormatFloat(z.Score, 'f', 3, 64))
		}
		for name, text := range rdb.HGetAll(ctx, key).Val() {
			check(key, name, text)
		}
	}
}

// Package ledgertest gives tests a Redis that the first version of vizstop has
// written, with everything under way, and reads that version's storage.
//
// It knows the first version's keys by itself and uses nothing of package ledger:
// they stay what they were, and package ledger does not.
package ledgertest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"vizstop/internal/redistest"
)

// The dump of the first version and what it holds, below the module's root.
// internal/ledger/testdata/README.md tells more.
const (
	firstDump    = "internal/ledger/testdata/27448ab.rdb"
	firstListing = "internal/ledger/testdata/27448ab.json"
)

// FirstVersion runs a redis-server in which a worker of the first version was
// killed a moment ago, in the middle of a stop call, and lists what it holds. All
// times are as if that had really been a moment ago.
func FirstVersion(t testing.TB, args ...string) (*redistest.Server, *Dump) {
	t.Helper()
	s, age := redistest.StartFrom(t, firstDump, args...)
	rdb := s.Client(t)
	if err := moveOn(t.Context(), rdb, age); err != nil {
		t.Fatal(err)
	}
	d := listing(t)
	d.MoveOn(age)
	return s, d
}

// listing is what the dump holds, with the times of when it was made.
func listing(t testing.TB) *Dump {
	t.Helper()
	path, err := redistest.InModule(filepath.FromSlash(firstListing))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := new(Dump)
	if err := json.Unmarshal(text, d); err != nil {
		t.Fatalf("%s: %v", firstListing, err)
	}
	return d
}

// Dump is what the first version keeps in a Redis. Times are in ms since the
// epoch, those of the queue in whole seconds of it; 0 is "not yet" or none.
type Dump struct {
	Projects []Project `json:"projects"` // ordered by id
	Batches  []Batch   `json:"batches"`  // ordered by project and creation
	Stops    []Stop    `json:"stops"`    // ordered by project, batch and place in it
	Tasks    []Task    `json:"tasks"`    // ordered by queue, state and place in it
	Notify   []Notice  `json:"notify"`   // ordered by batch
	Rate     string    `json:"rate"`     // calls per second, as the worker announced it
}

// Project is what belongs to a project and to no batch.
type Project struct {
	ID        string            `json:"id"`
	Pending   int               `json:"pending"`   // stops in the index of that state
	Stopping  int               `json:"stopping"`  // the same
	Active    map[string]string `json:"active"`    // job: its stop in flight
	Last      map[string]string `json:"last"`      // job: its stop that ended last
	Watched   map[string]int64  `json:"watched"`   // job: when the screen is to look for it first
	Screen    map[string]string `json:"screen"`    // the hash
	Times     int               `json:"times"`     // times-to-stop that are kept
	Uncounted []string          `json:"uncounted"` // stops that no worker has counted
	Pause     map[string]string `json:"pause"`     // the hash
	Throttle  map[string]string `json:"throttle"`  // the hash; most of its times are in microseconds
	Pointers  map[string]string `json:"pointers"`  // key of a foreign task: its stop
}

// Batch is a batch in one project.
type Batch struct {
	Project   string         `json:"project"`
	ID        string         `json:"id"`
	Created   int64          `json:"created"`
	Ended     int64          `json:"ended,omitempty"`
	Requester string         `json:"requester,omitempty"`
	Why       string         `json:"why,omitempty"`
	Labels    string         `json:"labels,omitempty"` // as JSON
	Counts    map[string]int `json:"counts"`           // its own stops by state; no zeros
	Stops     []string       `json:"stops"`            // its own, in the order of asking
	Joined    []string       `json:"joined"`           // of other batches, sorted
	Expires   int64          `json:"expires,omitempty"`
}

// Stop is one stop.
type Stop struct {
	Project string `json:"project"`
	ID      string `json:"id"`
	Batch   string `json:"batch"`
	Job     string `json:"job"`
	State   string `json:"state"`
	Kind    string `json:"kind"`
	Hop     int    `json:"hop"`
	Calling int    `json:"calling,omitempty"` // the latest hop whose call was marked
	Unsure  bool   `json:"unsure,omitempty"`

	Asked    int64 `json:"asked"`
	Due      int64 `json:"due"`
	Deadline int64 `json:"deadline"`
	Next     int64 `json:"next,omitempty"`
	Slot     int64 `json:"slot,omitempty"`
	Called   int64 `json:"called,omitempty"`
	Accepted int64 `json:"accepted,omitempty"`
	Looked   int64 `json:"looked,omitempty"`
	Ended    int64 `json:"ended,omitempty"`
	Expires  int64 `json:"expires,omitempty"`

	Attempts int    `json:"attempts,omitempty"`
	Calls    int    `json:"calls,omitempty"`
	Polls    int    `json:"polls,omitempty"`
	Status   string `json:"status,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Labels   string `json:"labels,omitempty"` // as JSON
	Task     string `json:"task,omitempty"`   // key of the foreign task's pointer
	Prev     string `json:"prev,omitempty"`   // the job's stop before this one

	// InQueue is where the task of the present hop is: pending, scheduled or
	// active; "" when there is none.
	InQueue string `json:"in_queue,omitempty"`
}

// InFlight reports whether the stop has not ended.
func (s *Stop) InFlight() bool { return s.State == "pending" || s.State == "stopping" }

// InTheMiddle reports whether the stop's call may be on its way.
func (s *Stop) InTheMiddle() bool { return s.State == "pending" && s.Calling == s.Hop }

// Task is a task in a queue.
type Task struct {
	Queue   string `json:"queue"`
	State   string `json:"state"`
	ID      string `json:"id"`
	Type    string `json:"type"`
	Payload string `json:"payload"`
	At      int64  `json:"at,omitempty"`    // of a scheduled one: when it is due (s)
	Lease   int64  `json:"lease,omitempty"` // of an active one: until when a worker has it (s)
}

// Notice is a batch whose report is to be posted.
type Notice struct {
	Batch string            `json:"batch"`
	URL   string            `json:"url"`
	At    int64             `json:"at"`    // when to look at it next
	Tried map[string]string `json:"tried"` // the hash of a report that could not be posted
}

// Of picks the stops that match.
func (d *Dump) Of(match func(*Stop) bool) []Stop {
	return slices.DeleteFunc(slices.Clone(d.Stops), func(s Stop) bool { return !match(&s) })
}

// MoveOn makes every time later by that much, as moveOn does in Redis.
func (d *Dump) MoveOn(by time.Duration) {
	ms, s := by.Milliseconds(), int64(by/time.Second)
	later := func(by int64, times ...*int64) {
		for _, at := range times {
			if *at != 0 {
				*at += by
			}
		}
	}
	for i := range d.Stops {
		s := &d.Stops[i]
		later(ms, &s.Asked, &s.Due, &s.Deadline, &s.Next, &s.Slot, &s.Called, &s.Accepted, &s.Looked, &s.Ended, &s.Expires)
	}
	for i := range d.Batches {
		later(ms, &d.Batches[i].Created, &d.Batches[i].Ended, &d.Batches[i].Expires)
	}
	for i := range d.Tasks {
		later(s, &d.Tasks[i].At, &d.Tasks[i].Lease)
	}
	for i := range d.Notify {
		later(ms, &d.Notify[i].At)
		fieldsLater(d.Notify[i].Tried, noticeTimes, by)
	}
	for i := range d.Projects {
		p := &d.Projects[i]
		for job := range p.Watched {
			p.Watched[job] += ms
		}
		fieldsLater(p.Screen, screenTimes, by)
		fieldsLater(p.Pause, pauseTimes, by)
		fieldsLater(p.Throttle, throttleTimes, by)
	}
}

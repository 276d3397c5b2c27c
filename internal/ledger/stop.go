package ledger

import (
	"encoding/json"
	"strconv"
	"time"
)

// State is where a stop stands: pending, stopping, or its outcome.
type State string

// The two states of a stop in flight.
const (
	Pending  State = "pending"  // asked, not accepted
	Stopping State = "stopping" // accepted, not confirmed
)

// The outcomes. A stop ends in exactly one of them.
const (
	Stopped        State = "stopped"         // we asked, and the detail endpoint then showed the job ended
	AlreadyStopped State = "already_stopped" // the job had ended before our call took effect
	Gone           State = "gone"            // the job does not exist, or vanished while stopping
	Rejected       State = "rejected"        // the API refuses this job for good, or the task is malformed
	Expired        State = "expired"         // the deadline passed without confirmation; needs a person
	Canceled       State = "canceled"        // withdrawn before the call went out
)

// InFlight lists the states of a stop that has not ended.
func InFlight() []State { return []State{Pending, Stopping} }

// Outcomes lists every outcome.
func Outcomes() []State {
	return []State{Stopped, AlreadyStopped, Gone, Rejected, Expired, Canceled}
}

// Ended reports whether s is an outcome.
func (s State) Ended() bool { return s != Pending && s != Stopping }

// Good reports whether s is an outcome after which the job does not run.
func (s State) Good() bool { return s == Stopped || s == AlreadyStopped || s == Gone }

// Kind is what carries a stop on.
type Kind string

// The kinds.
const (
	KindStop  Kind = "stop"  // a task that makes the stop call
	KindPoll  Kind = "poll"  // a task that asks the detail endpoint
	KindWatch Kind = "watch" // the project's screen; the stop has no task of its own
)

// Screened is why a screen gave a stop back to be polled.
type Screened string

// What a screen can have found.
const (
	NotScreened  Screened = ""
	ScreenedLeft Screened = "left" // the job was no longer in the list of those that are stopping
	ScreenedLate Screened = "late" // the job was still in the list, for so long that it is better looked at
)

// NoStatus is Stop.Status before the API has told one.
const NoStatus = -1

// Stop is one request to stop one job, as the ledger has it. Times are kept in
// whole milliseconds; the zero time means "not yet".
type Stop struct {
	ID        string
	ProjectID string
	JobID     string
	Batch     string

	State  State
	Reason string // in one line: why it ended so or, in flight, the last trouble

	Hop  int       // number of the task that may act on this stop now; from 1
	Kind Kind      // of that task
	Next time.Time // when that task is due; of a watched stop, when it is looked at at the latest
	Slot time.Time // the time that task has reserved with the throttle; zero: none

	Asked    time.Time // when it was recorded
	Due      time.Time // when it was asked to happen; durations count from here
	Deadline time.Time // no stop call goes out after it
	Called   time.Time // first stop call
	Accepted time.Time // latest accepted stop call
	Looked   time.Time // latest sight of the job as stopping, by its detail or in a list
	Ended    time.Time

	Attempts  int    // attempts used up by failures that are this job's own
	Calls     int    // stop calls sent and answered
	Resends   int    // stop calls repeated because the job was seen active again
	Polls     int    // detail calls answered
	Status    int    // last status that the API told, or NoStatus
	RequestID string // the API's id of the last answer

	// Unsure is set when a stop call may have taken effect without our knowing:
	// its answer was lost, or the worker died in the middle of it.
	Unsure bool

	// Screened is why the poll that is due now is due; NotScreened if no screen
	// has asked for it.
	Screened Screened

	// Labels are the producer's own, kept for reports.
	Labels map[string]string

	// Trace is the traceparent (W3C Trace Context) by which whatever is done for
	// this stop belongs to one trace; "" if nobody traces it.
	Trace string

	prev  string            // id of the job's stop before this one; set when it ends
	task  string            // key of the foreign task's pointer; "" for our own
	saved map[string]string // the fields as they stand in Redis
}

// fields is the stop as a Redis hash: every field that this version writes, zero
// values as "".
func (s *Stop) fields() map[string]string {
	f := map[string]string{
		"job": s.JobID, "batch": s.Batch, "state": string(s.State), "kind": string(s.Kind),
		"reason": s.Reason, "request": s.RequestID, "task": s.task, "labels": encodeLabels(s.Labels),
		"screened": string(s.Screened), "trace": s.Trace, "status": "", "unsure": "",
	}
	for name, n := range map[string]int{
		"hop": s.Hop, "attempts": s.Attempts, "calls": s.Calls, "resends": s.Resends, "polls": s.Polls,
	} {
		f[name] = ""
		if n != 0 {
			f[name] = strconv.Itoa(n)
		}
	}
	for name, t := range map[string]time.Time{
		"next": s.Next, "slot": s.Slot, "asked": s.Asked, "due": s.Due, "deadline": s.Deadline,
		"called": s.Called, "accepted": s.Accepted, "looked": s.Looked, "ended": s.Ended,
	} {
		f[name] = ""
		if !t.IsZero() {
			f[name] = strconv.FormatInt(t.UnixMilli(), 10)
		}
	}
	if s.Status != NoStatus {
		f["status"] = strconv.Itoa(s.Status)
	}
	if s.Unsure {
		f["unsure"] = "1"
	}
	return f
}

// changes lists, as name and value pairs, the fields that differ from what
// Redis holds. A field that went back to zero becomes empty. Fields that only
// scripts write, or a newer version, are none of its business.
func (s *Stop) changes() []any {
	var pairs []any
	for name, v := range s.fields() {
		if s.saved[name] != v { // one that is missing is as good as empty
			pairs = append(pairs, name, v)
		}
	}
	return pairs
}

// decode reads a hash. Fields that this version doesn't know are left alone;
// numbers that are none read as zero.
func decode(projectID, id string, f map[string]string) *Stop {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(f[name], 10, 64)
		return n
	}
	at := func(name string) time.Time {
		if n := number(name); n != 0 {
			return time.UnixMilli(n).UTC()
		}
		return time.Time{}
	}
	s := &Stop{
		ID: id, ProjectID: projectID, JobID: f["job"], Batch: f["batch"],
		State: State(f["state"]), Reason: f["reason"],
		Hop: int(number("hop")), Kind: Kind(f["kind"]), Next: at("next"), Slot: at("slot"),
		Asked: at("asked"), Due: at("due"), Deadline: at("deadline"),
		Called: at("called"), Accepted: at("accepted"), Looked: at("looked"), Ended: at("ended"),
		Attempts: int(number("attempts")), Calls: int(number("calls")),
		Resends: int(number("resends")), Polls: int(number("polls")),
		Status: NoStatus, RequestID: f["request"], Unsure: f["unsure"] == "1", Screened: Screened(f["screened"]),
		Labels: decodeLabels(f["labels"]), Trace: f["trace"], prev: f["prev"], task: f["task"], saved: f,
	}
	if f["status"] != "" {
		s.Status = int(number("status"))
	}
	return s
}

// encodeLabels is the labels as JSON; "" for none.
func encodeLabels(labels map[string]string) string {
	if len(labels) == 0 {
		return ""
	}
	b, err := json.Marshal(labels)
	if err != nil {
		panic("ledger: " + err.Error()) // strings always encode
	}
	return string(b)
}

// decodeLabels reads what encodeLabels wrote; anything else is none.
func decodeLabels(s string) map[string]string {
	var labels map[string]string
	if s != "" {
		_ = json.Unmarshal([]byte(s), &labels)
	}
	return labels
}

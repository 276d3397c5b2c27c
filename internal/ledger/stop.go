package ledger

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
)

// State is where a stop stands: pending, stopping, or its outcome.
type State string

// The two states of a stop in flight.
const (
	Pending  State = "pending"  // asked, not accepted
	Stopping State = "stopping" // accepted, or the job was seen stopping; not confirmed
)

// The outcomes. A stop ends in exactly one of them.
const (
	Stopped        State = "stopped"         // we asked, and the detail endpoint then showed the job ended
	AlreadyStopped State = "already_stopped" // the job had ended, or was stopping, before our call took effect
	Gone           State = "gone"            // the job, which this stop has seen, does not exist any more
	NotFound       State = "not_found"       // the API knows no such job, and this stop never saw it: a wrong project, region or id?
	Rejected       State = "rejected"        // the API refuses this job for good, or the task or record is malformed
	Expired        State = "expired"         // the deadline passed without confirmation; needs a person
	Canceled       State = "canceled"        // withdrawn before a call was accepted
)

// What else a shadow stop can end with: it says what a stop call would have met.
const (
	WouldStop     State = "would_stop"      // a stop call would have gone out
	WouldAlready  State = "would_already"   // the job has ended, is stopping, or is gone: there is nothing to stop
	WouldNotFound State = "would_not_found" // the API knows no such job, and this stop never saw it
	WouldHold     State = "would_hold"      // a stop call would have gone out, but for something that a person has to end
)

// InFlight lists the states of a stop that has not ended.
func InFlight() []State { return []State{Pending, Stopping} }

// Outcomes lists every outcome of a stop for which stop calls are made.
func Outcomes() []State {
	return []State{Stopped, AlreadyStopped, Gone, NotFound, Rejected, Expired, Canceled}
}

// ShadowOutcomes lists every outcome of a stop for which none is made. Rejected,
// Expired and Canceled are the same for both.
func ShadowOutcomes() []State {
	return []State{WouldStop, WouldAlready, WouldNotFound, WouldHold, Rejected, Expired, Canceled}
}

// AllOutcomes lists what a stop of any kind can end with, each once.
func AllOutcomes() []State {
	return append(Outcomes(), WouldStop, WouldAlready, WouldNotFound, WouldHold)
}

// GivenUp is how many jobs may still run although nobody goes on trying to stop them, by the counts of their stops.
func GivenUp(counts map[State]int) int { return counts[Expired] + counts[Rejected] }

// Ended reports whether s is an outcome.
func (s State) Ended() bool { return s != Pending && s != Stopping }

// Good reports whether s is an outcome after which the job does not run or, without
// a stop call, would not.
func (s State) Good() bool {
	switch s {
	case Stopped, AlreadyStopped, Gone, WouldStop, WouldAlready:
		return true
	}
	return false
}

// Would reports whether s says what a stop call would have met.
func (s State) Would() bool {
	switch s {
	case WouldStop, WouldAlready, WouldNotFound, WouldHold:
		return true
	}
	return false
}

// Kind is what a stop in flight waits for.
type Kind string

// The kinds.
const (
	KindStop  Kind = "stop"  // the stop call, by a task
	KindPoll  Kind = "poll"  // a detail call, by a task
	KindWatch Kind = "watch" // the project's list check; the stop has no task of its own
	// KindShadow is the one kind of a shadow stop: a detail call, without a task. No
	// handler of tasks, of whatever version, claims it.
	KindShadow Kind = "shadow"
)

// Stop is the work of stopping one job, as the ledger has it. It serves the
// wishes of one or more batches. Times are kept in whole milliseconds; the zero
// time means "not yet".
type Stop struct {
	ID        string
	ProjectID string
	JobID     string
	Batch     string // that opened it, or whose limits keep it since; as BatchStops shows it, the batch that was asked for

	Shadow bool // no stop call is ever made for it

	State  State
	Reason string // in one line: why it ended so or, in flight, the last trouble

	Hop  int       // number of the step that may act on this stop now; from 1
	Kind Kind      // of that step
	Next time.Time // when that step is due; of a watched stop, when it is looked at at the latest

	Asked    time.Time // when it was recorded
	Due      time.Time // when it was asked to happen, the earliest of its wishes; durations count from here
	Deadline time.Time // the latest of its wishes; no stop call goes out after it
	Marked   time.Time // when the latest stop call was about to be made; zero once it was answered
	Lost     time.Time // until when a call that got lost with its worker may yet take effect; zero: none was
	Called   time.Time // first stop call
	Accepted time.Time // latest accepted stop call
	Looked   time.Time // latest sight of the job as stopping, by its detail or in a list
	Absent   time.Time // when the API first said that there is no such job; zero once it says otherwise
	Ended    time.Time

	Attempts  int    // attempts used up by failures that are this job's own
	Failures  int    // failures in a row, whoever's they were: the next wait depends on it
	Calls     int    // stop calls sent and answered
	Resends   int    // stop calls repeated because the job was seen active again
	Polls     int    // detail calls answered
	Status    string // that the API told last, such as "8 (running)"; "" if it told none
	RequestID string // the API's id of the last answer

	// Unsure is set when a stop call may have taken effect without our knowing:
	// its answer was lost, or the worker died in the middle of it.
	Unsure bool

	// Instead is set while the step is a look in place of a stop call that had to wait:
	// none was made since the look before. Its field holds the hop of the latest call at that
	// time, and means nothing once another was claimed: a worker of an earlier version
	// leaves the field as it is.
	Instead bool

	// Listed is set when a producer has seen the job in a list of the API.
	Listed bool

	// Unconfirmed is set while nobody has confirmed it: limits are for it.
	Unconfirmed bool

	// Missed is set when no list check has shown the job although it was stopping for
	// some time: such a job is not watched again.
	Missed bool

	// Withdrawn says who withdrew the last wish, if that was too late to take the
	// stop back: no further stop call goes out. "" if somebody still wants it.
	Withdrawn string

	// Labels are the producer's own, kept for reports: those of the wish of Batch.
	Labels map[string]string

	// Trace is the traceparent (W3C Trace Context) by which whatever is done for
	// this stop belongs to one trace; "" if nobody traces it.
	Trace string

	Wishes []Wish // whom it serves, in the order of their asking

	Worker  string // id of the worker that has claimed a step of it last
	Claimed int    // the hop of that step

	reader     string            // made up: whoever has read this
	version    string            // of the wishes
	prev       string            // id of the job's stop before this one; set when it ends
	restarted  string            // the batch whose undo has restarted the job; "": none, or one of an earlier version
	restarting bool              // that undo has not noted what became of it
	saved      map[string]string // the fields as they stand in Redis

	steps int     // of the history, in all
	noted []field // steps that are not saved yet, each in its field
}

// The lanes of stops that nobody has confirmed, as scripts name them.
const (
	laneLimited = "limited"
	laneHeld    = "held"
)

// nonce tells what this reader of the stop does at its present hop from what
// others do: whatever it repeats, because an answer was lost, is one and the same.
func (s *Stop) nonce() string {
	if s.reader == "" {
		s.reader = randomID()
	}
	return s.reader + ":" + strconv.Itoa(s.Hop)
}

// Wanted reports whether somebody wants s at that time: it is not withdrawn, and its
// deadline has not passed.
func (s *Stop) Wanted(at time.Time) bool { return s.Withdrawn == "" && at.Before(s.Deadline) }

// Damage says why no step of s can be made, although it is in flight: its record in Redis is damaged, or a newer
// version wrote it, whose workers may know what to do. "": all is well, as far as one can see.
func (s *Stop) Damage() string {
	switch {
	case s.State.Ended():
		return ""
	case s.JobID == "":
		return "its record has no job"
	case s.Hop < 1:
		return "its record has no hop"
	case s.Deadline.IsZero():
		return "its record has no deadline"
	case !s.Shadow && s.Kind != KindStop && s.Kind != KindPoll && s.Kind != KindWatch:
		return fmt.Sprintf("its record has the kind %.40q", s.Kind)
	}
	return ""
}

// Seen reports whether the API has shown that the job existed: in a list, or by an
// answer about it.
func (s *Stop) Seen() bool {
	return s.Listed || s.Status != "" || !s.Accepted.IsZero() || !s.Looked.IsZero()
}

// Member is the stop at its present hop.
func (s *Stop) Member() Member { return Member{s.ID, s.Hop, s.JobID} }

// field is a field of the Redis hash.
type field struct{ name, value string }

// fields is the part of the stop that its handler writes, zero values as "".
// Scripts write the others.
func (s *Stop) fields() iter.Seq[field] {
	return func(yield func(field) bool) {
		for _, f := range [...]field{
			{"reason", s.Reason}, {"request", s.RequestID}, {"trace", s.Trace},
			{"status", s.Status}, {"attempts", text(int64(s.Attempts), 0)},
			{"failures", text(int64(s.Failures), 0)}, {"calls", text(int64(s.Calls), 0)},
			{"resends", text(int64(s.Resends), 0)}, {"polls", text(int64(s.Polls), 0)},
			{"marked", text(millis(s.Marked), 0)}, {"lost", text(millis(s.Lost), 0)}, {"called", text(millis(s.Called), 0)},
			{"accepted", text(millis(s.Accepted), 0)}, {"looked", text(millis(s.Looked), 0)},
			{"absent", text(millis(s.Absent), 0)}, {"unsure", flag(s.Unsure)}, {"missed", flag(s.Missed)},
			{"instead", s.insteadOf()},
			{stepsField, text(int64(s.steps), 0)},
		} {
			if !yield(f) {
				return
			}
		}
		for _, f := range s.noted {
			if !yield(f) {
				return
			}
		}
	}
}

// integer is a number of the hash; 0 if it is none.
func integer(s string) int64 {
	if s == "" {
		return 0 // as most are; an error would take an allocation
	}
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// text is a number as the hash holds it.
func text(n, zero int64) string {
	if n == zero {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// latestCall is the hop whose stop call was claimed last, "0" if none was. f are the fields of
// a stop.
func latestCall(f map[string]string) string { return cmp.Or(f["calling"], "0") }

// insteadOf is Instead as the hash holds it.
func (s *Stop) insteadOf() string {
	if !s.Instead {
		return ""
	}
	return latestCall(s.saved)
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return ""
}

// changes lists, as name and value pairs, the fields that differ from what
// Redis holds. A field that went back to zero becomes empty. Fields that only
// scripts write, or a newer version, are none of its business.
func (s *Stop) changes() []any {
	pairs := make([]any, 0, 16) // 5 to 8 fields in most steps
	for f := range s.fields() {
		if s.saved[f.name] != f.value { // one that is missing is as good as empty
			pairs = append(pairs, f.name, f.value)
		}
	}
	return pairs
}

// Decode reads the hash of a stop. Fields that this version doesn't know are
// left alone; numbers that are none read as zero.
func Decode(projectID, id string, f map[string]string) *Stop {
	number := func(name string) int64 { return integer(f[name]) }
	at := func(name string) time.Time { return timeOf(number(name)) }
	s := &Stop{
		ID: id, ProjectID: projectID, JobID: f["job"], Batch: f["batch"],
		State: State(f["state"]), Reason: f["reason"],
		Hop: int(number("hop")), Kind: Kind(f["kind"]), Next: at("next"),
		Asked: at("asked"), Due: at("due"), Deadline: at("deadline"), Marked: at("marked"), Lost: at("lost"),
		Called: at("called"), Accepted: at("accepted"), Looked: at("looked"), Absent: at("absent"), Ended: at("ended"),
		Attempts: int(number("attempts")), Failures: int(number("failures")), Calls: int(number("calls")),
		Resends: int(number("resends")), Polls: int(number("polls")),
		Status: f["status"], RequestID: f["request"],
		Unsure: f["unsure"] == "1", Instead: f["instead"] == latestCall(f), Missed: f["missed"] == "1",
		Listed: f["listed"] == "1", Unconfirmed: f["lane"] == laneLimited || f["lane"] == laneHeld,
		Withdrawn: f["withdrawn"], Worker: f["worker"], Trace: f["trace"], Wishes: decodeWishes(f), version: f["version"],
		prev: f["prev"], restarted: f["restarted"], restarting: f["restarting"] != "", saved: f,
	}
	if n := number(stepsField); n > 0 && n < historyMost {
		s.steps = int(n)
	}
	claimed, _, _ := strings.Cut(f["claimed"], " ")
	s.Claimed, _ = strconv.Atoi(claimed)
	if s.version == "" {
		s.version = "0"
	}
	for _, w := range s.Wishes {
		if w.Batch == s.Batch {
			s.Labels = w.Labels
		}
	}
	return s
}

func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
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

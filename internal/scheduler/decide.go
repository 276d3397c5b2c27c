package scheduler

import (
	"fmt"
	"time"

	"vizstop/internal/fleet"
	"vizstop/internal/schedules"
)

// view is what a worker sees of a schedule when it looks at it.
type view struct {
	schedule *schedules.Schedule
	since    time.Time // there is no tick before
	now      time.Time
	me       string
	census   fleet.Census
	busy     bool // this worker carries a tick of it out already
	full     bool // this worker can begin with no further tick
}

// lookedEvery is how exactly it is noted when somebody has looked.
const lookedEvery = time.Minute

// decide is what a look comes to: it changes s, and returns results of ticks that have
// one now, the oldest first, and whether this worker has to carry out s.Claim. changed
// is false if s may stay as it was.
func (v view) decide(s *state) (results []Result, mine, changed bool) {
	before := *s
	results = append(results, v.renewTiming(s)...)
	results = append(results, v.settleCanceled(s)...)
	results = append(results, v.settleClaim(s)...)
	if s.Claim == nil {
		results = append(results, v.due(s)...)
	}
	mine = v.take(s)
	s.Next = v.next(s)
	if v.now.Sub(timeOf(s.Looked)) >= lookedEvery {
		s.Looked = v.now.UnixMilli()
	}
	changed = mine || len(results) > 0 || s.Claim != before.Claim || s.Run != before.Run || s.Next != before.Next || s.Looked != before.Looked ||
		s.Timing != before.Timing || s.Settled != before.Settled
	return results, mine, changed
}

// renewTiming takes up other times of the schedule.
func (v view) renewTiming(s *state) (results []Result) {
	if print := v.schedule.Fingerprint(); s.Timing != print {
		claimed := s.Claim != nil && s.Claim.Tick == s.Next
		if next := timeOf(s.Next); s.Next != 0 && !next.After(v.now) && s.Next > s.Settled && !claimed {
			results = append(results, v.unbegunFor(s, next, "the times of the schedule were changed before it was carried out"))
			s.Settled = s.Next
		}
		s.Timing, s.Next = print, 0
	}
	return results
}

// unbegunFor is the result of a tick with which nobody begins any more, for what words say, unless it is canceled.
func (v view) unbegunFor(s *state, tick time.Time, words string) Result {
	if why := s.canceled(tick.UnixMilli()); why != "" {
		return v.result(tick, Canceled, why)
	}
	return v.result(tick, Missed, words)
}

// settleCanceled ends what people have canceled, unless its jobs are chosen: then whoever carries it out withdraws what
// it may have asked for. A worker that lists jobs for it still can't choose any, as the claim is gone.
func (v view) settleCanceled(s *state) (results []Result) {
	if c := s.Claim; c != nil && c.Chosen == nil {
		if why := s.canceled(c.Tick); why != "" {
			results = append(results, v.settle(s, Canceled, why))
		}
	}
	if run := s.Run; run != nil {
		if why := s.canceled(run.Tick); why != "" {
			s.Run = nil
			results = append(results, v.ended(run.claim(), Canceled, why))
		}
	}
	return results
}

// settleClaim ends a tick that was begun and can't be brought to an end any more.
func (v view) settleClaim(s *state) []Result {
	c := s.Claim
	if c == nil || v.busy || v.held(c) {
		return nil
	}
	tick := timeOf(c.Tick)
	suspended, canceled := s.suspension(c.since(), v.inTime(tick)), s.canceled(c.Tick)
	switch _, newer := v.latest(tick, v.now); {
	case c.Chosen == nil && suspended != "":
		if c.Error != "" {
			suspended += "; the try before: " + c.Error
		}
		return []Result{v.settle(s, Suspended, suspended)}
	case canceled != "" && v.now.After(tick.Add(v.schedule.CatchUp)):
		return []Result{v.settle(s, Canceled, canceled)}
	case c.Try == 0 && v.now.After(tick.Add(v.schedule.CatchUp)):
		return []Result{v.settle(s, Missed, fmt.Sprintf("no worker was free to begin with it within %s: each had %d ticks to carry out", v.schedule.CatchUp, carriedAtOnce))}
	case c.Try == 0 && newer && c.By == "":
		return []Result{v.settle(s, Missed, "no worker was free to begin with it before a newer tick was due")}
	case v.now.After(tick.Add(v.schedule.CatchUp)):
		return []Result{v.settle(s, Failed, fmt.Sprintf("given up %s after its time", v.schedule.CatchUp)+after(c.Error))}
	case newer && c.By == "" && c.Chosen == nil:
		return []Result{v.settle(s, Failed, "given up as a newer tick is due"+after(c.Error))}
	}
	return nil
}

// leave settles what is open of a schedule that the file in force does not have any more:
// a tick that a worker carries out still is brought to its end by that one.
func (v view) leave(s *state, revision int) (results []Result) {
	words := fmt.Sprintf("revision %d of the schedules file does not have the schedule any more", revision)
	results = append(results, v.settleCanceled(s)...)
	if c := s.Claim; c != nil && !v.busy && !v.held(c) {
		outcome, reason := Failed, words
		if c.Try == 0 {
			outcome = Missed
		}
		if c.Error != "" {
			reason += ": " + c.Error
		}
		if why := s.canceled(c.Tick); why != "" {
			outcome, reason = Canceled, why
		}
		results = append(results, v.settle(s, outcome, reason))
	}
	if s.Claim != nil {
		return results
	}
	if run := s.Run; run != nil {
		s.Run = nil
		results = append(results, v.ended(run.claim(), Missed, words))
	}
	if next := timeOf(s.Next); s.Next != 0 && !next.After(v.now) && s.Next > s.Settled {
		results = append(results, v.unbegunFor(s, next, words))
		s.Settled = s.Next
	}
	s.Next = 0
	return results
}

// after appends what went wrong before.
func after(err string) string {
	if err == "" {
		return ": the worker that carried it out is gone"
	}
	return ": " + err
}

// held reports whether another worker may carry the tick out, or it rests.
func (v view) held(c *claim) bool {
	switch {
	case c.Worker == "", c.Worker == v.me: // given back; or this worker's notice that it has given it back got lost
		return false
	case !v.census.Reliable:
		return true
	}
	return v.census.Lives(c.Worker)
}

// settle ends the claim with a result.
func (v view) settle(s *state, outcome Outcome, reason string) Result {
	c := s.Claim
	if s.Claim = nil; c.By == "" {
		s.Settled = max(s.Settled, c.Tick)
	}
	return v.ended(c, outcome, reason)
}

// ended is the result of a tick that ends before all of it is asked for.
func (v view) ended(c *claim, outcome Outcome, reason string) Result {
	r := v.result(timeOf(c.Tick), outcome, reason)
	r.Tries, r.By, r.Shadow = c.Try, c.By, c.shadow(v.schedule)
	if c.Chosen != nil && c.Chosen.Jobs > 0 {
		r.Chosen, r.Batch = c.Chosen.Jobs, schedules.BatchID(v.schedule.Name, r.Tick)
		what := "goes on"
		if outcome == Canceled {
			what = "is withdrawn, unless its call has gone out"
		}
		r.Reason += fmt.Sprintf("; whatever it has asked for %s: enqueue status %s", what, r.Batch)
	}
	return r
}

func (v view) result(tick time.Time, outcome Outcome, reason string) Result {
	return Result{Tick: tick, Outcome: outcome, At: v.now, Worker: v.me, Reason: reason, Unlisted: []string{}}
}

// due settles the ticks that are past, and claims for nobody the one that is to be
// carried out: a run by hand, or the newest tick.
func (v view) due(s *state) (results []Result) {
	if run := s.Run; run != nil {
		s.Run, s.Claim = nil, run.claim()
		if words := s.suspension(s.Claim.since(), v.inTime(timeOf(run.Tick))); words != "" {
			return []Result{v.settle(s, Suspended, words)}
		}
		if v.now.After(timeOf(run.Tick).Add(v.schedule.CatchUp)) {
			return []Result{v.settle(s, Missed, v.unbegun(s, run.Tick))}
		}
		return nil
	}
	from := s.from(v.since)
	newest, ok := v.latest(from, v.now)
	if !ok {
		return nil
	}
	for tick := range v.schedule.Ticks(from) {
		if !tick.Before(newest) {
			break
		}
		result, kept := v.keptFrom(s, tick, tick)
		if !kept {
			result = v.result(tick, Missed, v.unbegun(s, tick.UnixMilli()))
		}
		results, s.Settled = append(results, result), tick.UnixMilli()
	}
	result, kept := v.keptFrom(s, newest, v.inTime(newest))
	switch {
	case kept:
	case v.now.After(newest.Add(v.schedule.CatchUp)):
		result = v.result(newest, Missed, v.unbegun(s, newest.UnixMilli()))
	default:
		s.Claim = &claim{Tick: newest.UnixMilli()}
		return results
	}
	s.Settled = newest.UnixMilli()
	return append(results, result)
}

// inTime is until when a tick was to be carried out, or now: a later suspension has not kept it from that.
func (v view) inTime(tick time.Time) time.Time {
	if end := tick.Add(v.schedule.CatchUp); end.Before(v.now) {
		return end
	}
	return v.now
}

// keptFrom is the result of a tick that nobody has begun with, if people keep it from being carried out: it is
// canceled, or the schedule was suspended at its time or since, up to another time.
func (v view) keptFrom(s *state, tick, upTo time.Time) (r Result, kept bool) {
	if why := s.canceled(tick.UnixMilli()); why != "" {
		return v.result(tick, Canceled, why), true
	}
	words := s.suspension(tick, upTo)
	return v.result(tick, Suspended, words), words != ""
}

// unbegun says why a tick was not begun in time.
func (v view) unbegun(s *state, tick int64) string {
	switch {
	case tick <= s.Looked:
		return "a tick before it, or a run by hand, was still being carried out"
	case s.Looked == 0:
		return "no worker with this schedules file was there, or Redis was away"
	}
	return fmt.Sprintf("from %s to %s no worker with this schedules file was there, or Redis was away",
		timeOf(s.Looked).Format(time.RFC3339), v.now.Format(time.RFC3339))
}

// take has this worker carry out the claim, if nobody does.
func (v view) take(s *state) bool {
	c := s.Claim
	if c == nil || v.busy || v.full || v.held(c) || v.now.Before(timeOf(c.RetryAt)) {
		return false
	}
	taken := *c
	taken.Worker, taken.RetryAt, taken.Try = v.me, 0, c.Try+1
	s.Claim = &taken
	return true
}

// latest is the last tick after a time and up to another one; false if there is none.
func (v view) latest(after, upTo time.Time) (latest time.Time, ok bool) {
	for tick := range v.schedule.Ticks(after) {
		if tick.After(upTo) {
			break
		}
		latest, ok = tick, true
	}
	return latest, ok
}

// next is the first tick without a result that is to be carried out: those that fall into
// a suspension have a result when they are due, and are not.
func (v view) next(s *state) int64 {
	if c := s.Claim; c != nil && c.By == "" {
		return c.Tick
	}
	next := v.schedule.Next(s.from(v.since))
	for !next.IsZero() {
		until := s.suspendedUntil(next)
		if until.IsZero() {
			break
		}
		next = v.schedule.Next(until.Add(-time.Millisecond))
	}
	return millis(next)
}

// from is the time after which ticks have no result.
func (s *state) from(since time.Time) time.Time { return timeOf(max(s.Settled, since.UnixMilli())) }

// suspension says who has suspended the schedule at some moment between two times, and why; "" if nobody has. What was
// to be carried out before that moment is not carried out after it either.
func (s *state) suspension(from, to time.Time) string {
	for _, one := range s.Suspensions {
		if one.From <= to.UnixMilli() && from.UnixMilli() < one.Until {
			return one.words()
		}
	}
	return ""
}

// canceled says who has canceled a tick before it had stops, and why; "" if nobody has.
func (s *state) canceled(tick int64) string {
	for _, one := range s.Canceled {
		if one.Tick == tick {
			return one.Why
		}
	}
	return ""
}

// suspendedUntil is until when a schedule is suspended that is so at a time; zero if it is
// not.
func (s *state) suspendedUntil(at time.Time) (until time.Time) {
	for _, one := range s.Suspensions {
		if ms := at.UnixMilli(); one.From <= ms && ms < one.Until {
			until = timeOf(one.Until)
		}
	}
	return until
}

func (s suspension) words() string {
	text := fmt.Sprintf("suspended from %s until %s by %s", timeOf(s.From).Format(time.RFC3339), timeOf(s.Until).Format(time.RFC3339), s.By)
	if s.Reason != "" {
		text += ": " + s.Reason
	}
	return text
}

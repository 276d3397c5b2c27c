package estimate

import (
	"fmt"
	"math"
	"strings"
	"time"

	"vizstop/internal/when"
)

// Deadline is how long after it is due a stop of the batch should have: twice the time that the rate needs, in whole
// minutes, within the limits of package when.
func (b *Batch) Deadline() time.Duration {
	if !b.Known {
		return when.DefaultDeadline
	}
	twice := 2 * min(b.lag(), when.MaxDeadline)
	if twice > twice.Truncate(time.Minute) {
		twice = twice.Truncate(time.Minute) + time.Minute
	}
	return min(max(twice, when.DefaultDeadline), when.MaxDeadline)
}

// Refusal is why a batch is not recorded: its last stop call would go out after its deadline.
type Refusal struct {
	batch    *Batch
	deadline string
	expire   int           // stops of the slowest project that would get no call
	others   int           // projects beside it
	better   time.Duration // a deadline that holds; 0: none does
}

// Refuse says why stops that have so long after they are due can't all get their call; nil if they can, or nobody
// knows. The error is a *Refusal. said is the deadline in the reader's own words.
func (b *Batch) Refuse(deadline time.Duration, said string) error {
	if !b.Known || b.slowest.callLag() <= deadline {
		return nil
	}
	r := &Refusal{batch: b, deadline: said, expire: b.slowest.expire(deadline), others: -1}
	for _, s := range b.shares {
		if s.callLag() > deadline {
			r.others++
		}
	}
	if better := b.Deadline(); b.slowest.callLag() <= better {
		r.better = better
	}
	return r
}

// expire is how many stops of a share get no call before their deadline. They go out in turn, each with the same delay
// on top of the one before.
func (s Share) expire(deadline time.Duration) int {
	called := math.Floor(float64(s.Stops) * float64(deadline) / float64(s.callLag()))
	return s.Stops - min(s.Stops, int(called))
}

// Error tells the figures in one line, and what to do.
func (r *Refusal) Error() string {
	var text strings.Builder
	s, rate := r.batch.slowest, r.batch.slowest.Rate
	where := ""
	if len(r.batch.shares) > 1 {
		where = " of project " + s.ProjectID
	}
	fmt.Fprintf(&text, "%s stops%s at %s a second take %s; %s would let %s expire: nothing was done\n", Count(s.Stops), where,
		perSecond(rate.Stops), Span(seconds(float64(s.Stops)/rate.Stops)), r.deadline, Count(r.expire))
	if r.others > 0 {
		fmt.Fprintf(&text, "  %s more of the batch's projects have too many stops for it\n", Count(r.others))
	}
	fmt.Fprintf(&text, "  at %s, the last stop call would go out at about %s, the last confirmation come at about %s\n",
		r.batch.pace(), r.batch.clock(r.batch.LastCall), r.batch.clock(r.batch.LastConfirmation))
	text.WriteString("  choose ")
	if r.better > 0 {
		fmt.Fprintf(&text, "a longer --deadline (without one the batch gets %s), ", Flag(r.better))
	}
	text.WriteString("a smaller batch, or a higher --api-rate of the workers if the API allows it")
	return text.String()
}

func (b *Batch) clock(t time.Time) string { return Clock(t, b.now) }

// worthSaying is how long the rate must take until it is what a person waits for: below, it is the jobs.
const worthSaying = 10 * time.Second

// Sentence tells people when the batch will be done and how long its stops have; "" if the rate does not matter, or
// is not known.
func (b *Batch) Sentence(deadline time.Duration) string {
	if !b.Known || b.lag() < worthSaying {
		return ""
	}
	return fmt.Sprintf("at %s, the last stop call goes out at about %s, the last confirmation comes at about %s; a stop expires %s after it was due",
		b.pace(), b.clock(b.LastCall), b.clock(b.LastConfirmation), Span(deadline))
}

// pace is the rate that says most about a batch.
func (b *Batch) pace() string {
	if b.mixed {
		return perSecond(b.slowest.Rate.Calls) + " calls a second in project " + b.slowest.ProjectID + ", the slowest"
	}
	return perSecond(b.slowest.Rate.Calls) + " calls a second and project"
}

// Tight says which stops of a batch that is not refused may expire all the same; "" if the rate leaves them time.
func (b *Batch) Tight(deadline time.Duration) string {
	if !b.Known || b.lag() <= deadline {
		return ""
	}
	return fmt.Sprintf("the last confirmation comes about %s after its stop was due, which has %s: a stop whose job still runs then expires",
		Span(b.lag()), Span(deadline))
}

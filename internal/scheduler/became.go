package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"vizstop/internal/ledger"
)

// Stops is how the stops of a batch stand, in all of its projects.
type Stops struct {
	Requested int                  `json:"requested"` // joined ones among them
	InFlight  map[ledger.State]int `json:"in_flight"` // every state is present
	Outcomes  map[ledger.State]int `json:"outcomes"`  // every outcome is present
	Undone    int                  `json:"undone"`    // of those with outcome stopped: "enqueue undo" has restarted their job
}

// count counts how the stops of a result stand now.
func (d *Desk) count(ctx context.Context, r *Result) error {
	if r.Batch == "" {
		return nil
	}
	books := ledger.New(d.rdb, d.fleet.Now)
	if r.Shadow {
		books = books.Shadow()
	}
	projects, err := books.BatchProjects(ctx, r.Batch)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	for _, p := range projects {
		b, readErr := books.Batch(ctx, p, r.Batch)
		switch {
		case errors.Is(readErr, ledger.ErrNotFound): // described, but without a stop
		case readErr != nil:
			err = errors.Join(err, readErr)
		case b.Total > 0:
			r.add(b)
			if !r.Shadow && b.Counts[ledger.Pending] > 0 {
				held, ok, heldErr := books.HeldBatch(ctx, p, r.Batch)
				err = errors.Join(err, heldErr)
				if ok {
					r.Waiting += held.Pending
					r.Held = held.Words
				}
			}
		}
	}
	return err
}

// add counts the stops of one project.
func (r *Result) add(b *ledger.Batch) {
	if r.Stops == nil {
		r.Stops = &Stops{InFlight: map[ledger.State]int{}, Outcomes: map[ledger.State]int{}}
	}
	s := r.Stops
	s.Requested += b.Total
	s.Undone += b.Undone
	for _, state := range ledger.InFlight() {
		s.InFlight[state] += b.Counts[state]
	}
	for _, state := range ledger.AllOutcomes() {
		s.Outcomes[state] += b.Counts[state]
	}
}

// Title is how the tick ended, and whether its batch is held, or one of shadow stops.
func (r Result) Title() string {
	switch {
	case r.Waiting > 0:
		return string(r.Outcome) + ", held"
	case r.Shadow:
		return string(r.Outcome) + " (shadow)"
	}
	return string(r.Outcome)
}

// Words says what became of the tick's stops, and why it ended as it did; "" if there is nothing to say.
func (r Result) Words() string {
	parts := []string{r.became(), r.Reason} // a table may cut off what is long
	if parts[0] == "" || parts[1] == "" {
		return parts[0] + parts[1]
	}
	return strings.Join(parts, "; ")
}

func (r Result) became() string {
	switch {
	case r.Waiting > 0:
		return fmt.Sprintf("%d stops wait for: enqueue allow %s: %s", r.Waiting, r.Batch, r.Held)
	case r.Stops == nil && r.Held != "":
		return "held when it was asked for: " + r.Held
	case r.Stops == nil:
		return ""
	}
	words := r.Stops.words(r.Shadow, !r.inPart())
	if r.inPart() {
		words += "; nothing is known any more of others"
	}
	if n := ledger.GivenUp(r.Stops.Outcomes); n > 0 && !r.Shadow {
		words += fmt.Sprintf("; %d jobs may still run, and be billed: enqueue retry %s asks again", n, r.Batch)
	}
	return words
}

// inPart reports whether the ledger has forgotten the batch in some of its projects.
func (r Result) inPart() bool { return r.Stops != nil && r.Accepted+r.Joined > r.Stops.Requested }

// words is each count, that of stopped ones also if it is 0 while others are bad. Whole says that these are all.
func (s *Stops) words(shadow, whole bool) string {
	var parts []string
	for _, state := range append(ledger.AllOutcomes(), ledger.InFlight()...) {
		n := s.Outcomes[state] + s.InFlight[state]
		plain := state == ledger.Stopped || state == ledger.WouldStop || state == ledger.Canceled
		switch {
		case whole && plain && n == s.Requested && s.Undone == 0:
			return fmt.Sprintf("all %d %s", n, state)
		case n > 0 || state == ledger.Stopped && !shadow:
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	if s.Undone > 0 {
		parts = append(parts, fmt.Sprintf("%d restarted by undo", s.Undone))
	}
	return fmt.Sprintf("%d asked for, %s", s.Requested, strings.Join(parts, ", "))
}

// Well reports whether the tick is done, and nothing is known of its stops that a person has to look at.
func (r Result) Well() bool {
	switch {
	case r.Outcome != Done || r.Waiting > 0 || r.inPart():
		return false
	case r.Stops == nil:
		return r.Held == ""
	}
	for _, state := range ledger.AllOutcomes() {
		if !state.Good() && r.Stops.Outcomes[state] > 0 {
			return false
		}
	}
	return true
}

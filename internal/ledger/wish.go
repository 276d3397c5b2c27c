package ledger

import (
	"slices"
	"strings"
	"time"
)

// MaxWishes is how many batches one stop serves at most.
const MaxWishes = 100

// Wish is what one batch wants of a stop.
type Wish struct {
	Batch    string
	Asked    time.Time
	Due      time.Time
	Deadline time.Time
	Labels   map[string]string

	Withdrawn time.Time // zero: it stands
	Why       string    // it was withdrawn, and by whom
	Late      bool      // it was withdrawn after a call may have gone out: it stands, and asks for nothing
	Undone    time.Time // zero: its batch has not undone it
	Renounced bool      // it was undone without a restart, since another batch wanted the job stopped
	Confirmed bool      // somebody has confirmed it, or no limit is for it all the same
}

// The fields of a stop's hash that hold its wishes: one of each for every batch.
const (
	wishField = "wish:"      // due, deadline and asked in ms, then labels, with a space between
	voidField = "void:"      // when and why it was withdrawn; absent while it stands
	lateField = "late:"      // why it was withdrawn after the call may have gone out; absent if it was not
	undoField = "undone:"    // when its batch has undone it; absent if it has not
	gaveField = "renounced:" // there if its batch has left the job to others as it undid it
	meant     = "meant:"     // there if it is confirmed
	// The scripts alone use "meant_from" and "meant_till", the earliest due time and the latest
	// deadline of confirmed wishes, while others ask for more than that.
)

// decodeWishes reads the wishes of a stop, in the order of their asking.
func decodeWishes(f map[string]string) []Wish {
	var wishes []Wish
	for name, value := range f {
		batch, ok := strings.CutPrefix(name, wishField)
		if !ok {
			continue
		}
		parts := append(strings.SplitN(value, " ", 4), "", "", "", "")
		w := Wish{Batch: batch, Due: timeIn(parts[0]), Deadline: timeIn(parts[1]), Asked: timeIn(parts[2]), Labels: decodeLabels(parts[3])}
		if void, ok := f[voidField+batch]; ok {
			at, why, _ := strings.Cut(void, " ")
			w.Withdrawn, w.Why = timeIn(at), why
		}
		_, w.Late = f[lateField+batch]
		w.Undone = timeIn(f[undoField+batch])
		_, w.Renounced = f[gaveField+batch]
		_, w.Confirmed = f[meant+batch]
		wishes = append(wishes, w)
	}
	slices.SortFunc(wishes, func(a, b Wish) int {
		if c := a.Asked.Compare(b.Asked); c != 0 {
			return c
		}
		return strings.Compare(a.Batch, b.Batch)
	})
	return wishes
}

func timeIn(ms string) time.Time { return timeOf(integer(ms)) }

// TimeUp reports whether all who want s stopped have had their deadline: no stop call goes out for it any more.
func (s *Stop) TimeUp(now time.Time) bool { return !now.Before(s.LastDeadline()) }

// LastDeadline is the latest deadline of all who want s stopped, whichever batch it is seen as. One that has withdrawn
// its wish too late does not want it any more; if nobody does, it is that of s.
func (s *Stop) LastDeadline() time.Time {
	var last time.Time
	for _, w := range s.Wishes {
		if w.Withdrawn.IsZero() && !w.Late && w.Deadline.After(last) {
			last = w.Deadline
		}
	}
	if last.IsZero() {
		return s.Deadline
	}
	return last
}

// standing lists the batches whose wishes have not been withdrawn.
func (s *Stop) standing() []string {
	var batches []string
	for _, w := range s.Wishes {
		if w.Withdrawn.IsZero() {
			batches = append(batches, w.Batch)
		}
	}
	return batches
}

// wish is what a batch wants of s; nil: nothing.
func (s *Stop) wish(batch string) *Wish {
	i := slices.IndexFunc(s.Wishes, func(w Wish) bool { return w.Batch == batch })
	if i < 0 {
		return nil
	}
	return &s.Wishes[i]
}

// As is the stop as one of its batches sees it: with the times and labels of that
// batch's wish, and canceled if that was withdrawn. It is s itself if it doesn't serve the batch.
func (s *Stop) As(batch string) *Stop {
	w := s.wish(batch)
	if w == nil {
		return s
	}
	seen := *s
	seen.Batch, seen.Asked, seen.Due, seen.Deadline, seen.Labels = w.Batch, w.Asked, w.Due, w.Deadline, w.Labels
	if !w.Withdrawn.IsZero() {
		seen.State, seen.Reason, seen.Ended = Canceled, w.Why, w.Withdrawn
	}
	return &seen
}

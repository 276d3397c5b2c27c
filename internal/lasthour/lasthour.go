// Package lasthour keeps what happened in the last hour, minute by minute, for the
// charts of the whole fleet. Each worker counts in memory and writes its own totals of a
// minute into a hash of that minute; a reader adds them up. What a worker has counted in
// the last seconds before it is killed is lost: metrics are for what must be exact.
package lasthour

import (
	"encoding/json"
	"strconv"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
)

const (
	// Shown is how many minutes Read returns.
	Shown = 60

	life       = 2 * time.Hour   // of a minute in Redis
	writeEvery = 5 * time.Second // at most so often, and only what has changed
	// kept is how many minutes a writer holds, the one that runs among them: what it could
	// not write for so long is dropped, and an older minute changes no more.
	kept = 5
)

// minuteKey is the hash of a minute, which is counted from the Unix epoch: what each
// worker has counted, as JSON, by the worker's id. A worker writes totals, not what has
// come since: a command that is repeated, because its answer got lost, counts nothing
// twice.
func minuteKey(minute int64) string {
	return "vizstop:{-}:minute:" + strconv.FormatInt(minute, 10)
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// Minute is what the fleet has done in one minute.
type Minute struct {
	Start    time.Time            // by the fleet's time; zero for a sum
	Outcomes map[ledger.State]int // stops that ended, by outcome; those without are not there
	Shadows  map[ledger.State]int // shadow stops that ended, likewise
	Lag      Lag                  // of the stops that ended as stopped: from due to confirmed
	Calls    map[string]Calls     // API calls by operation, one of jobs.Operations
}

// Calls are API calls by how they ended. Those that we gave up ourselves are in none.
type Calls struct {
	Good      int // the API answered: it did what was asked, or said what is wrong with this job
	Bad       int // refused for everything, an error of the API's, or no answer
	Throttled int // 429
}

// add adds other to c.
func (c Calls) add(other Calls) Calls {
	return Calls{c.Good + other.Good, c.Bad + other.Bad, c.Throttled + other.Throttled}
}

// how counts a call that ended with a kind of failure, by its name.
func how(result string) Calls {
	switch result {
	case jobs.KindThrottled.String():
		return Calls{Throttled: 1}
	case jobs.KindOK.String(), jobs.KindNotFound.String(), jobs.KindNotAllowed.String(), jobs.KindInvalid.String():
		return Calls{Good: 1}
	case jobs.KindCanceled.String():
		return Calls{}
	}
	return Calls{Bad: 1}
}

// Sum adds minutes up.
func Sum(minutes ...Minute) Minute {
	sum := newMinute()
	for _, m := range minutes {
		sum.add(m)
	}
	return sum
}

func newMinute() Minute {
	return Minute{Outcomes: map[ledger.State]int{}, Shadows: map[ledger.State]int{}, Calls: map[string]Calls{}}
}

func (m *Minute) add(other Minute) {
	for outcome, n := range other.Outcomes {
		m.Outcomes[outcome] += n
	}
	for outcome, n := range other.Shadows {
		m.Shadows[outcome] += n
	}
	for operation, n := range other.Calls {
		m.Calls[operation] = m.Calls[operation].add(n)
	}
	m.Lag.add(other.Lag)
}

// written is what one worker has counted in a minute, as it stands in Redis.
type written struct {
	Outcomes map[ledger.State]int `json:"o,omitempty"`
	Shadows  map[ledger.State]int `json:"s,omitempty"`
	Lag      map[int]int          `json:"q,omitempty"` // by bucket
	Longest  int64                `json:"m,omitempty"` // of the lags, in ms
	// Doubled is the lags of a worker that tells no longest one: it has fewer buckets, each
	// double the one before.
	Doubled map[int]int       `json:"l,omitempty"`
	Calls   map[string][3]int `json:"c,omitempty"` // good, bad, throttled
}

func (m *Minute) encode() string {
	w := written{Outcomes: m.Outcomes, Shadows: m.Shadows, Lag: map[int]int{}, Calls: map[string][3]int{}}
	w.Longest = m.Lag.longest.Milliseconds()
	for i, n := range m.Lag.buckets {
		if n > 0 {
			w.Lag[i] = n
		}
	}
	for operation, n := range m.Calls {
		w.Calls[operation] = [3]int{n.Good, n.Bad, n.Throttled}
	}
	b, err := json.Marshal(w)
	if err != nil {
		panic("lasthour: " + err.Error()) // strings and numbers always encode
	}
	return string(b)
}

// mostWritten bounds what is read as the counts of one worker, in bytes; those that a
// worker writes have a few hundred.
const mostWritten = 8 << 10

// decode reads what encode wrote. Anything else counts nothing, as does what this
// version does not know.
func decode(text string) Minute {
	var w written
	m := newMinute()
	if len(text) > mostWritten || json.Unmarshal([]byte(text), &w) != nil {
		return m
	}
	for _, of := range []struct {
		from, to map[ledger.State]int
		known    []ledger.State
	}{{w.Outcomes, m.Outcomes, ledger.Outcomes()}, {w.Shadows, m.Shadows, ledger.ShadowOutcomes()}} {
		for _, outcome := range of.known {
			if n := of.from[outcome]; n > 0 {
				of.to[outcome] = n
			}
		}
	}
	for _, operation := range jobs.Operations() {
		if n, ok := w.Calls[operation]; ok {
			m.Calls[operation] = Calls{max(0, n[0]), max(0, n[1]), max(0, n[2])}
		}
	}
	for i := range m.Lag.buckets {
		m.Lag.buckets[i] = max(0, w.Lag[i])
	}
	for i := range doubledBounds {
		m.Lag.buckets[min(i*perDoubling, bounds)] += max(0, w.Doubled[i])
	}
	m.Lag.longest = m.Lag.atMost(time.Duration(max(0, w.Longest)) * time.Millisecond)
	return m
}

// doubledBounds is how many buckets of written.Doubled there are.
const doubledBounds = 16

// atMost is the longest time: what is known, or the bound of the highest bucket, if that has
// times that are longer than what is known.
func (l Lag) atMost(known time.Duration) time.Duration {
	for i := bounds; i >= 0; i-- {
		switch {
		case l.buckets[i] == 0:
		case i > 0 && known <= LagBound(i-1) || known == 0:
			return LagBound(min(i, bounds-1))
		default:
			return known
		}
	}
	return 0
}

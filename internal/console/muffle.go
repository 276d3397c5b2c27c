package console

import (
	"log/slog"
	"sync"
	"time"
)

// muffle decides which refusals of those who are not known are logged one by one: those of a network up to its
// share. The others are counted in one line a minute. It is safe for concurrent use.
type muffle struct {
	log   *slog.Logger
	every time.Duration
	from  *guesses

	mu     sync.Mutex
	missed int    // since the last line
	last   string // where one of them came from
}

func newMuffle(log *slog.Logger) *muffle {
	return &muffle{log: log, every: time.Minute, from: newGuesses()}
}

// passes reports whether a refusal is logged by itself. If not, it is counted.
func (m *muffle) passes(remote, address string, now time.Time) bool {
	if m.from.count(remote, now) == 0 {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.missed == 0 {
		time.AfterFunc(m.every, m.tell)
	}
	m.missed++
	m.last = address
	return false
}

func (m *muffle) tell() {
	m.mu.Lock()
	missed, last := m.missed, m.last
	m.missed = 0
	m.mu.Unlock()
	m.log.Info("requests of nobody known were refused, besides those logged one by one", "requests", missed, "from", last)
}

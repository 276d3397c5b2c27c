package httpapi

import (
	"fmt"
	"io"
	"sync"
	"time"

	"vizstop/internal/console/problem"
)

const (
	// mostSpooled is how many bytes the lists of all requests at work may have together, and ownSpooled those of
	// one principal.
	mostSpooled = 4 * maxList
	ownSpooled  = 2 * maxList
	// mostHeld is the same of JSON bodies, which are in memory, and ownHeld of one principal's.
	mostHeld = 32 * maxJSON
	ownHeld  = 8 * maxJSON
)

// budget is how much bodies take of the disk, or of memory. It is safe for concurrent use.
type budget struct {
	most, mostOwn int64 // bytes of all, and of one principal

	mu  sync.Mutex
	all int64
	own map[string]int64 // by principal
}

// share is what one request has of it.
type share struct {
	*budget
	of   string
	used int64
}

// reader counts what is read for a principal; the error is a *problem.Problem when there is no room for it. Free
// gives it back.
func (b *budget) reader(principal string, r io.Reader) (counted io.Reader, free func()) {
	s := &share{budget: b, of: principal}
	return io.TeeReader(r, s), s.free
}

// Write takes room for as much as was read.
func (s *share) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := int64(len(p))
	if s.all+n > s.most || s.own[s.of]+n > s.mostOwn {
		return 0, &problem.Problem{Type: problem.TooManyRequests, RetryAfter: 10 * time.Second, Detail: fmt.Sprintf(
			"Bodies of this kind of more than %d MiB of one principal, or %d MiB of all, are at work, and nothing was recorded. Repeat it when others have ended.", s.mostOwn>>20, s.most>>20)}
	}
	if s.own == nil {
		s.own = map[string]int64{}
	}
	s.all, s.own[s.of], s.used = s.all+n, s.own[s.of]+n, s.used+n
	return len(p), nil
}

func (s *share) free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used == 0 { // maybe nobody has read anything yet, and there is no map
		return
	}
	s.all -= s.used
	if s.own[s.of] -= s.used; s.own[s.of] <= 0 {
		delete(s.own, s.of)
	}
	s.used = 0
}

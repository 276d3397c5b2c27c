package notify

import "sync"

const (
	deliveries = 32 // under way at once
	perHost    = 2  // of them to one host
)

// lanes bounds the deliveries that are under way. The zero value is ready for use.
type lanes struct {
	mu   sync.Mutex
	all  int
	each map[string]int // by host; none is 0
}

// take reports whether a delivery to a host may begin now. If so, it must be freed.
func (l *lanes) take(host string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == deliveries || l.each[host] == perHost {
		return false
	}
	if l.each == nil {
		l.each = make(map[string]int)
	}
	l.all++
	l.each[host]++
	return true
}

func (l *lanes) free(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.each[host]--; l.each[host] == 0 {
		delete(l.each, host)
	}
}

package console

import (
	"cmp"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"vizstop/internal/console/problem"
)

// bucket is a number of tokens that grows with time up to a most. A zero bucket is full.
type bucket struct {
	used float64   // tokens that are missing
	at   time.Time // when that was so
}

// take takes a token, or says how long it is until there is one.
func (b *bucket) take(now time.Time, perSecond, most float64) (wait time.Duration) {
	b.settle(now, perSecond)
	if b.used+1 > most {
		return time.Duration((b.used + 1 - most) / perSecond * float64(time.Second))
	}
	b.used++
	return 0
}

func (b *bucket) settle(now time.Time, perSecond float64) {
	b.used = max(0, b.used-max(0, now.Sub(b.at).Seconds())*perSecond)
	b.at = now
}

// maxWaiting is how many requests of a principal may wait for something at once.
const maxWaiting = 100

// limits are what one principal, and all together, may ask at once and in a second. They are safe for concurrent use.
type limits struct {
	rate       float64
	whole, one int // requests at work

	mu     sync.Mutex
	atWork int
	usage  map[string]*usage // by principal; there are as many as the file has had
}

type usage struct {
	bucket
	atWork, waiting int
}

func newLimits(rate, inFlight int) *limits {
	whole := cmp.Or(inFlight, DefaultInFlight)
	return &limits{rate: float64(cmp.Or(rate, DefaultRate)), whole: whole, one: (whole + 3) / 4, usage: map[string]*usage{}}
}

// take lets a principal have one more request at work, one that waits or not, until free is called; free is never nil.
func (l *limits) take(principal string, waits bool, now time.Time) (free func(), refusal *problem.Problem) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.usage[principal]
	if u == nil {
		u = &usage{}
		l.usage[principal] = u
	}
	if refusal := l.refuse(principal, u, waits, now); refusal != nil {
		return func() {}, refusal
	}
	l.count(u, waits, 1)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.count(u, waits, -1)
	}, nil
}

func (l *limits) count(u *usage, waits bool, n int) {
	l.atWork += n
	u.atWork += n
	if waits {
		u.waiting += n
	}
}

func (l *limits) refuse(principal string, u *usage, waits bool, now time.Time) *problem.Problem {
	switch {
	case u.atWork >= l.one:
		return &problem.Problem{Type: problem.TooManyRequests, RetryAfter: time.Second,
			Detail: fmt.Sprintf("%s has %d requests at work, which is as many as a principal may have. Wait for some to end.", principal, u.atWork)}
	case waits && u.waiting >= maxWaiting:
		return &problem.Problem{Type: problem.TooManyRequests, RetryAfter: time.Second,
			Detail: fmt.Sprintf("%s has %d requests that wait, which is as many as a principal may have. Wait for fewer at once, or ask without waiting.",
				principal, u.waiting)}
	}
	if wait := u.bucket.take(now, l.rate, 2*l.rate); wait > 0 {
		return &problem.Problem{Type: problem.TooManyRequests, RetryAfter: wait,
			Detail: fmt.Sprintf("%s sends more than %g requests a second, which is as many as a principal may send (--request-rate). Put more into one, or send them more slowly.",
				principal, l.rate)}
	}
	if l.atWork >= l.whole {
		return &problem.Problem{Type: problem.Overloaded, RetryAfter: time.Second,
			Detail: "As many requests are at work as the console takes at once. Try again."}
	}
	return nil
}

// all is how many requests of principals are at work.
func (l *limits) all() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.atWork
}

// How many requests of those who are not known may be at work at once.
const (
	maxStrangers    = 256
	maxOfOneNetwork = 32
)

// strangers counts the requests at work of those who are not known. It is safe for concurrent use.
type strangers struct {
	mu     sync.Mutex
	atWork int
	from   map[netip.Prefix]int
}

func newStrangers() *strangers { return &strangers{from: map[netip.Prefix]int{}} }

// take lets an address have one more request at work, until free is called; free is never nil.
func (s *strangers) take(remote string) (free func(), refusal *problem.Problem) {
	from := network(remote)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.atWork >= maxStrangers || s.from[from] >= maxOfOneNetwork {
		return func() {}, &problem.Problem{Type: problem.Overloaded, RetryAfter: time.Second,
			Detail: "As many requests without a token are at work as the console takes at once. Try again, or send a token."}
	}
	s.atWork++
	s.from[from]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.atWork--
		if s.from[from]--; s.from[from] == 0 {
			delete(s.from, from)
		}
	}, nil
}

// How many wrong tokens an address may send before it has to wait. Nobody guesses a token; it costs the console less to
// say so.
const (
	guessBurst     = 10
	guessesASecond = 0.5
	maxGuessers    = 4096 // addresses that are remembered
)

// guesses counts wrong tokens by the network that they came from. It is safe for concurrent use.
type guesses struct {
	mu   sync.Mutex
	from map[netip.Prefix]*bucket
}

func newGuesses() *guesses { return &guesses{from: map[netip.Prefix]*bucket{}} }

// count notes a wrong token. It returns how long the address has to wait before it may send another one; 0: not at all.
func (g *guesses) count(remote string, now time.Time) (wait time.Duration) {
	from := network(remote)
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.from[from]
	if b == nil {
		if len(g.from) >= maxGuessers {
			g.forget(now)
		}
		b = &bucket{}
		g.from[from] = b
	}
	return b.take(now, guessesASecond, guessBurst)
}

// forget makes room for a quarter, so that going through all is seldom: those who have waited long enough go, or else
// anyone.
func (g *guesses) forget(now time.Time) {
	for from, b := range g.from {
		if b.settle(now, guessesASecond); b.used == 0 {
			delete(g.from, from)
		}
	}
	for from := range g.from {
		if len(g.from) <= maxGuessers/4*3 {
			return
		}
		delete(g.from, from)
	}
}

// network is an IPv4 address, or the /64 of an IPv6 address: one machine has all of it.
func network(remote string) netip.Prefix {
	ip := addressOf(remote)
	if !ip.IsValid() {
		return netip.Prefix{}
	}
	prefix, err := ip.Prefix(min(64, ip.BitLen()))
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

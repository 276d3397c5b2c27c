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

// limits are what one principal, and all together, may ask at once and in a second.
type limits struct {
	rate       float64
	whole, one int // requests at work

	mu    *sync.Mutex
	usage map[string]*usage // by principal; there are as many as the file has had
}

type usage struct {
	bucket
	atWork int
}

func newLimits(rate, inFlight int) limits {
	whole := cmp.Or(inFlight, DefaultInFlight)
	return limits{rate: float64(cmp.Or(rate, DefaultRate)), whole: whole, one: (whole + 1) / 2, mu: new(sync.Mutex), usage: map[string]*usage{}}
}

// take lets a principal have one more request at work, until free is called; free is never nil.
func (l *limits) take(principal string, now time.Time) (free func(), refusal *problem.Problem) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.usage[principal]
	if u == nil {
		u = &usage{}
		l.usage[principal] = u
	}
	if u.atWork >= l.one {
		return func() {}, &problem.Problem{Type: problem.TooManyRequests, RetryAfter: time.Second,
			Detail: fmt.Sprintf("%s has %d requests at work, which is as many as a principal may have. Wait for some to end.", principal, u.atWork)}
	}
	if wait := u.bucket.take(now, l.rate, 2*l.rate); wait > 0 {
		return func() {}, &problem.Problem{Type: problem.TooManyRequests, RetryAfter: wait,
			Detail: fmt.Sprintf("%s sends more than %g requests a second, which is as many as a principal may send (--request-rate). Put more into one, or send them more slowly.",
				principal, l.rate)}
	}
	u.atWork++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		u.atWork--
	}, nil
}

// How many wrong tokens an address may send before it has to wait. Nobody guesses a token; this keeps whoever tries from
// filling the log.
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

// Package throttle answers one question for every worker of a fleet: may this
// call to the API go out now? The answer lives in Redis, so that the fleet as a
// whole keeps to one rate per project, rests together when the API says 429,
// and stands still together when calling on would do harm.
//
// Whoever has to wait gets a place in line, comes back then, and then goes: once,
// not again and again. There are three reasons to wait. The bucket of a project
// is busy. A 429 has parked the project: for as long as the API asked, and then its
// rate is lower for a while (scripts/rate.lua). Or a scope is halted (see Halt): a
// single probe at a time goes through, until one succeeds, and then the rate grows
// from a tenth.
//
// Stops outrank screens, and screens outrank polls. Stops only wait for each
// other: what they take is charged to the others. While stops stand in line, screens
// and polls are sure of a fifth of the rate, so that what was stopped is confirmed.
package throttle

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Class says who goes first.
type Class string

// The classes of call, the most urgent first.
const (
	Stop   Class = "stop"
	Screen Class = "screen" // one call of the list endpoint that spares many polls
	Poll   Class = "poll"
)

// Reason is why a call has to wait: a closed set, fit for a metric label.
type Reason string

// The reasons to wait.
const (
	Rate        Reason = "rate"        // the fleet's own rate for the project
	Throttled   Reason = "throttled"   // the API answered 429
	Credentials Reason = "credentials" // halt: the API refuses who we are
	Permission  Reason = "permission"  // halt: the API refuses what we do, in one project
	NoAPI       Reason = "no_api"      // halt: the endpoint does not offer the API
	Outage      Reason = "outage"      // halt: the API does not answer, or only with errors
	Paused      Reason = "paused"      // somebody has pulled the emergency brake; stops only
)

// Parks lists the reasons that a project or the fleet is parked or halted for.
func Parks() []Reason { return append([]Reason{Throttled}, HaltReasons()...) }

// HaltReasons lists the reasons that a halt can have.
func HaltReasons() []Reason { return []Reason{Credentials, Permission, NoAPI, Outage} }

// Config settles a Throttle. The zero value is usable and limits nothing but
// what the API itself refuses.
type Config struct {
	Rate  float64 // calls per second and project, for the whole fleet; 0 or less: no limit
	Burst int     // stops that may go out at once after a rest, and half as many polls; 0 means a tenth of Rate, at least 1

	// Sitters is how many calls of this process may sit out a wait of up to a second
	// inside of Enter; polls and screens get half of it. It smooths what comes back at whole
	// seconds, at the price of a goroutine each. 0 means any number, less than 0 none.
	Sitters int

	// FirstProbe is how long after a halt the first probe goes out, by reason; each failed
	// probe doubles the wait, up to LongestProbe. Zero values mean the defaults:
	// outage 2 s up to 60 s, all others 15 s up to 5 min, the time for which an
	// access key stays locked.
	FirstProbe, LongestProbe time.Duration

	Observer Observer // nil: nobody
}

// Observer is told what the throttle does. Its methods must be safe for
// concurrent use.
type Observer interface {
	ThrottleWaited(d time.Duration) // one answer: how long the caller has to wait, often 0
	ThrottleParked(reason string)   // a project or the fleet was parked or halted, and was not before
}

// Throttle is safe for concurrent use.
type Throttle struct {
	rdb redis.UniversalClient
	cfg Config

	sitters sitters
	held    atomic.Bool  // the fleet was held back when last asked
	thawed  atomic.Int64 // when the fleet's last halt was lifted: microseconds of Redis' clock

	mu    sync.Mutex
	fails map[string]int // project id: failures in a row, seen by this process
}

// New returns a throttle in the Redis behind rdb, which stays the caller's to
// close. All workers on one Redis must use the same rate.
func New(rdb redis.UniversalClient, cfg Config) *Throttle {
	if cfg.Burst <= 0 {
		cfg.Burst = max(1, int(cfg.Rate/10))
	}
	return &Throttle{rdb: rdb, cfg: cfg, sitters: sitters{most: cfg.Sitters}, fails: make(map[string]int)}
}

// Permit is the right to make one call. Its holder must Report the result.
type Permit struct {
	projectID string
	probe     string // the halt that this call probes; "" for an ordinary call
	at        int64  // when it was given: microseconds of Redis' clock
}

// Probe reports whether the call goes out in spite of a halt, to see whether
// the halt's cause is gone. Its failure says nothing about the job.
func (p Permit) Probe() bool { return p.probe != "" }

// Wait says that a call may not go out yet. The zero value means that it may.
type Wait struct {
	For    time.Duration
	Reason Reason
	Detail string // of a halt: the API's words
	Place  bool   // a place in line was taken: come back then, and say so

	sit bool // to sit out here: the call is charged
}

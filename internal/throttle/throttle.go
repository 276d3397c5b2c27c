// Package throttle answers one question for every worker of a fleet: may this
// call to the API go out now? The answer lives in Redis, so that the fleet as a
// whole keeps to one rate per project, rests together when the API says 429,
// and stands still together when calling on would do harm.
//
// There are three ways to be told to wait. A busy bucket gives each caller a
// place in line, so that it comes back once and not again and again. A parked
// project waits for as long as the API asked. A halted scope (see Halt) lets a
// single probe through at a time, until one succeeds.
package throttle

import (
	"context"
	"embed"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Class says who goes first: stops outrank polls.
type Class string

// The classes of call.
const (
	Stop Class = "stop"
	Poll Class = "poll"

	Screen Class = "screen" // a list call that serves many polls
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
	Burst int     // calls that may go out at once after a rest; 0 means a tenth of Rate, at least 1

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

	mu    sync.Mutex
	fails map[string]int // project id: failures in a row, seen by this process
}

// New returns a throttle in the Redis behind rdb, which stays the caller's to
// close. All workers on one Redis must use the same rate.
func New(rdb redis.UniversalClient, cfg Config) *Throttle {
	if cfg.Burst <= 0 {
		cfg.Burst = max(1, int(cfg.Rate/10))
	}
	return &Throttle{rdb: rdb, cfg: cfg, fails: make(map[string]int)}
}

//go:embed scripts/*.lua
var scriptFiles embed.FS

var (
	takeScript   = loadScript("take")
	parkScript   = loadScript("park")
	haltScript   = loadScript("halt")
	probeScript  = loadScript("probe")
	hastenScript = loadScript("hasten")
)

func loadScript(name string) *redis.Script {
	src, err := scriptFiles.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic("throttle: script not embedded: " + name) // a build without its files
	}
	return redis.NewScript(string(src))
}

// fleet stands for all projects where a project id is expected. It is not a
// valid id, so no project can be mistaken for it.
const fleet = "-"

func bucketKey(projectID string) string { return "vizstop:{" + projectID + "}:throttle" }
func haltKey(projectID string) string   { return "vizstop:{" + projectID + "}:halt" }
func pauseKey(projectID string) string  { return "vizstop:{" + projectID + "}:pause" }

// Permit is the right to make one call. Its holder must Report the result.
type Permit struct {
	projectID string
	probe     string // the halt that this call probes; "" for an ordinary call
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
}

// Enter asks for leave to call. Leave is given when the returned Wait is zero.
// back says that the caller comes back to a place in line. A wait of less than
// a second for the bucket is sat out here, within ctx.
func (t *Throttle) Enter(ctx context.Context, projectID string, class Class, back bool) (Permit, Wait, error) {
	var waited time.Duration
	for {
		permit, wait, err := t.ask(ctx, projectID, class, back)
		if err != nil {
			return Permit{}, Wait{}, err
		}
		if wait.Reason != Rate || waited+wait.For > time.Second {
			t.observeWait(waited + wait.For)
			return permit, wait, nil
		}
		waited += wait.For
		back = true
		timer := time.NewTimer(wait.For)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return Permit{}, Wait{}, ctx.Err()
		}
	}
}

func (t *Throttle) ask(ctx context.Context, projectID string, class Class, back bool) (Permit, Wait, error) {
	permit, wait, err := t.askFleet(ctx, projectID, class)
	if err != nil || permit.Probe() || wait.For > 0 {
		return permit, wait, err
	}
	answer, err := takeScript.Run(ctx, t.rdb, []string{bucketKey(projectID), haltKey(projectID), pauseKey(projectID)},
		t.cfg.Rate, t.cfg.Burst, string(class), flag(back)).Slice()
	if err != nil {
		return Permit{}, Wait{}, fmt.Errorf("ask for leave to call: %w", err)
	}
	wait = Wait{For: time.Duration(answer[1].(int64)) * time.Microsecond}
	switch answer[0].(string) {
	case "go":
		return Permit{projectID: projectID}, Wait{}, nil
	case "paused":
		return t.paused(ctx, projectID)
	case "halted":
		permit, wait, err := t.tryProbe(ctx, projectID, haltKey(projectID))
		if err == nil && !permit.Probe() && wait.For == 0 {
			wait = Wait{For: time.Second, Reason: Rate} // just cleared: in line with the others
		}
		return permit, wait, err
	case "parked":
		return Permit{}, Wait{For: spread(wait.For, time.Second), Reason: Throttled}, nil
	default: // soon, line
		return Permit{}, Wait{For: wait.For, Reason: Rate, Place: true}, nil
	}
}

// askFleet asks for what the fleet as a whole has to say against a call.
func (t *Throttle) askFleet(ctx context.Context, projectID string, class Class) (Permit, Wait, error) {
	n, err := t.rdb.Exists(ctx, haltKey(fleet), pauseKey(fleet)).Result()
	if err != nil {
		return Permit{}, Wait{}, fmt.Errorf("ask for leave to call: %w", err)
	}
	if n == 0 {
		return Permit{}, Wait{}, nil
	}
	if class == Stop {
		if permit, wait, err := t.paused(ctx, fleet); err != nil || wait.For > 0 {
			return permit, wait, err
		}
	}
	return t.tryProbe(ctx, projectID, haltKey(fleet))
}

// probeLife is how long a probe may take before another may go.
const probeLife = time.Minute

func (t *Throttle) tryProbe(ctx context.Context, projectID, key string) (Permit, Wait, error) {
	answer, err := probeScript.Run(ctx, t.rdb, []string{key}, probeLife.Milliseconds()).Slice()
	if err != nil {
		return Permit{}, Wait{}, fmt.Errorf("ask for leave to probe: %w", err)
	}
	left := time.Duration(answer[1].(int64)) * time.Millisecond
	wait := Wait{Reason: Reason(answer[2].(string)), Detail: answer[3].(string)}
	switch answer[0].(string) {
	case "clear":
		return Permit{}, Wait{}, nil
	case "probe":
		return Permit{projectID: projectID, probe: key}, Wait{}, nil
	case "probing": // its answer will be here soon
		wait.For = spread(min(left, 2*time.Second), 2*time.Second)
	default:
		wait.For = spread(left, max(time.Second, left/10))
	}
	return Permit{}, wait, nil
}

// spread adds up to more, at random, so that those who wait for the same thing
// don't all come at once.
func spread(d, more time.Duration) time.Duration {
	return d + rand.N(more) + time.Millisecond
}

func (t *Throttle) observeWait(d time.Duration) {
	if t.cfg.Observer != nil {
		t.cfg.Observer.ThrottleWaited(d)
	}
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

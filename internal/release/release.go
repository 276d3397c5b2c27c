// Package release decides which steps of stops may go out now, for the whole
// fleet. The ledger knows when each stop's next step is due; here the steps that
// are due are released, as far as the rate, the room among the workers and
// whatever holds calls back allow it, and the workers that carry them claim them.
//
// All state is in Redis. A round is one script for one project, so any worker
// may make it; two at once harm nothing.
package release

import (
	"context"
	"embed"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/luascript"
)

// Config settles a Releaser. The zero value is usable and limits nothing but what
// the API itself refuses.
type Config struct {
	Rate  float64 // calls per second and project, for the whole fleet; 0 or less: no limit
	Burst int     // stop calls that may go out at once after a rest; 0 means a tenth of Rate, at least 1
	// RateNow takes the place of Rate and Burst where the rate is what others have announced.
	// It is asked often, from any goroutine. nil: Rate is.
	RateNow func() float64

	// Serving is what serves a project. It is asked often, from any goroutine, and may
	// change its answer. nil: the zero Serving, for every project.
	Serving func(projectID string) Serving

	// CallTimeout is how long a call may take: so long a probe has. 0 means 30 s.
	CallTimeout time.Duration
	// FirstProbe is how long after a hold its first probe goes out, by default 1.5 s
	// where the API does not answer and 15 s otherwise, the time for which an access
	// key may stay locked. Each failed probe doubles the wait, up to LongestProbe,
	// by default 1.5 s and 2 min.
	FirstProbe, LongestProbe time.Duration
	// CredentialProbe is how long after a refusal of a credential itself it is tried
	// again: default 2 min. More than five refused calls in a row lock an access key for
	// five minutes, and three calls may be under way before it is held.
	CredentialProbe time.Duration

	// Window is the window limit: how many stop calls that nobody confirmed a project may
	// get in any 60 minutes. It is asked often, from any goroutine. 0 or less: any
	// number. nil: the default of package limits.
	Window func() int

	Observer Observer // nil: nobody
}

// Observer is told what holds calls back. Its methods must be safe for
// concurrent use.
type Observer interface {
	HoldBegan(Began) // calls of a project or of a credential are held, and were not before
}

// Began is a hold that began.
type Began struct {
	Reason    Reason
	ProjectID string
	Batch     string // that a limit holds; "": it is of the project or of its credential
	Detail    string // what was met, such as an error; "": the reason says all
}

func (c Config) withDefaults() Config {
	if c.Rate < 0 {
		c.Rate = 0
	}
	if c.Burst <= 0 {
		c.Burst = burstOf(c.Rate)
	}
	if c.CallTimeout <= 0 {
		c.CallTimeout = 30 * time.Second
	}
	if c.CredentialProbe <= 0 {
		c.CredentialProbe = 2 * time.Minute
	}
	return c
}

// Releaser releases and claims steps, and knows what holds them back. It is safe for concurrent use.
type Releaser struct {
	*base
	*Rounds // of real stops
	*rateLimit
	*fleetHolds
	*holdReader
	*reporter
	*claimer
	*listNotes
}

// base is what the parts of a Releaser work with.
type base struct {
	rdb redis.UniversalClient
	now func() time.Time // the fleet's time
	cfg Config
}

// New returns a releaser for the worker of that id in the Redis behind rdb, which
// stays the caller's to close. now is the fleet's time. All workers on one Redis
// must use the same rate.
func New(rdb redis.UniversalClient, worker string, now func() time.Time, cfg Config) *Releaser {
	b := &base{rdb: rdb, now: now, cfg: cfg.withDefaults()}
	rounds := &Rounds{base: b, key: roundsKey}
	fleet := &fleetHolds{base: b, rounds: rounds}
	return &Releaser{
		base: b, Rounds: rounds, rateLimit: &rateLimit{b}, fleetHolds: fleet, holdReader: &holdReader{b},
		reporter: &reporter{base: b, fleetHolds: fleet}, claimer: newClaimer(b, fleet, worker), listNotes: &listNotes{b},
	}
}

// Now is the fleet's time.
func (b *base) Now() time.Time { return b.now() }

//go:embed scripts/*.lua
var scripts embed.FS

var (
	roundsScript    = luascript.Load(scripts, "line", "rounds")
	announceScript  = luascript.Load(scripts, "announce")
	releaseScript   = luascript.Load(scripts, "rate", "turn", "window", "fewest", "round", "release", "settle", "next")
	allowScript     = luascript.Load(scripts, "window", "allow")
	claimScript     = luascript.Load(scripts, "rate", "turn", "window", "lane", "keep", "present", "admit", "back", "claim")
	takeScript      = luascript.Load(scripts, "gather", "rate", "take")
	recoverScript   = luascript.Load(scripts, "back", "recover")
	throttledScript = luascript.Load(scripts, "rate", "throttled")
	failedScript    = luascript.Load(scripts, "failed")
	answeredScript  = luascript.Load(scripts, "answered")
	listedScript    = luascript.Load(scripts, "rate", "listed")
	listingScript   = luascript.Load(scripts, "listing")
	lateScript      = luascript.Load(scripts, "lane", "late")
	probeScript     = luascript.Load(scripts, "probe")
	spendScript     = luascript.Load(scripts, "rate", "spend")
	oweScript       = luascript.Load(scripts, "rate", "owe")
	ratesScript     = luascript.Load(scripts, "rate", "rates")

	shadowScript      = luascript.Load(scripts, "rate", "shadow")
	shadowClaimScript = luascript.Load(scripts, "rate", "turn", "shadowclaim")
)

// The keys that belong to no project, all in one slot of a Redis Cluster.
const (
	roundsKey    = "vizstop:{-}:rounds"   // sorted set: project by when its next round is due; those with work only
	fleetKey     = "vizstop:{-}:control"  // hash: what holds the whole fleet back, as the control hash of a project
	accountKeys  = "vizstop:{-}:account:" // and the name of an account; hash: what holds its credential back, likewise
	troubledKey  = "vizstop:{-}:accounts" // set of accounts whose credential was refused since it was accepted
	heldKey      = "vizstop:{-}:held"     // set of projects that something may hold back
	announcedKey = "vizstop:{-}:rate"     // string: the rate that workers keep to, for producers
)

// Need is what a round has to know besides what is in Redis.
type Need struct {
	Room      int           // steps of the project that may be released or at work
	Most      int           // steps that are released at once
	Inline    int           // watched jobs that this worker can look at
	Backlog   int           // the list is checked if no more jobs that it has missed than this wait for a look; less than 0: never
	ListFrom  int           // least number of watched jobs for a list check; 0 or less: never
	Unlisted  time.Duration // after how long a watched job is looked at that list checks have not shown
	Unwatched time.Duration // the same where there is no list check
	Silence   time.Duration // for how long a step at work may be silent
	Rest      time.Duration // after how long a project without room has its next round; at least 25 ms
	Busy      bool          // this worker makes as many looks as it can, of all projects
}

// releasedAtOnce bounds what one script touches.
const releasedAtOnce = 250

// Round is what one round has released, and what else there is to do.
type Round struct {
	Next  time.Duration // when the next round is due; less than 0: nothing is left to do
	Lack  Lack          // what it waits for besides
	Wait  int           // how many steps and looks wait; 0 if Lack is
	List  *ListState    // the list is to be checked, by ListChecked; nil: not now
	Probe bool          // a probe is to be made of no stop: any call of the project
	Count bool          // stops ended outside of a worker, and are to be counted
	Ill   bool          // calls of the project have failed lately: a success is worth a report

	Stops, Polls []ledger.Member // released: they are to get their tasks
	Left         []Sighting      // watched jobs to look at
	Late         []string        // ids of stops whose time is up
	Silent       []ledger.Member // released steps that have been silent for long

	Elsewhere string // the endpoint of the project's stops in flight, if this worker calls another; else ""
}

// Given is how many steps and looks the round has given out.
func (r Round) Given() int { return len(r.Stops) + len(r.Polls) + len(r.Left) }

// Sighting is a watched job and when a list has shown it last.
type Sighting struct {
	JobID  string
	Seen   time.Time // zero: no list has, since it is watched
	Missed time.Time // when a list was read that did not show it; zero: none
	Again  bool      // it was found so before, and not looked at
}

// probeTime is how long the probe of a hold may take.
func (b *base) probeTime() time.Duration { return b.cfg.CallTimeout + 5*time.Second }

// Round makes a round of one project.
func (r *Releaser) Round(ctx context.Context, projectID string, need Need) (Round, error) {
	k := ledger.Keys(projectID)
	keys := []string{k.Control(), k.Small(), k.Large(), k.Look(), k.Released(), k.Watched(), k.Latest(), k.Uncounted(), k.Limited(), k.Limits(), k.Window()}
	rate, burst := r.rate(projectID)
	answer, err := releaseScript.Run(ctx, r.rdb, keys, r.now().UnixMilli(), need.Room, rate, burst,
		need.Unlisted.Milliseconds(), need.Unwatched.Milliseconds(), max(0, need.ListFrom), min(need.Inline, releasedAtOnce), r.holds(projectID),
		need.Silence.Milliseconds(), r.probeTime().Milliseconds(), min(need.Most, releasedAtOnce), r.Endpoint(projectID), r.window(),
		need.Backlog, listLease.Milliseconds(), max(25, need.Rest.Milliseconds()), need.Busy,
		lackLongest.Milliseconds()).Slice()
	if err != nil {
		return Round{}, fmt.Errorf("release steps of project %s: %w", projectID, err)
	}
	number := func(i int) int64 { return answer[i].(int64) }
	round := Round{
		Next: time.Duration(number(0)) * time.Millisecond, List: listState(answer[1].([]any)), Probe: number(2) == 1, Count: number(3) == 1, Ill: number(9) == 1,
		Stops: members(answer[4]), Polls: members(answer[5]), Late: texts(answer[7]), Silent: members(answer[8]),
		Elsewhere: answer[11].(string), Lack: Lack(number(13)), Wait: int(number(14)),
	}
	if news := answer[12].(string); news != "" {
		if err := r.limitsHold(ctx, projectID, strings.Fields(news)); err != nil {
			return round, err
		}
	}
	left := texts(answer[6])
	for i := 0; i+1 < len(left); i += 2 {
		score, _ := strconv.ParseFloat(left[i+1], 64)
		seen := Sighting{JobID: left[i], Again: strings.HasSuffix(left[i+1], ".5")}
		if cutoff := number(10); score < float64(cutoff) {
			seen.Missed = milliTime(cutoff)
		}
		if !strings.Contains(left[i+1], ".") {
			seen.Seen = millis(left[i+1])
		}
		round.Left = append(round.Left, seen)
	}
	return round, nil
}

func texts(answer any) []string {
	list := answer.([]any)
	all := make([]string, len(list))
	for i, v := range list {
		all[i] = v.(string)
	}
	return all
}

func members(answer any) []ledger.Member {
	var all []ledger.Member
	for _, s := range texts(answer) {
		all = append(all, ledger.ParseMember(s))
	}
	return all
}

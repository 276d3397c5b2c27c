package scheduler

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/luascript"
	"vizstop/internal/schedules"
)

//go:embed scripts/*.lua
var scripts embed.FS

var changeScript = luascript.Load(scripts, "change")

// The keys, all in one slot of a Redis Cluster.
const (
	forceKey = "vizstop:{-}:schedules"       // hash: which file is in force
	filesKey = "vizstop:{-}:schedules:files" // hash: which file each worker has
)

func stateKey(name string) string   { return "vizstop:{-}:schedule:" + name }              // hash: state
func resultsKey(name string) string { return "vizstop:{-}:schedule:" + name + ":results" } // list: newest first

// recordField is what the hashes have.
const recordField = "record"

// chosenKey is a list: the jobs that were chosen for a tick, by one try to carry it out.
func chosenKey(name string, tick int64, try int) string {
	return fmt.Sprintf("vizstop:{-}:schedule:%s:chosen:%d:%d", name, tick, try)
}

// keptResults is how many results of a schedule are kept.
const keptResults = 50

// Result is what became of a tick.
type Result struct {
	Tick     time.Time `json:"tick"`
	Outcome  Outcome   `json:"outcome"`
	At       time.Time `json:"at"`            // when it was settled
	Batch    string    `json:"batch"`         // "" if no job was chosen
	Worker   string    `json:"worker"`        // that settled it
	Reason   string    `json:"reason"`        // in words; "" if there is nothing to say
	Chosen   int       `json:"chosen"`        // jobs that the rule chose
	Accepted int       `json:"accepted"`      // new stops
	Joined   int       `json:"joined"`        // jobs with an active stop already
	Known    int       `json:"known"`         // asked for by a try before
	Refused  int       `json:"refused"`       // jobs that could not be asked for
	Unlisted []string  `json:"unlisted"`      // projects that were left out, and why: the first few
	Left     int       `json:"unlisted_more"` // more such projects
	Tries    int       `json:"tries"`         // how often workers began with it
	Shadow   bool      `json:"shadow"`        // nothing was stopped
	By       string    `json:"requester"`     // who has asked for it by hand; "" for a tick by the clock
	// Held is the limit that its batch was over when it was asked for, in words; "": none.
	// Nothing of that batch goes out until somebody allows it.
	Held string `json:"held"`
	// Waiting is how many of its stops are held now. It is not kept: Overview counts, for
	// the last result of a schedule.
	Waiting int `json:"held_stops"`
	// Stops is how its stops stand now. It is not kept: Overview counts, for the last result of a schedule. nil: nobody
	// has, or the ledger does not have the batch any more.
	Stops *Stops `json:"stops"`

	late int // of Refused: past their deadline
}

// trial reports whether it is a shadow run that a person asked for, of a schedule that is not in the shadow itself: it
// says nothing of how the schedule fares.
func (r *Result) trial(ofShadow bool) bool { return r.Shadow && r.By != "" && !ofShadow }

// Outcome is how a tick ended: a closed set, fit for a metric label.
type Outcome string

// The outcomes of a tick.
const (
	Done      Outcome = "done"      // all jobs were asked for, or none matched
	Partial   Outcome = "partial"   // some projects or jobs were left out
	Failed    Outcome = "failed"    // nothing could be chosen, or not all of it was asked for in time
	Missed    Outcome = "missed"    // it was not begun in time
	Suspended Outcome = "suspended" // the schedule was suspended
	Canceled  Outcome = "canceled"  // somebody has canceled it before it had stops
)

// Outcomes lists all of them.
func Outcomes() []Outcome { return []Outcome{Done, Partial, Failed, Missed, Suspended, Canceled} }

// state is what is known of a schedule between its ticks. Times are in ms of the fleet's
// clock; 0: none.
type state struct {
	// Change makes two states different that say the same: who wrote it, and how many
	// changes there were before.
	Change string `json:"change"`
	Count  int64  `json:"count"`

	Timing   string `json:"timing"`    // fingerprint of what Next was reckoned by
	Settled  int64  `json:"settled"`   // every tick up to this time has a result
	Next     int64  `json:"next"`      // the first tick without a result
	LastDone int64  `json:"last_done"` // the newest tick that is done, in part or whole, and no trial
	Looked   int64  `json:"looked"`    // when a worker has looked at it last, to the minute
	LastRun  int64  `json:"last_run"`  // the newest tick that a person has asked for

	Claim       *claim       `json:"claim,omitempty"`
	Run         *request     `json:"run,omitempty"`
	Suspensions []suspension `json:"suspensions,omitempty"` // oldest first; the last one may be going on
	// Canceled are ticks and runs that people have canceled before they had stops, the oldest first.
	Canceled []cancellation `json:"canceled,omitempty"`
}

// claim is a tick that is being carried out.
type claim struct {
	Tick    int64  `json:"tick"`
	Worker  string `json:"worker"` // who has it; "": nobody until RetryAt
	Try     int    `json:"try"`
	By      string `json:"by,omitempty"`    // a person, for a run by hand
	Asked   int64  `json:"asked,omitempty"` // when that person has; 0: at Tick
	Shadow  bool   `json:"shadow,omitempty"`
	RetryAt int64  `json:"retry_at,omitempty"`
	Error   string `json:"error,omitempty"` // of the try before

	// Chosen is set once the jobs are written down: from then on every try has the same.
	Chosen *chosen `json:"chosen,omitempty"`
}

// chosen is what a rule came to.
type chosen struct {
	Try      int      `json:"try"` // which has written it
	Chunks   int      `json:"chunks"`
	Jobs     int      `json:"jobs"`
	Shadow   bool     `json:"shadow,omitempty"` // its stops are shadow stops, whatever the file says later
	First    int64    `json:"first"`            // when the first stop is due
	Deadline int64    `json:"deadline"`         // of each stop, from when it is due
	Spread   int64    `json:"spread"`
	Note     string   `json:"note,omitempty"`
	Unlisted []string `json:"unlisted,omitempty"`
	Left     int      `json:"left,omitempty"`
}

// shadow reports whether the stops of a tick are shadow stops. Once its jobs are chosen,
// no change of the file makes others of them.
func (c *claim) shadow(one *schedules.Schedule) bool {
	if c.Chosen != nil {
		return c.Chosen.Shadow
	}
	return c.Shadow || one.Shadow
}

// since is from when on a suspension ends it: the time of the tick, or of the wish for a run.
func (c *claim) since() time.Time { return timeOf(cmp.Or(c.Asked, c.Tick)) }

// request is a run that somebody has asked for.
type request struct {
	Tick   int64  `json:"tick"`
	Asked  int64  `json:"asked,omitempty"` // when; 0: at Tick
	By     string `json:"by"`
	Shadow bool   `json:"shadow,omitempty"`
}

// claim is the run as a tick that nobody carries out yet.
func (r *request) claim() *claim {
	return &claim{Tick: r.Tick, By: r.By, Asked: r.Asked, Shadow: r.Shadow}
}

// cancellation is a tick of which no stop is asked for any more.
type cancellation struct {
	Tick int64  `json:"tick"`
	Why  string `json:"why"` // and who
}

// suspension is a time in which no tick is carried out.
type suspension struct {
	From   int64  `json:"from"`
	Until  int64  `json:"until"`
	By     string `json:"by"`
	Reason string `json:"reason"`
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// record is a state as it was read.
type record struct {
	state
	text string // as Redis has it
}

// errChanged is returned for a change of what somebody else has changed first.
var errChanged = errors.New("somebody else has changed it meanwhile")

// store keeps the records of schedules.
type store struct {
	rdb redis.UniversalClient
	me  string // whose changes they are
}

// states reads several records; those of schedules that never were looked at are empty.
func (s store) states(ctx context.Context, names []string) ([]record, error) {
	if len(names) == 0 {
		return nil, nil
	}
	pipe := luascript.Together(s.rdb)
	gets := make([]*redis.StringCmd, len(names))
	for i, name := range names {
		gets[i] = pipe.HGet(ctx, stateKey(name), recordField)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read the schedules' state: %w", err)
	}
	all := make([]record, len(names))
	for i, get := range gets {
		text, err := get.Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, fmt.Errorf("read the state of schedule %s: %w", names[i], err)
		}
		all[i].text = text
		if err := decode(text, &all[i].state); err != nil {
			return nil, fmt.Errorf("the state of schedule %s in Redis can't be read: %w", names[i], err)
		}
	}
	return all, nil
}

func (s store) state(ctx context.Context, name string) (record, error) {
	all, err := s.states(ctx, []string{name})
	if err != nil {
		return record{}, err
	}
	return all[0], nil
}

// change writes a record that was read and changed since, and results, the oldest first.
// It returns errChanged if somebody else was faster.
func (s store) change(ctx context.Context, name string, r *record, results ...Result) error {
	r.Change, r.Count = s.me, r.Count+1
	text, err := json.Marshal(r.state)
	if err != nil {
		return err
	}
	args := []any{r.text, string(text), keptResults}
	for _, one := range results[max(0, len(results)-keptResults):] {
		line, err := json.Marshal(one)
		if err != nil {
			return err
		}
		args = append(args, string(line))
	}
	switch changed, err := changeScript.Run(ctx, s.rdb, []string{stateKey(name), resultsKey(name)}, args...).Bool(); {
	case err != nil && !errors.Is(err, redis.Nil):
		return fmt.Errorf("change the state of schedule %s: %w", name, err)
	case !changed:
		return errChanged
	}
	r.text = string(text)
	return nil
}

// results are the newest results of a schedule, the newest first.
func (s store) results(ctx context.Context, name string, n int) ([]Result, error) {
	lines, err := s.rdb.LRange(ctx, resultsKey(name), 0, int64(n-1)).Result()
	if err != nil {
		return nil, fmt.Errorf("read the results of schedule %s: %w", name, err)
	}
	all := make([]Result, len(lines))
	for i, line := range lines {
		if err := decode(line, &all[i]); err != nil {
			return nil, fmt.Errorf("a result of schedule %s in Redis can't be read: %w", name, err)
		}
	}
	return all, nil
}

// decode reads JSON; nothing is the zero value.
func decode(text string, v any) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), v)
}

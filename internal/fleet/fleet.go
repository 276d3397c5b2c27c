// Package fleet tells what time it is and which workers live, the same for every
// process on one Redis.
package fleet

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/limits"
	"vizstop/internal/luascript"
)

const (
	// BeatInterval is how often a worker says that it lives.
	BeatInterval = time.Second
	// Silence is how long a worker may say nothing before it is taken for dead.
	Silence = 5 * time.Second
	// Deserted is the same for a worker that was heard to listen at its last beat, and is not any more: most likely its
	// process was killed.
	Deserted = 2*BeatInterval + BeatInterval/2
)

// channels are where workers listen, each on the one that ends with its id, whatever
// is said there: in a Redis Cluster, on the node that has workersKey.
const channels = "vizstop:{-}:worker:"

// The keys, all in one slot of a Redis Cluster.
const (
	workersKey = "vizstop:{-}:workers" // sorted set: worker by its last sign of life
	heardKey   = "vizstop:{-}:heard"   // hash: worker by since when it has been heard to listen at each of its beats (ms)
	clockKey   = "vizstop:{-}:clock"   // hash: shift, what is added to Redis' clock, and more, see clock.lua
)

//go:embed scripts/*.lua
var scripts embed.FS

var (
	beatScript    = luascript.Load(scripts, "clock", "beat")
	correctScript = luascript.Load(scripts, "correct")
)

// Worker is one worker of the fleet, as it is announced.
type Worker struct {
	ID     string        // made up by Join
	Slots  int           // API calls that it makes at once
	Limits limits.Limits // that it is told to keep to
}

// String is the worker as Redis has it: its id, its slots and its limits, with
// slashes between.
func (w Worker) String() string {
	return w.ID + "/" + strconv.Itoa(w.Slots) + "/" + w.Limits.String()
}

func parseWorker(s string) Worker {
	id, rest, _ := strings.Cut(s, "/")
	slots, own, _ := strings.Cut(rest, "/")
	n, _ := strconv.Atoi(slots)
	return Worker{ID: id, Slots: max(1, n), Limits: limits.Parse(own)}
}

// Census is who lives, at one moment.
type Census struct {
	Alive []Worker
	Slots int // of all of them together
	// Limits are the strictest of all of them; none, if nobody lives.
	Limits limits.Limits
	Fell   time.Time // when the last worker fell silent; zero: none of late
	Seen   time.Time // when a worker was last seen before this moment, one that has left too; zero: never

	// Reliable says that whoever is not in Alive is dead. After a time in which
	// nobody was heard, because Redis was away, it is so only when everybody has had
	// the time to beat again.
	Reliable bool
}

// Lives reports whether the worker of that id lives.
func (c Census) Lives(id string) bool {
	for _, w := range c.Alive {
		if w.ID == id {
			return true
		}
	}
	return false
}

// Member is this process' place in the fleet. It is safe for concurrent use.
type Member struct {
	rdb   redis.UniversalClient
	me    Worker
	clock Clock
	waits atomic.Bool // the time that it first heard may be wrong

	mu     sync.Mutex
	census Census
	last   time.Time // local time of the latest beat
	lapses int       // how often so long passed between two beats that others may have taken it for dead
}

// New returns a member that does nothing yet. slots is how many API calls this
// process makes at once.
func New(rdb redis.UniversalClient, slots int) *Member {
	return &Member{rdb: rdb, census: Census{Limits: limits.None()}, me: Worker{ID: strings.ToLower(rand.Text()[:13]), Slots: slots}}
}

// Keep makes m announce limits other than the defaults, and returns m. Call it before
// m is shared.
func (m *Member) Keep(l limits.Limits) *Member {
	m.me.Limits = l
	return m
}

// Limits are the limits that count for the whole fleet: of each, the strictest of the
// workers that live and, for a worker, its own. While nobody lives, they are the
// defaults.
func (m *Member) Limits() limits.Limits {
	c := m.Census()
	switch {
	case m.me.Slots > 0:
		return m.me.Limits.Stricter(c.Limits)
	case len(c.Alive) == 0:
		return limits.Defaults()
	}
	return c.Limits
}

// ID is what this worker is called.
func (m *Member) ID() string { return m.me.ID }

// Channel is where this worker must listen as long as its process lives. Nobody says
// anything there.
func (m *Member) Channel() string { return channels + m.me.ID }

// Now is the fleet's time. Before the first Beat or Sync it is this machine's.
func (m *Member) Now() time.Time { return m.clock.Now() }

// Census is who lived at the latest beat. Nobody is judged by one that is old:
// then it is not reliable.
func (m *Member) Census() Census {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.census
	c.Reliable = c.Reliable && Passed(m.last) < gap
	return c
}

// Beat says that this worker lives, and learns the time and who else does. Call
// it every BeatInterval.
func (m *Member) Beat(ctx context.Context) error {
	return m.ask(ctx, m.me.String(), false)
}

// Sync learns the time and who lives, for a process that is no worker.
func (m *Member) Sync(ctx context.Context) error { return m.ask(ctx, "", false) }

// Pulse returns what reports, from then on, whether others may have taken this worker for dead since, or may soon: its
// beats were not heard for long.
func (m *Member) Pulse() (lapsed func() bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lapses := m.lapses
	return func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.lapses != lapses || Passed(m.last) > gap
	}
}

// Doubtful says that this worker has heard the time from Redis' clock alone, after a pause in which nobody was heard:
// Redis' clock may have been set forward, and other workers that know better have not all had the time to say so.
func (m *Member) Doubtful() bool { return m.waits.Load() && !m.Census().Reliable }

// TryWrite asks Redis whether it takes writes, with one that changes nothing. The error of one that takes none is an
// answer of Redis.
func (m *Member) TryWrite(ctx context.Context) error {
	nobody := redis.ZAddArgs{XX: true, Members: []redis.Z{{Member: "nobody"}}} // XX: only if it is there
	if err := m.rdb.ZAddArgs(ctx, workersKey, nobody).Err(); err != nil {
		return fmt.Errorf("try to write to Redis: %w", err)
	}
	return nil
}

// Leave says that this worker ends: what it may still hold is another's.
func (m *Member) Leave(ctx context.Context) error { return m.ask(ctx, m.me.String(), true) }

const (
	// slowest is how long an answer may take for its time to be trusted.
	slowest = time.Second
	// gap is how long a fleet is silent only when something keeps it from beating.
	gap = 2*BeatInterval + BeatInterval/2
	// leastAhead is by how much Redis' clock must have been set forward for the fleet's time to be corrected.
	leastAhead = 5 * time.Second
)

// ask runs the beat script.
func (m *Member) ask(ctx context.Context, me string, leave bool) error {
	fleet, local := m.clock.heard()
	sent, expected := time.Now(), m.clock.Now()
	knows := !local.IsZero() && steady(local)
	var told, due int64 // what time it was, and must be now
	if knows {
		told, due = fleet.UnixMilli(), expected.UnixMilli()
	}
	answer, err := beatScript.Run(ctx, m.rdb, []string{workersKey, clockKey, heardKey}, me, flag(leave),
		Silence.Milliseconds(), Deserted.Milliseconds(), gap.Milliseconds(), channels, told, due).Slice()
	if err != nil {
		return fmt.Errorf("tell Redis that this process lives: %w", err)
	}
	took := Passed(sent)
	now, shift, fell := time.UnixMicro(answer[0].(int64)), answer[1].(int64), answer[2].(int64)
	ahead, unheard := now.Sub(expected.Add(took)), time.Duration(answer[6].(int64))*time.Millisecond
	// One that only asks can't tell its own sleep from a jump, unless workers lived when it last heard of them.
	knows = knows && (me != "" || len(m.Census().Alive) > 0)
	if took < slowest && knows && wrong(ahead, unheard, sent.Sub(local)) {
		right := now.Add(-ahead.Truncate(time.Millisecond))
		if shift, err = correctScript.Run(ctx, m.rdb, []string{workersKey, clockKey, heardKey},
			shift, shift-ahead.Milliseconds(), right.UnixMilli(), flag(me != "")).Int64(); err != nil {
			return fmt.Errorf("correct the fleet's time after Redis' clock was set forward: %w", err)
		}
		now = now.Add(time.Duration(shift-answer[1].(int64)) * time.Millisecond)
	}
	if took < slowest || local.IsZero() { // what came late says less than what is known
		m.clock.set(sent.Add(took/2), now)
	}
	if me != "" && local.IsZero() && unheard > leastAhead && answer[7].(int64) == 1 {
		m.waits.Store(true)
	}
	m.learn(sent, answer[3].([]any), Census{Fell: millis(fell), Seen: millis(answer[5].(int64)), Reliable: answer[4].(int64) == 1})
	return nil
}

// wrong reports whether Redis' clock was set forward where it is so far ahead of what a process expects that has heard
// the time so long ago. It jumped while no worker was heard, as the gap is part of the jump: where the gap is shorter, it
// is the process that slept, or whose clocks are slow.
func wrong(ahead, unheard, since time.Duration) bool {
	return ahead > leastAhead+drift(since) && ahead <= unheard+gap+drift(since)
}

// learn keeps what a beat has told, with those who live.
func (m *Member) learn(sent time.Time, alive []any, c Census) {
	c.Limits = limits.None()
	for _, s := range alive {
		w := parseWorker(s.(string))
		c.Alive = append(c.Alive, w)
		c.Slots += w.Slots
		c.Limits = c.Limits.Stricter(w.Limits)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.last.IsZero() && between(m.last, sent) > gap {
		m.lapses++
	}
	m.last, m.census = sent, c
}

// millis is a time as scripts tell it; 0 is the zero time.
func millis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

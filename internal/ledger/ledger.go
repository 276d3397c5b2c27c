// Package ledger keeps what was asked and where it stands: the truth about
// every stop, in Redis. Tasks in the queue are only carriers; what a task may
// do is decided by compare-and-set on the stop's hop number.
//
// All keys of a project share the hash tag {project}, so each script runs in
// one slot of a Redis Cluster. Scripts take every key through KEYS.
package ledger

import (
	"embed"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/coalesce"
	"vizstop/internal/luascript"
)

// DefaultRetention is how long ended batches and their stops stay readable.
const DefaultRetention = 7 * 24 * time.Hour

// Ledger reads and moves stops. It is safe for concurrent use, by many
// processes on one Redis too. Its errors are those of Redis, wrapped with what
// was being tried.
type Ledger struct {
	rdb      redis.UniversalClient
	now      func() time.Time
	moves    *coalesce.Caller[move, moved]
	finishes *coalesce.Caller[ending, int64]

	ofShadow bool
	other    *Ledger // of the other kind of stops
}

// New returns the ledger of real stops in the Redis behind rdb, which stays the
// caller's to close. now is the fleet's time (see package fleet).
func New(rdb redis.UniversalClient, now func() time.Time) *Ledger {
	l := &Ledger{rdb: rdb, now: now}
	l.other = &Ledger{rdb: rdb, now: now, ofShadow: true, other: l}
	for _, one := range []*Ledger{l, l.other} {
		one.moves = coalesce.New(movesAtOnce, movePace, one.runMoves)
		one.finishes = coalesce.New(movesAtOnce, movePace, one.runFinishes)
	}
	return l
}

const (
	// movesAtOnce is how many stops one script moves at most: a millisecond or two of
	// Redis' time.
	movesAtOnce = 50
	// movePace is the least time between two scripts that move stops of a project. No
	// slot for a call waits for it.
	movePace = 10 * time.Millisecond
)

// Now is the fleet's time.
func (l *Ledger) Now() time.Time { return l.now() }

//go:embed scripts/*.lua
var scripts embed.FS

var (
	openScript     = luascript.Load(scripts, "gather", "hold", "lane", "keep", "confirm", "calls", "opening", "open")
	joinScript     = luascript.Load(scripts, "hold", "lane", "keep", "confirm", "calls", "renew", "join")
	stateScript    = luascript.Load(scripts, "hold", "state")
	confirmScript  = luascript.Load(scripts, "lane", "keep", "confirm", "confirmed")
	allowScript    = luascript.Load(scripts, "allow")
	unholdScript   = luascript.Load(scripts, "lane", "keep", "unhold")
	moveScript     = luascript.Load(scripts, "gather", "items", "fewest", "move")
	finishScript   = luascript.Load(scripts, "gather", "items", "hold", "close", "finish")
	withdrawScript = luascript.Load(scripts, "gather", "hold", "close", "lane", "keep", "withdraw")
	undoScript     = luascript.Load(scripts, "lane", "undo")
	sweepScript    = luascript.Load(scripts, "sweep")
	restScript     = luascript.Load(scripts, "rest")
	forgetScript   = luascript.Load(scripts, "window", "forget")
)

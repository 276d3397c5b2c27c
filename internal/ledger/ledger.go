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
}

// New returns a ledger in the Redis behind rdb, which stays the caller's to
// close. now is the fleet's time (see package fleet).
func New(rdb redis.UniversalClient, now func() time.Time) *Ledger {
	l := &Ledger{rdb: rdb, now: now}
	l.moves = coalesce.New(movesAtOnce, 2, l.runMoves)
	l.finishes = coalesce.New(movesAtOnce, 2, l.runFinishes)
	return l
}

// movesAtOnce is how many stops one script moves at most: a fraction of a
// millisecond of Redis' time.
const movesAtOnce = 50

// Now is the fleet's time.
func (l *Ledger) Now() time.Time { return l.now() }

//go:embed scripts/*.lua
var scriptFiles embed.FS

var (
	openScript     = loadScript("open")
	joinScript     = loadScript("join")
	moveScript     = loadScript("move")
	finishScript   = loadScript("close", "finish")
	withdrawScript = loadScript("close", "withdraw")
	sweepScript    = loadScript("sweep")
	forgetScript   = loadScript("forget")
)

// loadScript makes one script of files, the last of which returns.
func loadScript(names ...string) *redis.Script {
	var src string
	for _, name := range names {
		part, err := scriptFiles.ReadFile("scripts/" + name + ".lua")
		if err != nil {
			panic("ledger: script not embedded: " + name) // a build without its files
		}
		src += string(part)
	}
	return redis.NewScript(src)
}

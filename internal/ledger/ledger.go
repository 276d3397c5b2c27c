// Package ledger keeps what was asked and where it stands: the truth about
// every stop, in Redis. Tasks in the queue are only carriers; what a task may
// do is decided here, by compare-and-set on the stop's hop number.
//
// All keys of a project share the hash tag {project}, so each script runs in
// one slot of a Redis Cluster. Scripts take every key through KEYS.
package ledger

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// DefaultRetention is how long ended stops and batches stay readable.
const DefaultRetention = 7 * 24 * time.Hour

// Config settles a Ledger. The zero value is usable.
type Config struct {
	Retention time.Duration    // of ended stops and batches; 0 means DefaultRetention
	Pace      float64          // first tasks per second of one batch in one project; 0: all when they are due
	Now       func() time.Time // nil means time.Now
}

// Ledger reads and moves stops. It is safe for concurrent use, by many
// processes on one Redis too. Its errors are those of Redis, wrapped with what
// was being tried.
type Ledger struct {
	rdb       redis.UniversalClient
	retention time.Duration
	pace      float64
	now       func() time.Time
}

// New returns a ledger in the Redis behind rdb, which stays the caller's to
// close.
func New(rdb redis.UniversalClient, cfg Config) *Ledger {
	l := &Ledger{rdb: rdb, retention: cfg.Retention, pace: cfg.Pace, now: cfg.Now}
	if l.retention <= 0 {
		l.retention = DefaultRetention
	}
	if l.now == nil {
		l.now = time.Now
	}
	return l
}

//go:embed scripts/*.lua
var scriptFiles embed.FS

var (
	openScript    = loadScript("open")
	claimScript   = loadScript("claim")
	advanceScript = loadScript("advance")
	finishScript  = loadScript("finish")
	screenScript  = loadScript("screen")
	aliveScript   = loadScript("alive")
)

func loadScript(name string) *redis.Script {
	src, err := scriptFiles.ReadFile("scripts/" + name + ".lua")
	if err != nil {
		panic("ledger: script not embedded: " + name) // a build without its files
	}
	return redis.NewScript(string(src))
}

// Probe reports whether Redis takes data. What it writes is gone in a second.
func (l *Ledger) Probe(ctx context.Context) error {
	if err := l.rdb.Set(ctx, probeKey, 1, time.Second).Err(); err != nil {
		return fmt.Errorf("write to Redis: %w", err)
	}
	return nil
}

// The keys that belong to no project.
const (
	probeKey    = "vizstop:probe"    // string
	projectsKey = "vizstop:projects" // set of project ids that ever had a stop
	batchesKey  = "vizstop:batches"  // sorted set: batch id by when it was opened
)

// keys names the keys of one project.
type keys string

func (k keys) key(parts ...string) string {
	return "vizstop:{" + string(k) + "}:" + strings.Join(parts, ":")
}

func (k keys) stop(id string) string     { return k.key("stop", id) }           // hash
func (k keys) active() string            { return k.key("active") }             // hash: job id to the id of its active stop
func (k keys) next() string              { return k.key("next") }               // sorted set: stop id by when its next task is due
func (k keys) in(s State) string         { return k.key("state", string(s)) }   // sorted set: stop id by when the stop was due
func (k keys) batch(b string) string     { return k.key("batch", b) }           // hash: counts by state
func (k keys) stops(b string) string     { return k.key("batch", b, "stops") }  // list of the batch's own stop ids
func (k keys) joined(b string) string    { return k.key("batch", b, "joined") } // set of stop ids of other batches
func (k keys) task(taskID string) string { return k.key("task", hash(taskID)) } // string: the stop of a foreign task

func (k keys) last(job string) string { return k.key("last", job) } // string: the job's stop that ended last
func (k keys) uncounted() string      { return k.key("uncounted") } // list of stop ids that ended outside of a worker

func (k keys) watched() string { return k.key("watched") } // sorted set: job of a watched stop by when to look for it first
func (k keys) screen() string  { return k.key("screen") }  // hash: the project's screen
func (k keys) times() string   { return k.key("times") }   // list: how long the latest jobs took to stop (ms)

func batchProjectsKey(batch string) string { return "vizstop:batch:" + batch } // set of project ids

// idEncoding is lower-case base 32 with digits first, so that ids sort and
// never look like a job's.
var idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

const idBytes = 10 // 80 bits: 16 characters

func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return idEncoding.EncodeToString(h.Sum(nil)[:idBytes])
}

func randomID() string {
	b := make([]byte, idBytes)
	rand.Read(b) // never fails, by its contract
	return idEncoding.EncodeToString(b)
}

// IDLength is the number of characters of a stop id, all of them in 0-9a-v.
const IDLength = 16

// StopID is the id of the stop of a job in a batch. The same three always give
// the same id: that is what makes asking twice for one batch harmless.
func StopID(batch, projectID, jobID string) string { return hash(batch, projectID, jobID) }

// NewBatchID makes an id that sorts by time, such as
// "20261123-174500-4f9q2c1d". It needs no Redis and is unique for practical
// purposes.
func NewBatchID(now time.Time) string {
	return now.UTC().Format("20060102-150405-") + randomID()[:8]
}

// Projects lists the ids of all projects that ever had a stop.
func (l *Ledger) Projects(ctx context.Context) ([]string, error) {
	ids, err := l.rdb.SMembers(ctx, projectsKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list projects in the ledger: %w", err)
	}
	return ids, nil
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

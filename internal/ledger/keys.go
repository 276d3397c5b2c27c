package ledger

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Keys names the keys of one project, by its id: those of its real stops.
type Keys string

// shadowMark ends the Keys of shadow stops. No id of a project has a slash.
const shadowMark = "/shadow"

// ShadowKeys names the keys of the shadow stops of a project. They share the hash
// tag of its real stops, and no key.
func ShadowKeys(projectID string) Keys { return Keys(projectID + shadowMark) }

func (k Keys) key(parts ...string) string {
	if projectID, shadow := strings.CutSuffix(string(k), shadowMark); shadow {
		return "vizstop:{" + projectID + "}:shadow:" + strings.Join(parts, ":")
	}
	return "vizstop:{" + string(k) + "}:" + strings.Join(parts, ":")
}

// waiting is one of the sets in which stops wait. All that a shadow stop waits for is
// a look: it has one set.
func (k Keys) waiting(name string) string {
	if strings.HasSuffix(string(k), shadowMark) {
		return k.key("waiting")
	}
	return k.key("waiting", name)
}

// Stop is a hash: one stop, or a note which other stop serves its wish.
func (k Keys) Stop(id string) string { return k.key("stop", id) }

// Active is a hash: job id to the id of its active stop.
func (k Keys) Active() string { return k.key("active") }

// Last is a hash: job id to the id of its stop that ended last.
func (k Keys) Last() string { return k.key("last") }

// A stop in flight is in exactly one of the following seven sorted sets. In all
// but the last it is a Member; scores are times in ms.

// Small holds the first few stops of each batch that wait for their stop call,
// by due time: so a small ask does not stand behind a large one.
func (k Keys) Small() string { return k.waiting("small") }

// Large holds all other stops that wait for their stop call, by due time.
func (k Keys) Large() string { return k.waiting("stop") }

// Limited holds the stops that wait for their stop call and that nobody has
// confirmed, by due time: the window limit says how many of them go out.
func (k Keys) Limited() string { return k.key("waiting", "limited") }

// Held holds the stops of held batches, by due time: they wait for "enqueue allow".
func (k Keys) Held() string { return k.key("waiting", "held") }

// Look holds the stops that wait for a detail call, by due time.
func (k Keys) Look() string { return k.waiting("look") }

// Released holds the stops that have a task or are at work, by the last sign of
// life.
func (k Keys) Released() string { return k.key("released") }

// Watched holds the jobs of the stops that the list check looks for, by when
// they were last seen as stopping.
func (k Keys) Watched() string { return k.key("watched") }

// Latest is a sorted set: the id of a stop in flight by when it is looked after,
// whatever else happens: at its deadline, or earlier if it is watched or if a stop call
// of it is to be repeated.
func (k Keys) Latest() string { return k.key("latest") }

// In is a sorted set: the id of a stop in flight in the given state by when it
// was due.
func (k Keys) In(s State) string { return k.key("state", string(s)) }

// Control is a hash: rate, holds and list check of the project (package release),
// and the API endpoint of its stops in flight. That of shadow stops has only their
// endpoint: rate and holds are the project's.
func (k Keys) Control() string { return k.key("control") }

// Limits is a hash: the batches that are held, and since when the window limit holds
// stops back (package release).
func (k Keys) Limits() string { return k.key("limits") }

// Window is a hash: how many stop calls that nobody confirmed were claimed in each
// minute of the last hour, and how many more were allowed (package release).
func (k Keys) Window() string { return k.key("window") }

// Uncounted is a list: ids of stops that ended outside of a worker.
func (k Keys) Uncounted() string { return k.key("uncounted") }

func (k Keys) batch(b string) string     { return k.key("batch", b) }           // hash: counts by state
func (k Keys) stops(b string) string     { return k.key("batch", b, "stops") }  // list of stop ids, in the order of their asking
func (k Keys) ended() string             { return k.key("ended") }              // sorted set: batch by when its last stop ended
func (k Keys) task(taskID string) string { return k.key("task", hash(taskID)) } // string: the stop of a foreign task

func (k Keys) times() string { return k.key("times") } // list: how long the latest jobs took to stop (ms)

// closing are the keys that close.lua takes.
func (k Keys) closing() []string {
	return []string{k.Active(), k.Last(), k.Small(), k.Large(), k.Look(), k.Released(), k.Watched(), k.Latest(),
		k.In(Pending), k.In(Stopping), k.ended(), k.Uncounted(), k.times(), k.Control(), k.Limited(), k.Held(), k.Limits()}
}

// Member is a stop at one hop, as sorted sets hold it.
type Member struct {
	StopID string
	Hop    int
	JobID  string
}

// String is the member as sorted sets hold it: stop, hop and job with colons between.
func (m Member) String() string { return m.StopID + ":" + strconv.Itoa(m.Hop) + ":" + m.JobID }

// ParseMember reads what String wrote. What is no member has hop 0.
func ParseMember(s string) Member {
	id, rest, _ := strings.Cut(s, ":")
	hop, job, _ := strings.Cut(rest, ":")
	n, _ := strconv.Atoi(hop)
	return Member{StopID: id, Hop: n, JobID: job}
}

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

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

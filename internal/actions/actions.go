// Package actions records what people have done to the fleet: who paused, canceled or undid what, when, why and from
// where.
package actions

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/plain"
)

// key is a stream: a record may be added and forgotten, and never changed.
const key = "vizstop:{-}:actions"

// most is how many records are kept. The oldest go first.
const most = 10000

// maxText bounds a text of a record, in characters.
const maxText = 256

// Action is what somebody did.
type Action struct {
	At     time.Time // by the fleet's clock, to the millisecond
	What   string    // the command's name, such as "pause"
	Scope  string    // what it was done to, such as "batch 20261126-…", "project 0123…" or "everything"
	Jobs   int       // how many jobs it concerned when it began; 0: not counted
	By     string    // who
	From   string    // the machine, or the address that a console was asked from
	Reason string    // in the person's words; may be empty
}

// Book is the record of actions in a Redis. It is safe for concurrent use.
type Book struct {
	rdb  redis.UniversalClient
	now  func() time.Time
	most int64
}

// New returns the record in rdb, with the fleet's clock.
func New(rdb redis.UniversalClient, now func() time.Time) *Book { return &Book{rdb, now, most} }

// Record notes an action before it begins, so that nothing is done that is not recorded. At is filled in and, if it is
// empty, From with the name of this machine.
func (b *Book) Record(ctx context.Context, a Action) error {
	if a.From == "" {
		a.From = "unknown"
		if host, err := os.Hostname(); err == nil {
			a.From = host
		}
	}
	line := func(text string) string { return plain.Line(text, maxText) }
	err := b.rdb.XAdd(ctx, &redis.XAddArgs{Stream: key, MaxLen: b.most, Values: []any{
		"at", b.now().UnixMilli(), "what", a.What, "scope", line(a.Scope), "jobs", a.Jobs, "by", line(a.By), "from", line(a.From),
		"reason", line(a.Reason)}}).Err()
	if err != nil {
		return fmt.Errorf("record that %s of %s begins: %w", a.What, a.Scope, err)
	}
	return nil
}

// Last returns the newest actions, the newest first: at most n, from 1 on.
func (b *Book) Last(ctx context.Context, n int) ([]Action, error) {
	entries, err := b.rdb.XRevRangeN(ctx, key, "+", "-", int64(n)).Result()
	if err != nil {
		return nil, fmt.Errorf("read the record of actions: %w", err)
	}
	actions := make([]Action, len(entries))
	for i, e := range entries {
		text := func(field string) string { s, _ := e.Values[field].(string); return plain.Line(s, maxText) }
		number := func(field string) int64 { n, _ := strconv.ParseInt(text(field), 10, 64); return n }
		actions[i] = Action{At: time.UnixMilli(number("at")), What: text("what"), Scope: text("scope"), Jobs: int(number("jobs")),
			By: text("by"), From: text("from"), Reason: text("reason")}
	}
	return actions, nil
}

// forgetAtOnce is how many records Forget removes at a time.
const forgetAtOnce = 1000

// Forget removes what was done longer ago than keep, by the clock of Redis.
func (b *Book) Forget(ctx context.Context, keep time.Duration) error {
	before := strconv.FormatInt(b.now().Add(-keep).UnixMilli(), 10)
	for {
		old, err := b.rdb.XRangeN(ctx, key, "-", before, forgetAtOnce).Result()
		if err == nil && len(old) > 0 {
			ids := make([]string, len(old))
			for i, e := range old {
				ids[i] = e.ID
			}
			err = b.rdb.XDel(ctx, key, ids...).Err()
		}
		if err != nil {
			return fmt.Errorf("forget old actions: %w", err)
		}
		if len(old) < forgetAtOnce {
			return nil
		}
	}
}

// Of is the scope of a batch, a project or the like by its kind and name; without a name it is everything.
func Of(kind, name string) string {
	if name == "" {
		return "everything"
	}
	return kind + " " + name
}

package ledger

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/luascript"
)

// HeldBatch is a batch of a project that a limit holds: its stops wait in Keys.Held, or
// go there with the claim of their call.
type HeldBatch struct {
	ID      string
	Since   time.Time
	Why     string // a reason of a hold of package release
	Words   string
	Pending int // its stops that no call was accepted for
}

const (
	heldField = "held:" // in the hash of limits, and the id of a batch: since when (ms), why and the words, with spaces
	// shownHeld is how many held batches of a project are read, those that are held
	// longest.
	shownHeld = 100
	// heldAtOnce is about how many fields one command visits for them.
	heldAtOnce = 500
)

// HeldBatches are the held batches of a project that have stops in flight, up to 100.
// noted says that some batch is held, perhaps one without such stops.
func HeldBatches(ctx context.Context, rdb redis.UniversalClient, projectID string) (of []HeldBatch, noted bool, err error) {
	var held []HeldBatch
	fields := rdb.HScan(ctx, Keys(projectID).Limits(), 0, heldField+"*", heldAtOnce).Iterator()
	for fields.Next(ctx) {
		id := strings.TrimPrefix(fields.Val(), heldField)
		if fields.Next(ctx) {
			if b, ok := parseHeld(id, fields.Val()); ok {
				held = append(held, b)
			}
		}
	}
	if err := fields.Err(); err != nil {
		return nil, false, fmt.Errorf("read which batches of project %s are held: %w", projectID, err)
	}
	slices.SortFunc(held, func(a, b HeldBatch) int { return a.Since.Compare(b.Since)*2 + strings.Compare(a.ID, b.ID) })
	held = slices.Compact(held) // a scan may come by a field twice
	var found []HeldBatch
	for some := range slices.Chunk(held, shownHeld) {
		pipe := rdb.Pipeline()
		counts := make([]*redis.SliceCmd, len(some))
		for i, b := range some {
			counts[i] = pipe.HMGet(ctx, Keys(projectID).batch(b.ID), string(Pending))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, false, fmt.Errorf("read the held batches of project %s: %w", projectID, err)
		}
		for i, b := range some {
			if b.Pending, _ = strconv.Atoi(luascript.FieldOf(counts[i])); b.Pending > 0 {
				found = append(found, b)
			}
		}
		if len(found) >= shownHeld {
			break
		}
	}
	return found[:min(len(found), shownHeld)], len(held) > 0, nil
}

func parseHeld(id, field string) (b HeldBatch, ok bool) {
	parts := strings.SplitN(field, " ", 3)
	if len(parts) < 3 {
		return HeldBatch{}, false
	}
	return HeldBatch{ID: id, Since: timeIn(parts[0]), Why: parts[1], Words: parts[2]}, true
}

// HeldBatch says whether a batch is held in a project, and how many of its stops wait
// for it there: ok if some do.
func (l *Ledger) HeldBatch(ctx context.Context, projectID, batch string) (b HeldBatch, ok bool, err error) {
	k, pipe := l.keys(projectID), l.rdb.Pipeline()
	held, counts := pipe.HMGet(ctx, k.Limits(), heldField+batch), pipe.HMGet(ctx, k.batch(batch), string(Pending))
	if _, err := pipe.Exec(ctx); err != nil {
		return HeldBatch{}, false, fmt.Errorf("look whether batch %s of project %s is held: %w", batch, projectID, err)
	}
	b, ok = parseHeld(batch, luascript.FieldOf(held))
	b.Pending, _ = strconv.Atoi(luascript.FieldOf(counts))
	return b, ok && b.Pending > 0, nil
}

// Limited says of each of some batches of shadow stops whether limits are for it: held is
// why the batch would be held, "" if it would not; confirmed says that somebody has
// confirmed it, so that no window is for it.
func (l *Ledger) Limited(ctx context.Context, projectID string, batches []string) (held []string, confirmed []bool, err error) {
	k, pipe := l.keys(projectID), l.rdb.Pipeline()
	reasons, words := make([]*redis.SliceCmd, len(batches)), make([]*redis.SliceCmd, len(batches))
	for i, b := range batches {
		reasons[i], words[i] = pipe.HMGet(ctx, k.Limits(), heldField+b), pipe.HMGet(ctx, k.batch(b), "confirmed")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, nil, fmt.Errorf("look which limits are for shadow batches of project %s: %w", projectID, err)
	}
	held, confirmed = make([]string, len(batches)), make([]bool, len(batches))
	for i := range batches {
		b, _ := parseHeld(batches[i], luascript.FieldOf(reasons[i]))
		held[i] = b.Why
		confirmed[i] = luascript.FieldOf(words[i]) != ""
	}
	return held, confirmed, nil
}

// StateSize records how many stops a batch that nobody confirmed is going to have in a
// project: more than that make it held. held says why it is over a limit from the
// start: then no stop of it gets a call. "": it is not. Call it before Open, and as
// often as is needed: the first size counts, and what is held stays so.
func (l *Ledger) StateSize(ctx context.Context, projectID, batch string, stops int, held string) error {
	if err := l.register(ctx, projectID, batch); err != nil {
		return err
	}
	k := l.keys(projectID)
	err := stateScript.Run(ctx, l.rdb, []string{k.batch(batch), k.ended(), k.Limits()}, l.now().UnixMilli(), batch, stops, held).Err()
	if err != nil {
		return fmt.Errorf("state the size of batch %s of project %s: %w", batch, projectID, err)
	}
	return nil
}

// Confirm confirms what a batch wants of up to n stops, in the order of their asking:
// where nobody has, its wish stands, and no call was accepted or the call that is to be
// made again is held. While such a wish stands, no limit is for its stop. A batch of
// which all are confirmed is held no longer, unless it has stated more stops than it
// has: nobody has seen those. It returns how many there were. Ask for a round
// afterwards. An *UnreadableError keeps it from no other stop.
func (l *Ledger) Confirm(ctx context.Context, projectID, batch string, n int) (int, error) {
	return l.ConfirmAfter(ctx, projectID, batch, n, func() error { return nil })
}

// ConfirmAfter is Confirm that calls before ahead of each of its writes, and goes no
// further if that fails. There is one write for 250 stops.
func (l *Ledger) ConfirmAfter(ctx context.Context, projectID, batch string, n int, before func() error) (int, error) {
	k, confirmed := l.keys(projectID), 0
	var unreadable error
	for seen := 0; ; {
		ids, err := l.rdb.LRange(ctx, k.stops(batch), int64(seen), int64(seen+confirmsAtOnce-1)).Result()
		if err != nil {
			return confirmed, fmt.Errorf("list the stops of batch %s: %w", batch, err)
		}
		if err := before(); err != nil {
			return confirmed, err
		}
		if len(ids) == 0 { // all are
			done, err := allowScript.Run(ctx, l.rdb, []string{k.batch(batch), k.Limits(), k.stops(batch), k.Held()}, batch, seen).Int()
			if err != nil {
				return confirmed, fmt.Errorf("let batch %s go on: %w", batch, err)
			}
			if done < 0 {
				continue // more have come meanwhile
			}
			if done == stillHeld {
				err = l.unhold(ctx, projectID, batch, before)
			}
			return confirmed, cmp.Or(err, unreadable)
		}
		seen += len(ids)
		stops, err := l.GetAll(ctx, projectID, ids)
		if broken := Unreadable(err); broken != nil {
			unreadable = cmp.Or(unreadable, broken)
		} else if err != nil {
			return confirmed, err
		}
		keys := k.lanes()
		args := []any{l.now().UnixMilli(), batch, n - confirmed}
		for _, s := range stops {
			keys, args = append(keys, k.Stop(s.ID)), append(args, s.ID)
		}
		answer, err := confirmScript.Run(ctx, l.rdb, keys, args...).Int64Slice()
		if err != nil {
			return confirmed, fmt.Errorf("confirm stops of batch %s of project %s: %w", batch, projectID, err)
		}
		if confirmed += int(answer[0]); answer[1] > 0 {
			return confirmed, unreadable
		}
	}
}

// lanes are the keys of the scripts that have stops wait elsewhere.
func (k Keys) lanes() []string {
	return []string{k.Limited(), k.Held(), k.Large(), k.Small(), k.Limits(), k.Latest(), k.In(Pending)}
}

// stillHeld is what the allow script answers if stops of the project are held, of this
// batch or of others.
const stillHeld = 2

// unhold lets out the stops of a batch that is held no longer which a claim has put to
// those that are held while it was allowed: calls that are to be made again. The window
// limit is for them.
func (l *Ledger) unhold(ctx context.Context, projectID, batch string, before func() error) error {
	k := l.keys(projectID)
	for offset := 0; ; {
		stops, next, err := l.BatchStops(ctx, projectID, batch, offset, confirmsAtOnce)
		if err != nil && Unreadable(err) == nil { // who confirms has told of it
			return err
		}
		keys, args := k.lanes(), []any{l.now().UnixMilli()}
		for _, s := range stops {
			keys, args = append(keys, k.Stop(s.ID)), append(args, s.ID)
		}
		if err := before(); err != nil {
			return err
		}
		if err := unholdScript.Run(ctx, l.rdb, keys, args...).Err(); err != nil {
			return fmt.Errorf("let stops of batch %s of project %s go on: %w", batch, projectID, err)
		}
		if next == 0 {
			return nil
		}
		offset = next
	}
}

// confirmsAtOnce is how many stops one script confirms at most.
const confirmsAtOnce = 250

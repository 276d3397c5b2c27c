package ledgertest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// unit is what a number counts since the epoch.
type unit time.Duration

const (
	inSeconds = unit(time.Second)
	inMillis  = unit(time.Millisecond)
	inMicros  = unit(time.Microsecond)
	inNanos   = unit(time.Nanosecond)
)

// later is a number as text, later by that much. What is no time yet stays so.
func (u unit) later(text string, by time.Duration) string {
	whole, rest, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n == 0 {
		return text
	}
	text = strconv.FormatInt(n+int64(by)/int64(u), 10)
	if rest != "" {
		text += "." + rest
	}
	return text
}

// The fields of hashes that are times.
var (
	stopTimes   = times(inMillis, "asked", "due", "deadline", "next", "slot", "called", "accepted", "looked", "ended")
	batchTimes  = times(inMillis, "created", "ended", "paced")
	screenTimes = times(inMillis, "due", "alive", "slot", "looked", "rests")
	haltTimes   = times(inMillis, "since", "probe", "probing")
	pauseTimes  = times(inMillis, "since")
	noticeTimes = times(inMillis, "since")
	taskTimes   = times(inNanos, "pending_since")

	throttleTimes = func() map[string]unit {
		all := times(inMicros, "parked", "cut", "thaw", "full", "stops", "others", "stop", "screen", "poll", "late-stop", "late")
		all["second"] = inSeconds
		return all
	}()
)

func times(u unit, names ...string) map[string]unit {
	all := make(map[string]unit)
	for _, name := range names {
		all[name] = u
	}
	return all
}

func fieldsLater(hash map[string]string, which map[string]unit, by time.Duration) {
	for name, u := range which {
		if text, ok := hash[name]; ok {
			hash[name] = u.later(text, by)
		}
	}
}

// hashTimes are the fields of a hash that are times; nil for a hash without.
func hashTimes(key string) map[string]unit {
	_, name, inProject := strings.Cut(key, "}:")
	kind, _, _ := strings.Cut(name, ":")
	switch {
	case strings.HasPrefix(key, "asynq:{") && kind == "t":
		return taskTimes
	case strings.HasPrefix(key, "vizstop:notify:") && key != "vizstop:notify:urls":
		return noticeTimes
	case !inProject || !strings.HasPrefix(key, "vizstop:"):
		return nil
	}
	return map[string]map[string]unit{
		"stop": stopTimes, "batch": batchTimes, "screen": screenTimes, "halt": haltTimes, "pause": pauseTimes, "throttle": throttleTimes,
	}[kind]
}

// moveOn makes every time that the first version, or asynq, has written later by
// that much, a whole number of seconds. What expires is none of its business.
func moveOn(ctx context.Context, rdb *redis.Client, by time.Duration) error {
	all, err := rdb.Keys(ctx, "*").Result()
	if err != nil {
		return err
	}
	for _, key := range all {
		kind, err := rdb.Type(ctx, key).Result()
		if err != nil {
			return err
		}
		switch kind {
		case "zset":
			err = scoresLater(ctx, rdb, key, by)
		case "hash":
			err = hashLater(ctx, rdb, key, by)
		}
		if err != nil {
			return fmt.Errorf("move the times of %s: %w", key, err)
		}
	}
	return nil
}

// scoresLater moves a sorted set: all of them are in the order of time.
func scoresLater(ctx context.Context, rdb *redis.Client, key string, by time.Duration) error {
	more := by.Milliseconds()
	if strings.HasPrefix(key, "asynq:") {
		more = int64(by / time.Second)
	}
	found, err := rdb.ZRangeWithScores(ctx, key, 0, -1).Result()
	if err != nil || len(found) == 0 {
		return err
	}
	for i := range found {
		found[i].Score += float64(more)
	}
	return rdb.ZAdd(ctx, key, found...).Err()
}

func hashLater(ctx context.Context, rdb *redis.Client, key string, by time.Duration) error {
	which := hashTimes(key)
	if which == nil {
		return nil
	}
	names := slices.Sorted(maps.Keys(which))
	values, err := rdb.HMGet(ctx, key, names...).Result()
	if err != nil {
		return err
	}
	var pairs []any
	for i, v := range values {
		if text, ok := v.(string); ok && text != "" {
			pairs = append(pairs, names[i], which[names[i]].later(text, by))
		}
	}
	if len(pairs) == 0 {
		return nil
	}
	return rdb.HSet(ctx, key, pairs...).Err()
}

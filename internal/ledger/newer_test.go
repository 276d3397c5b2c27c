package ledger

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

// What a newer version keeps in a stop survives the moves of this one: a fleet is
// not updated at once.
func TestUnknownFieldsAreLeftAlone(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		id := mustOpen(t, l, c, "b", "10")[0].StopID
		key := keys(project).stop(id)
		rdb.HSet(t.Context(), key, "of_tomorrow", "x", "reason", "trouble")
		s := mustClaim(t, l, id, 1, KindStop)
		s.Reason = ""
		if moved, err := l.Advance(t.Context(), s, KindPoll, c.now()); !moved || err != nil {
			t.Fatalf("moved %t, %v", moved, err)
		}
		f, err := rdb.HGetAll(t.Context(), key).Result()
		if err != nil || f["of_tomorrow"] != "x" || f["reason"] != "" {
			t.Errorf("%v, %v: want of_tomorrow kept and reason cleared", f, err)
		}
	})
}

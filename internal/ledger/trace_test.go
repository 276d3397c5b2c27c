package ledger

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A trace is kept from the ask to the end, joins none that is there already, and
// is no field at all where nobody traces.
func TestTraceIsKept(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		openings, err := l.Open(t.Context(), project, "b", []Ask{
			{JobID: "10", Deadline: c.now().Add(time.Hour), Trace: trace},
			{JobID: "11", Deadline: c.now().Add(time.Hour)},
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{trace, ""} {
			s := mustClaim(t, l, openings[i].StopID, 1, KindStop)
			if moved, err := l.Advance(t.Context(), s, KindPoll, c.now()); !moved || err != nil {
				t.Fatalf("moved %t, %v", moved, err)
			}
			s = mustClaim(t, l, s.ID, 2, KindPoll)
			if moved, err := l.Finish(t.Context(), s, Gone, "", 0); !moved || err != nil {
				t.Fatalf("ended %t, %v", moved, err)
			}
			s, err := l.Get(t.Context(), project, s.ID)
			if err != nil || s.Trace != want {
				t.Errorf("trace %q, %v, want %q", s.Trace, err, want)
			}
			has, err := rdb.HExists(t.Context(), keys(project).stop(s.ID), "trace").Result()
			if err != nil || has != (want != "") {
				t.Errorf("a field of its own: %t, %v", has, err)
			}
		}
	})
}

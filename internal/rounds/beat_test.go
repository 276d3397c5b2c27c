package rounds

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/fleet"
	"vizstop/internal/jobs"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
)

// noList is a list that can't be read.
type noList struct{ Lists }

func (noList) List(context.Context, string, jobs.Query) (*jobs.Page, error) {
	return nil, errors.New("connection reset")
}

// The next probe of a hold is due soon after one that failed, and not when that one's answer had to have come.
func TestAFailedProbeAsksForARound(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	releaser := release.New(rdb, "worker-1", time.Now, release.Config{})
	l := New(Config{Release: releaser, Slots: tasks.NewSlots(1, releaser), Member: fleet.New(rdb, 1), Lists: noList{},
		Schedule: tasks.Schedule{CallTimeout: time.Second}, Logger: slog.New(slog.DiscardHandler)})
	l.probe(t.Context(), "p")
	if asked := l.drain(); len(asked) != 1 || asked[0].ProjectID != "p" || asked[0].Next != 0 {
		t.Errorf("asked for %+v, want a round of the project at once", asked)
	}
}

// When another worker is known to be dead every project gets a round, and for a moment steps are looked after that have
// been silent for less long; once for each death.
func TestADeathIsNoted(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	one, two := fleet.New(rdb, 1), fleet.New(rdb, 1)
	releaser := release.New(rdb, one.ID(), time.Now, release.Config{})
	l := New(Config{Release: releaser, Member: one, Logger: slog.New(slog.DiscardHandler)})
	turns := func() int {
		t.Helper()
		if err := errors.Join(one.Beat(t.Context()), l.noteDeaths(t.Context())); err != nil {
			t.Fatal(err)
		}
		due, err := releaser.Turns(t.Context(), []release.Settled{release.Pull("p", time.Hour)}, release.Room{})
		if err != nil {
			t.Fatal(err)
		}
		return len(due.Turns)
	}
	if err := two.Beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := turns(); n != 0 || l.silence() != fleet.Silence {
		t.Errorf("%d rounds are due, and steps are looked after when silent for %v, though nobody died", n, l.silence())
	}
	const workers, clock = "vizstop:{-}:workers", "vizstop:{-}:clock"
	for _, w := range rdb.ZRange(t.Context(), workers, 0, -1).Val() {
		if strings.HasPrefix(w, two.ID()) {
			rdb.ZIncrBy(t.Context(), workers, -float64(fleet.Silence.Milliseconds()), w)
		}
	}
	if n := turns(); n != 0 || l.silence() != fleet.Silence {
		t.Errorf("before anybody may be judged %d rounds are due, and steps are looked after when silent for %v", n, l.silence())
	}
	n := 0
	for try := 0; n == 0 && try < 20; try++ { // a beat that was late begins anew
		rdb.HSet(t.Context(), clock, "resumed", 1) // long ago
		n = turns()
	}
	if n != 1 || l.silence() != shortSilence {
		t.Errorf("after a death %d rounds are due, and steps are looked after when silent for %v", n, l.silence())
	}
	l.deaths = l.deaths.Add(-afterDeath)
	if n := turns(); n != 0 || l.silence() != fleet.Silence {
		t.Errorf("a while after a death %d rounds are due, and steps are looked after when silent for %v", n, l.silence())
	}
}

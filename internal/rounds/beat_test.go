package rounds

import (
	"context"
	"errors"
	"log/slog"
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

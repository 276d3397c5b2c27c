package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/release"
)

// Brake is what "enqueue pause" and "enqueue resume" print as JSON.
type Brake struct {
	Kind    string   `json:"kind"`    // "pause" or "resume"
	Changed bool     `json:"changed"` // false: it was so already
	Paused  []string `json:"paused"`  // the pauses that are on now, in words
}

// Pause lets no stop call out in a project or, if it is "", anywhere. A pause of
// everything returns when every worker has heard of it, or lets nothing out: whoever
// pulls the brake is told when it holds.
func (d *Desk) Pause(ctx context.Context, projectID, who, why string) (*Brake, error) {
	changed, err := d.Release.Pause(ctx, projectID, who, why)
	if err != nil {
		return nil, unsure(err, changed, "pause")
	}
	if changed && projectID == "" {
		if err := heard(ctx); err != nil {
			return nil, err
		}
	}
	return d.brake(ctx, "pause", changed)
}

// Resume ends what Pause began. It calls record before, unless there is nothing to end.
func (d *Desk) Resume(ctx context.Context, projectID string, record func() error) (*Brake, error) {
	changed, err := d.Release.ResumeAfter(ctx, projectID, record)
	if err != nil {
		return nil, unsure(err, changed, "resume")
	}
	return d.brake(ctx, "resume", changed)
}

// unsure is err with words for what was done, or may have been.
func unsure(err error, changed bool, kind string) error {
	done := kind + "d"
	switch {
	case changed:
		return fmt.Errorf("stop calls are %s, but then: %w", done, err)
	case refused(err):
		return err
	}
	return fmt.Errorf("stop calls may or may not be %s (see: enqueue status); ask again: %w", done, err)
}

// refused reports whether err is the word of Redis itself, which then has done nothing.
func refused(err error) bool {
	_, is := errors.AsType[redis.Error](err)
	return is
}

func heard(ctx context.Context) error {
	timer := time.NewTimer(release.FleetDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("all stop calls are paused, but workers may not have heard of it yet: %w", context.Cause(ctx))
	}
}

// brake tells what is paused now: a project's pause outlives the fleet's, and that of
// asynq's queue outlives both.
func (d *Desk) brake(ctx context.Context, kind string, changed bool) (*Brake, error) {
	holds, err := d.Release.Holds(ctx)
	if err != nil {
		return nil, unsure(err, true, kind)
	}
	b := &Brake{Kind: kind, Changed: changed, Paused: []string{}}
	for _, h := range holds {
		if h.ByPerson() {
			b.Paused = append(b.Paused, h.String())
		}
	}
	return b, nil
}

package throttle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/plain"
)

// Pause is the emergency brake: while it is on, no stop call goes out. Polls go
// on, so stops that were accepted before are still confirmed. Deadlines run on.
type Pause struct {
	ProjectID string // "" for the fleet
	Since     time.Time
	By        string // who pulled it
	Reason    string // as they put it; may be empty
}

// String is one line for people.
func (p Pause) String() string {
	text := fmt.Sprintf("%s paused since %s by %s", scope("all stop calls", "stop calls", p.ProjectID), p.Since.Format(time.RFC3339), p.By)
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return plain.Line(text, maxSaid)
}

// pauseWait is how long a stop waits before it looks again whether the pause is
// over: a compromise between a swift resume and rest for Redis.
const pauseWait = 10 * time.Second

// Pause pulls the brake for one project, or for the fleet if projectID is "".
// It reports false, and changes nothing, when it was pulled already.
func (t *Throttle) Pause(ctx context.Context, projectID, by, reason string) (bool, error) {
	key := pauseKey(orFleet(projectID))
	first, err := t.rdb.HSetNX(ctx, key, "since", time.Now().UnixMilli()).Result()
	if err == nil && first {
		err = t.rdb.HSet(ctx, key, "by", by, "reason", reason).Err()
	}
	if err != nil {
		return false, fmt.Errorf("pause: %w", err)
	}
	return first, nil
}

// Resume lets go of the brake. It reports false when it was not pulled. Stops
// that waited come back within about 15 seconds.
func (t *Throttle) Resume(ctx context.Context, projectID string) (bool, error) {
	n, err := t.rdb.Del(ctx, pauseKey(orFleet(projectID))).Result()
	if err != nil {
		return false, fmt.Errorf("resume: %w", err)
	}
	return n > 0, nil
}

// Pauses lists the brakes that are on, of the fleet and of the given projects.
func (t *Throttle) Pauses(ctx context.Context, projectIDs []string) ([]Pause, error) {
	all := append([]string{fleet}, projectIDs...)
	pipe := t.rdb.Pipeline()
	answers := make([]*redis.MapStringStringCmd, len(all))
	for i, id := range all {
		answers[i] = pipe.HGetAll(ctx, pauseKey(id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("look for pauses: %w", err)
	}
	var pauses []Pause
	for i, id := range all {
		f := answers[i].Val()
		if len(f) == 0 {
			continue
		}
		if id == fleet {
			id = ""
		}
		pauses = append(pauses, Pause{ProjectID: id, Since: at(f["since"]), By: f["by"], Reason: f["reason"]})
	}
	return pauses, nil
}

// paused is the wait of a stop while the brake of a scope is on.
func (t *Throttle) paused(ctx context.Context, scope string) (Wait, error) {
	f, err := t.rdb.HGetAll(ctx, pauseKey(scope)).Result()
	if err != nil {
		return Wait{}, fmt.Errorf("look for a pause: %w", err)
	}
	if len(f) == 0 { // let go of in this moment
		return Wait{For: spread(0, time.Second), Reason: Paused}, nil
	}
	detail := "by " + f["by"]
	if f["reason"] != "" {
		detail += ": " + f["reason"]
	}
	return Wait{For: spread(pauseWait, pauseWait/2), Reason: Paused, Detail: detail}, nil
}

// spread adds up to more, at random, so that those who wait for the same thing
// don't all come at once.
func spread(d, more time.Duration) time.Duration {
	return d + rand.N(more) + time.Millisecond
}

func orFleet(projectID string) string {
	if projectID == "" {
		return fleet
	}
	return projectID
}

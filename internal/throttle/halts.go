package throttle

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/plain"
)

// Halt is a standstill: all calls of a scope wait, but for one probe at a time.
// Credentials and NoAPI halt the whole fleet, Permission and Outage one project.
type Halt struct {
	ProjectID string // "" for the fleet
	Reason    Reason
	Detail    string // the API's words
	Since     time.Time
	NextProbe time.Time
	Probes    int // failed ones so far
}

// maxSaid bounds what a halt or a pause says of itself, in characters.
const maxSaid = 2048

// String is one line for people.
func (h Halt) String() string {
	return plain.Line(fmt.Sprintf("%s halted since %s, %s: %s; %d probes failed, next at %s", scope("all calls", "calls", h.ProjectID),
		h.Since.Format(time.RFC3339), h.Reason, h.Detail, h.Probes, h.NextProbe.Format(time.RFC3339)), maxSaid)
}

func scope(all, some, projectID string) string {
	if projectID == "" {
		return all
	}
	return some + " of project " + projectID
}

// Halts lists what stands still now, of the fleet and of the given projects.
func (t *Throttle) Halts(ctx context.Context, projectIDs []string) ([]Halt, error) {
	pipe := t.rdb.Pipeline()
	answers := []*redis.MapStringStringCmd{pipe.HGetAll(ctx, haltKey(fleet))}
	for _, id := range projectIDs {
		answers = append(answers, pipe.HGetAll(ctx, haltKey(id)))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("look for halts: %w", err)
	}
	var halts []Halt
	for i, a := range answers {
		f := a.Val()
		if f["reason"] == "" {
			continue
		}
		h := Halt{Reason: Reason(f["reason"]), Detail: f["detail"], Since: at(f["since"]), NextProbe: at(f["probe"])}
		h.Probes, _ = strconv.Atoi(f["probes"])
		if i > 0 {
			h.ProjectID = projectIDs[i-1]
		}
		halts = append(halts, h)
	}
	return halts, nil
}

// ProbeSoon makes the next probe of every halt due now: for a worker that
// starts, perhaps with the new credentials that everybody waits for.
func (t *Throttle) ProbeSoon(ctx context.Context, projectIDs []string) error {
	halts, err := t.Halts(ctx, projectIDs)
	if err != nil {
		return err
	}
	for _, h := range halts {
		key := haltKey(fleet)
		if h.ProjectID != "" {
			key = haltKey(h.ProjectID)
		}
		if err := hastenScript.Run(ctx, t.rdb, []string{key}).Err(); err != nil {
			return fmt.Errorf("bring the next probe forward: %w", err)
		}
	}
	return nil
}

func at(ms string) time.Time {
	n, _ := strconv.ParseInt(ms, 10, 64)
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

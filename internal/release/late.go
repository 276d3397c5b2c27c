package release

import (
	"context"
	"fmt"
	"time"

	"vizstop/internal/ledger"
)

// LastLook is for how long after its deadline a stop waits for its last look, if
// a stop call may have worked. An outage is probed more often.
const LastLook = 75 * time.Second

// LookInstead is for how long a stop call that is to be repeated waits, while a person
// or a limit holds it back, until a look is made instead: the job may have ended. If it has
// not, the call waits on.
const LookInstead = time.Minute

// Hasten gives stops whose time is up a look now, if they wait for one or are watched,
// or if a stop call may have worked and another one waits. One whose next call is held
// back gets a look before. Stops whose confirmed time has come wait for no limit from then on.
func (r *Releaser) Hasten(ctx context.Context, projectID string, stops []*ledger.Stop) error {
	return r.hasten(ctx, projectID, ledger.Keys(projectID), stops)
}

func (r *Releaser) hasten(ctx context.Context, projectID string, k ledger.Keys, stops []*ledger.Stop) error {
	if len(stops) == 0 {
		return nil
	}
	keys := []string{k.Look(), k.Watched(), k.Latest(), k.Limited(), k.Held(), k.Small(), k.Large(), k.Control()}
	args := []any{r.now().UnixMilli(), LastLook.Milliseconds(), LookInstead.Milliseconds(), r.holds(projectID)}
	for _, s := range stops {
		keys = append(keys, k.Stop(s.ID))
		args = append(args, s.ID, s.JobID, s.Hop)
	}
	if err := lateScript.Run(ctx, r.rdb, keys, args...).Err(); err != nil {
		return fmt.Errorf("look after %d stops of project %s whose time is up: %w", len(stops), projectID, err)
	}
	return nil
}

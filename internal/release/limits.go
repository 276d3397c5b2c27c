package release

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/limits"
	"vizstop/internal/luascript"
)

// window is the window limit as scripts take it: 0 for none.
func (b *base) window() int {
	if b.cfg.Window == nil {
		return limits.Defaults().Window
	}
	return max(0, b.cfg.Window())
}

// Window is how far a project has used up the window limit: how many stop calls that
// nobody confirmed it may get in any 60 minutes.
type Window struct {
	Limit   int       // 0: none
	Used    int       // calls of the last hour that count
	Allowed int       // how many more somebody has allowed in the last hour
	Waiting int       // stops that nobody confirmed and that wait for their call, due or not
	Opens   time.Time // when so many calls no longer count that one may go out; zero while one may
	Shut    time.Time // since when stops wait for it; zero: none does, or there is no limit
}

// Left is how many calls may go out now; less than 0: any number.
func (w Window) Left() int {
	if w.Limit <= 0 {
		return -1
	}
	return max(0, w.Limit+w.Allowed-w.Used)
}

// Windows reads how far projects have used up the window limit, in their order.
func (r *holdReader) Windows(ctx context.Context, projectIDs ...string) ([]Window, error) {
	if len(projectIDs) == 0 {
		return nil, nil
	}
	pipe := r.rdb.Pipeline()
	for _, id := range projectIDs {
		readWindow(ctx, pipe, ledger.Keys(id))
	}
	answers, err := pipe.Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the window limit of %d projects: %w", len(projectIDs), err)
	}
	all := make([]Window, len(projectIDs))
	for i := range all {
		all[i] = r.windowOf(answers[windowReads*i:])
	}
	return all, nil
}

// minuteCounts is for how many minutes a call counts, as window.lua has it.
const minuteCounts = 62

// windowReads is how many commands read a window.
const windowReads = 3

func readWindow(ctx context.Context, pipe redis.Pipeliner, k ledger.Keys) {
	pipe.HGetAll(ctx, k.Window())
	pipe.HMGet(ctx, k.Limits(), "shut")
	pipe.ZCard(ctx, k.Limited())
}

// shutOf is when the window was noted as shut, in ms; "": it is not.
func shutOf(answers []redis.Cmder) string { return luascript.FieldOf(answers[1]) }

// windowOf is the window as readWindow's commands were answered. window.lua counts
// likewise.
func (r *holdReader) windowOf(answers []redis.Cmder) Window {
	fields, shut := answers[0].(*redis.MapStringStringCmd).Val(), shutOf(answers)
	w := Window{Limit: r.window(), Waiting: int(answers[2].(*redis.IntCmd).Val())}
	if w.Waiting > 0 && w.Limit > 0 {
		w.Shut = millis(shut)
	}
	minute := r.now().UnixMilli() / time.Minute.Milliseconds()
	used, allowed := make(map[int64]int), make(map[int64]int) // by minute
	for name, value := range fields {
		at, err := strconv.ParseInt(name[min(1, len(name)):], 10, 64)
		n, nerr := strconv.Atoi(value)
		switch {
		case err != nil || nerr != nil || at <= minute-minuteCounts:
		case name[0] == 'u':
			used[at] = n
			w.Used += n
		case name[0] == 'a':
			allowed[at] = n
			w.Allowed += n
		}
	}
	more := w.Used - w.Limit - w.Allowed // than may count for one more to go out
	for at := minute + 1 - minuteCounts; at <= minute && more >= 0 && w.Limit > 0; at++ {
		more -= used[at] - allowed[at]
		w.Opens = time.UnixMilli((at + minuteCounts) * time.Minute.Milliseconds()).UTC()
	}
	return w
}

// hold is the hold that the window is, if stops wait for it. If one may go out, the next
// round lets it, or something else holds the project.
func (w Window) hold(of Hold, now time.Time) Hold {
	of.Reason, of.Since, of.Until = WindowLimit, w.Shut, w.Opens
	if of.Until.IsZero() {
		of.Until = now
	}
	of.Detail = fmt.Sprintf("%d of %d stop calls were made within an hour, %d stops wait", w.Used, w.Limit+w.Allowed, w.Waiting)
	return of
}

// Allow lets n more stop calls that nobody confirmed out in a project within the next
// hour, once: what is not used by then is not allowed any more. Calls beyond a limit that
// was higher when they were made are not in their way.
func (r *Releaser) Allow(ctx context.Context, projectID string, n int) error {
	// If this process dies before it can ask for a round, there is one all the same.
	if err := r.Expect(ctx, projectID); err != nil {
		return err
	}
	err := allowScript.Run(ctx, r.rdb, []string{ledger.Keys(projectID).Window()}, r.now().UnixMilli(), n, r.window()).Err()
	if err != nil {
		return fmt.Errorf("allow %d stop calls in project %s: %w", n, projectID, err)
	}
	return Ask(ctx, r.rdb, projectID)
}

// limitsHold notes that limits hold back stops of a project, so that it is shown, and
// tells the observer. News are reasons, each with the batch, if it is of one, behind a
// colon. It is done again if this worker dies in between.
func (r *Releaser) limitsHold(ctx context.Context, projectID string, news []string) error {
	if err := r.markHeld(ctx, projectID, true); err != nil {
		return err
	}
	if err := r.rdb.HDel(ctx, ledger.Keys(projectID).Limits(), "news").Err(); err != nil {
		return fmt.Errorf("note that limits hold stops of project %s back: %w", projectID, err)
	}
	for _, one := range news {
		reason, batch, _ := strings.Cut(one, ":")
		r.observe(true, Began{Reason: Reason(reason), ProjectID: projectID, Batch: batch})
	}
	return nil
}

// limitHolds are the holds that limits put on a project. A batch whose stops have all
// ended is not held any more; noted says that one is noted all the same, and that more
// stops may come for it.
func (r *holdReader) limitHolds(ctx context.Context, of Hold) (holds []Hold, noted bool, err error) {
	k := ledger.Keys(of.ProjectID)
	pipe := r.rdb.Pipeline()
	readWindow(ctx, pipe, k)
	answers, err := pipe.Exec(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("look what limits hold back: %w", err)
	}
	if w := r.windowOf(answers); !w.Shut.IsZero() {
		holds = append(holds, w.hold(of, r.now()))
	}
	held, noted, err := ledger.HeldBatches(ctx, r.rdb, of.ProjectID)
	if err != nil {
		return nil, false, err
	}
	noted = noted || shutOf(answers) != ""
	for _, b := range held {
		h := of
		h.Reason, h.Scope, h.Batch, h.Since = Reason(b.Why), ScopeBatch, b.ID, b.Since
		h.Detail = fmt.Sprintf("%s, %d stops have had no call", b.Words, b.Pending)
		holds = append(holds, h)
	}
	return holds, noted, nil
}

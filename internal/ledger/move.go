package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrNotFound is returned for a stop or batch that the ledger doesn't have: it
// never existed, or its retention is over.
var ErrNotFound = errors.New("not in the ledger")

// ErrWishesChanged is returned for a stop that was to end because its time was up
// or nobody wanted it, and that somebody has asked for, or withdrawn, in this
// moment. The stop has its new deadline.
var ErrWishesChanged = errors.New("the wishes of the stop have changed")

// Step is how a stop is to move to its next hop.
type Step struct {
	Kind Kind      // KindStop or KindPoll
	Due  time.Time // when, by the fleet's time

	// WatchFrom makes the stop watched, in place of Due, if so many stops of the
	// project are stopping, this one among them, and the list check is not resting.
	// 0 or less: never.
	WatchFrom int

	// Latest is when a watched stop is looked at, whatever the list shows; of KindStop,
	// when it is looked after if its call still waits then. Zero: at its deadline.
	Latest time.Time
}

// Advance saves s and moves it to its next hop, which waits for its due time. It
// reports false, and s stays as it was in the ledger, when somebody else has moved
// or ended the stop. On true, s is as the ledger has it: one that was withdrawn meanwhile
// waits for a look, due now, in place of a stop call. A stop moves alone or with others:
// concurrent calls share a script.
func (l *Ledger) Advance(ctx context.Context, s *Stop, to Step) (bool, error) {
	nonce := s.nonce()
	for range tries {
		answer, err := l.moves.Do(s.ProjectID, move{s, to, nonce})
		if err != nil {
			return false, fmt.Errorf("move stop %s in the ledger: %w", s.ID, err)
		}
		switch answer {
		case notMoved:
			return false, nil
		case movedToWait:
			s.Hop, s.Kind, s.Next = s.Hop+1, to.Kind, to.Due.Truncate(time.Millisecond)
			return true, nil
		case movedToWatch:
			s.Hop, s.Kind, s.Next = s.Hop+1, KindWatch, to.Latest.Truncate(time.Millisecond)
			return true, nil
		case movedToLook:
			s.Hop, s.Kind, s.Next, s.Instead = s.Hop+1, KindPoll, l.now().Truncate(time.Millisecond), true
			return true, nil
		}
		if err := l.refresh(ctx, s); err != nil {
			return false, err
		}
	}
	return false, fmt.Errorf("move stop %s in the ledger: its wishes change all the time", s.ID)
}

// move is an item of the move script.
type move struct {
	*Stop
	to    Step
	nonce string
}

// moved is what the move script answers.
type moved int64

const (
	notMoved moved = iota
	movedToWait
	movedToWatch
	wishesChanged
	movedToLook // in place of a stop call: the stop was withdrawn while one was under way
)

func (l *Ledger) runMoves(projectID string, items []move) ([]moved, error) {
	k := l.keys(projectID)
	keys := []string{k.Small(), k.Large(), k.Look(), k.Released(), k.Watched(), k.Latest(), k.In(Pending), k.In(Stopping), k.Control(),
		k.Limited(), k.Held()}
	args := []any{l.now().UnixMilli()}
	for _, m := range items {
		var batches []string
		if m.saved["state"] != string(m.State) {
			batches = m.standing()
		}
		keys = append(keys, k.Stop(m.ID))
		args = append(args, m.ID, m.JobID, m.Hop, m.nonce, m.version, string(m.State), string(m.to.Kind), m.to.Due.UnixMilli(),
			max(0, m.to.WatchFrom), millis(m.to.Latest))
		keys, args = appendItem(k, keys, args, batches, m.changes())
	}
	answers, err := moveScript.Run(context.Background(), l.rdb, keys, args...).Int64Slice()
	if err != nil {
		return nil, err
	}
	list := make([]moved, len(answers))
	for i, a := range answers {
		list[i] = moved(a)
	}
	return list, nil
}

// appendItem appends the batches and the fields of an item to the keys and
// arguments of a script.
func appendItem(k Keys, keys []string, args []any, batches []string, fields []any) ([]string, []any) {
	args = append(args, len(batches))
	for _, b := range batches {
		keys = append(keys, k.batch(b))
		args = append(args, b)
	}
	args = append(args, len(fields)/2)
	return keys, append(args, fields...)
}

// refresh reads what scripts write, after somebody else has changed the wishes
// of s.
func (l *Ledger) refresh(ctx context.Context, s *Stop) error {
	now, err := l.Get(ctx, s.ProjectID, s.ID)
	if err != nil {
		return err
	}
	s.Due, s.Deadline, s.Wishes, s.Withdrawn, s.version = now.Due, now.Deadline, now.Wishes, now.Withdrawn, now.version
	return nil
}

// ending is an item of the finish script.
type ending struct {
	*Stop
	outcome State
	reason  string
	nonce   string
	took    time.Duration
}

// What the finish script answers besides 0, for nothing done.
const (
	finished       = 1
	wishesDiffered = 2
)

// Finish saves s and ends it with outcome and reason. It reports true to
// exactly one of all callers, who then counts the outcome. An outcome that the
// wishes decide (Expired, Canceled) is ErrWishesChanged if they change in this
// moment. took is how long the
// job took to stop, to be learned from; 0 if that is not known.
func (l *Ledger) Finish(ctx context.Context, s *Stop, outcome State, reason string, took time.Duration) (bool, error) {
	if !outcome.Ended() {
		return false, fmt.Errorf("end stop %s: %q is not an outcome", s.ID, outcome)
	}
	nonce := s.nonce()
	for range tries {
		answer, err := l.finishes.Do(s.ProjectID, ending{s, outcome, reason, nonce, took})
		if err != nil {
			return false, fmt.Errorf("end stop %s in the ledger: %w", s.ID, err)
		}
		if answer != wishesDiffered {
			if answer == finished {
				s.State, s.Reason, s.Ended, s.Next = outcome, reason, l.now().Truncate(time.Millisecond), time.Time{}
			}
			return answer == finished, nil
		}
		if err := l.refresh(ctx, s); err != nil {
			return false, err
		}
		if outcome == Expired || outcome == Canceled { // perhaps not any more
			return false, ErrWishesChanged
		}
	}
	return false, fmt.Errorf("end stop %s in the ledger: its wishes change all the time", s.ID)
}

// keptTimes is how many times-to-stop of a project are kept: what is older is
// forgotten, so what is learned follows the jobs.
const keptTimes = 200

func (l *Ledger) runFinishes(projectID string, items []ending) ([]int64, error) {
	k := l.keys(projectID)
	keys := k.closing()
	args := []any{l.now().UnixMilli(), keptTimes}
	for _, e := range items {
		took := ""
		if e.took > 0 {
			took = strconv.FormatInt(e.took.Milliseconds(), 10)
		}
		ended := *e.Stop
		ended.Reason = e.reason
		keys = append(keys, k.Stop(e.ID))
		args = append(args, e.ID, e.Hop, string(e.outcome), e.nonce, e.version, took)
		keys, args = appendItem(k, keys, args, e.standing(), append(ended.changes(), "next", ""))
	}
	return finishScript.Run(context.Background(), l.rdb, keys, args...).Int64Slice()
}

// Withdrawal is what became of a wish that was to be withdrawn.
type Withdrawal string

// What Withdraw answers.
const (
	Withdrew Withdrawal = "canceled" // no stop call goes out for it
	TooLate  Withdrawal = "sent"     // the stop call has gone out, or may have; no other one goes out
	Over     Withdrawal = "ended"    // the stop had an outcome before
	NoWish   Withdrawal = "missing"  // the stop does not serve that batch
)

// Withdraw takes back what a batch wants of the stop with that id, as long as no
// call may have gone out. The stop ends as canceled when nobody wants it any more;
// the outcome is then counted by a worker, through Uncounted. A wish for which it
// was too late has the outcome of the stop, and no further call goes out for it.
// Doing it again gets the same answer.
func (l *Ledger) Withdraw(ctx context.Context, projectID, id, batch, why string) (Withdrawal, error) {
	k := l.keys(projectID)
	answer, err := withdrawScript.Run(ctx, l.rdb, append(k.closing(), k.Stop(id), k.batch(batch)),
		l.now().UnixMilli(), id, batch, why).Text()
	if err != nil {
		return "", fmt.Errorf("withdraw stop %s of batch %s: %w", id, batch, err)
	}
	return Withdrawal(answer), nil
}

// Uncounted takes, once for all callers, up to n stops of a project that ended
// outside of a worker, so that a worker can count them.
func (l *Ledger) Uncounted(ctx context.Context, projectID string, n int) ([]*Stop, error) {
	ids, err := l.rdb.LPopCount(ctx, l.keys(projectID).Uncounted(), n).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for uncounted stops of project %s: %w", projectID, err)
	}
	return l.GetAll(ctx, projectID, ids)
}

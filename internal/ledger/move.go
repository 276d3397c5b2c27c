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

// Get reads one stop. It returns ErrNotFound when there is none.
func (l *Ledger) Get(ctx context.Context, projectID, id string) (*Stop, error) {
	f, err := l.rdb.HGetAll(ctx, keys(projectID).stop(id)).Result()
	return l.read(projectID, id, f, err)
}

// Claim reads the stop for the task of the given hop and kind, and marks a call
// that is about to be made. The caller may act only when the stop has not ended
// and stands at this very hop and kind. It returns ErrNotFound when there is no
// such stop.
func (l *Ledger) Claim(ctx context.Context, projectID, id string, hop int, kind Kind) (*Stop, error) {
	f, err := claimScript.Run(ctx, l.rdb, []string{keys(projectID).stop(id)}, hop, string(kind)).StringSlice()
	return l.read(projectID, id, pairs(f), err)
}

func (l *Ledger) read(projectID, id string, f map[string]string, err error) (*Stop, error) {
	if err != nil {
		return nil, fmt.Errorf("read stop %s from the ledger: %w", id, err)
	}
	if f["state"] == "" {
		return nil, fmt.Errorf("stop %s of project %s: %w", id, projectID, ErrNotFound)
	}
	return decode(projectID, id, f), nil
}

// Advance saves s and moves it to its next hop, whose task, of the given kind,
// is due at due. It reports false, and s stays as it was in the ledger, when
// somebody else has moved or ended the stop. On true, s is as the ledger has
// it and the caller must enqueue the task of the new hop.
func (l *Ledger) Advance(ctx context.Context, s *Stop, kind Kind, due time.Time) (bool, error) {
	moved, _, err := l.advance(ctx, s, step{kind: kind, due: due})
	return moved, err
}

// Replace is Advance for a stop whose task was lost: the next hop does what the
// lost one was to do; a watched stop is polled. If that was the stop call, and a
// worker had claimed it, the stop becomes unsure, because the call may have gone
// out.
func (l *Ledger) Replace(ctx context.Context, s *Stop, due time.Time) (bool, error) {
	kind := s.Kind
	if kind == KindWatch {
		kind = KindPoll
	}
	moved, _, err := l.advance(ctx, s, step{kind: kind, due: due, lost: true})
	return moved, err
}

// step is how a stop is to move.
type step struct {
	kind Kind
	due  time.Time
	rule WatchRule
	lost bool // the task of the present hop was lost
}

// WatchRule says when a stop may be watched by its project's screen instead of
// being polled. The zero value forbids it.
type WatchRule struct {
	Least  int       // stops of the project that are stopping, this one among them; 0 or less: never
	From   time.Time // when the screen is to look for the job first
	Latest time.Time // when the job is to be looked at, whatever the screen finds
}

// Follow is Advance to the next look at a job that is stopping. The stop gets a
// poll task due at due or, where rule and the project's screen allow it, is
// watched. The caller must then enqueue the task of the screen's hop instead,
// which is there already unless this is the first watched stop; screenHop is 0
// when it certainly is.
func (l *Ledger) Follow(ctx context.Context, s *Stop, due time.Time, rule WatchRule) (moved bool, screenHop int, err error) {
	return l.advance(ctx, s, step{kind: KindPoll, due: due, rule: rule})
}

// What the advance script answers.
const (
	notMoved = iota
	movedToTask
	movedToWatch
)

func (l *Ledger) advance(ctx context.Context, s *Stop, to step) (bool, int, error) {
	moved, rule := *s, to.rule
	moved.Hop, moved.Kind, moved.Next = s.Hop+1, to.kind, to.due.Truncate(time.Millisecond)
	k := keys(s.ProjectID)
	args := append([]any{s.ID, s.Hop, randomID(), string(s.State), to.lost, to.due.UnixMilli(), s.JobID, l.now().UnixMilli(), max(0, rule.Least),
		millis(rule.From), millis(rule.Latest)}, moved.changes()...)
	answer, err := advanceScript.Run(ctx, l.rdb,
		[]string{k.stop(s.ID), k.next(), k.in(Pending), k.in(Stopping), k.batch(s.Batch), k.watched(), k.screen()}, args...).Int64Slice()
	if err != nil {
		return false, 0, fmt.Errorf("move stop %s in the ledger: %w", s.ID, err)
	}
	ok, screenHop := answer[0] != notMoved, 0
	if answer[0] == movedToWatch {
		moved.Kind, moved.Next, screenHop = KindWatch, rule.Latest.Truncate(time.Millisecond), int(answer[1])
	}
	return moved.become(s, ok), screenHop, nil
}

// Finish saves s and ends it with outcome and reason. It reports true to
// exactly one of all callers, who then counts the outcome. took is how long the
// job took to stop, to be learned from; 0 if that is not known.
func (l *Ledger) Finish(ctx context.Context, s *Stop, outcome State, reason string, took time.Duration) (bool, error) {
	return l.finish(ctx, s, ending{outcome: outcome, reason: reason, expected: strconv.Itoa(s.Hop), took: took})
}

// unsent stands for the hop of a stop whose call has not gone out.
const unsent = "unsent"

// Cancel ends s as canceled if its stop call has not gone out and is not on its
// way. The outcome is counted by a worker, through Uncounted.
func (l *Ledger) Cancel(ctx context.Context, s *Stop, reason string) (bool, error) {
	return l.finish(ctx, s, ending{outcome: Canceled, reason: reason, expected: unsent, tell: true})
}

// ending is how a stop is to end.
type ending struct {
	outcome  State
	reason   string
	expected string // the hop, or unsent
	tell     bool   // have a worker count it
	took     time.Duration
}

func (l *Ledger) finish(ctx context.Context, s *Stop, e ending) (bool, error) {
	if !e.outcome.Ended() {
		return false, fmt.Errorf("end stop %s: %q is not an outcome", s.ID, e.outcome)
	}
	ended := *s
	ended.State, ended.Reason, ended.Ended = e.outcome, e.reason, l.now().Truncate(time.Millisecond)
	ended.Next, ended.Slot, ended.Screened = time.Time{}, time.Time{}, NotScreened
	k := keys(s.ProjectID)
	keyNames := []string{k.stop(s.ID), k.next(), k.in(Pending), k.in(Stopping), k.batch(s.Batch),
		k.active(), k.stops(s.Batch), k.joined(s.Batch), k.last(s.JobID), k.uncounted(), k.watched(), k.times()}
	if s.task != "" {
		keyNames = append(keyNames, s.task)
	}
	took := ""
	if e.took > 0 {
		took = strconv.FormatInt(e.took.Milliseconds(), 10)
	}
	args := append([]any{s.ID, e.expected, string(e.outcome), randomID(), seconds(l.retention), seconds(pointerLife), e.tell, took, keptTimes},
		ended.changes()...)
	ok, err := finishScript.Run(ctx, l.rdb, keyNames, args...).Bool()
	if err != nil {
		return false, fmt.Errorf("move stop %s in the ledger: %w", s.ID, err)
	}
	return ended.become(s, ok), nil
}

// Uncounted takes, once for all callers, up to n stops of a project that ended
// outside of a worker, so that a worker can count them.
func (l *Ledger) Uncounted(ctx context.Context, projectID string, n int) ([]*Stop, error) {
	ids, err := l.rdb.LPopCount(ctx, keys(projectID).uncounted(), n).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for uncounted stops of project %s: %w", projectID, err)
	}
	return l.readAll(ctx, projectID, ids)
}

// become makes *s what a script has saved, if it has.
func (saved *Stop) become(s *Stop, ok bool) bool {
	if ok {
		saved.saved = saved.fields()
		*s = *saved
	}
	return ok
}

func pairs(list []string) map[string]string {
	m := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	return m
}

// readAll reads many stops of one project in one round trip; those that the
// ledger no longer has are left out.
func (l *Ledger) readAll(ctx context.Context, projectID string, ids []string) ([]*Stop, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	k := keys(projectID)
	pipe := l.rdb.Pipeline()
	answers := make([]*redis.MapStringStringCmd, len(ids))
	for i, id := range ids {
		answers[i] = pipe.HGetAll(ctx, k.stop(id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read %d stops from the ledger: %w", len(ids), err)
	}
	stops := make([]*Stop, 0, len(ids))
	for i, id := range ids {
		if f := answers[i].Val(); f["state"] != "" {
			stops = append(stops, decode(projectID, id, f))
		}
	}
	return stops, nil
}

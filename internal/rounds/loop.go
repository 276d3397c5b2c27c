// Package rounds is what every worker does besides handling tasks: it says that
// it lives, makes the rounds of projects that are due, checks lists, takes back
// what dead workers have left, and tidies up.
package rounds

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"vizstop/internal/actions"
	"vizstop/internal/fleet"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
)

// Recorder is told what is worth counting. Its methods must be safe for
// concurrent use.
type Recorder interface {
	tasks.Recorder
	Recovered(kind string)     // a step was released again; one of RecoveryKinds
	ListChecked(result string) // one of release.ListResults
}

// Config is what the loop works with. Every field without a default is needed.
type Config struct {
	Redis    redis.UniversalClient
	Ledger   *ledger.Ledger
	Actions  *actions.Book
	Release  *release.Releaser
	Member   *fleet.Member
	Handlers *tasks.Handlers
	Carrier  *tasks.Carrier
	Queue    *tasks.Inspector
	Slots    *tasks.Slots
	Lists    Lists
	Recorder Recorder
	Schedule tasks.Schedule // with its defaults

	Parallel  int           // API calls at once
	Idle      time.Duration // between two looks at the rounds while there is no work; at least 500 ms
	Retention time.Duration // of ended batches and of actions
	// Carried is called when tasks have been put into the queue. It must be quick.
	Carried func()
	// ShadowWoken is called when a producer has asked for shadow stops. It must be quick.
	ShadowWoken func()
	Logger      *slog.Logger
}

// Loop makes rounds. Run it once.
type Loop struct {
	Config
	*pulls
	work   sync.WaitGroup // what rounds have started
	ended  atomic.Bool    // no more rounds are made
	inline inline

	lacking lacking // Run's own

	trouble trouble

	mu     sync.Mutex
	probes map[string]bool     // projects in which a credential is to be tried
	seams  map[string][2]seams // of each project's list, as this worker has read it the last two times

	checking  map[string]bool // projects whose list this worker checks now
	listTimes listTimes

	fell   time.Time // when the last worker fell silent that this one knows of
	deaths time.Time // local time at which it heard of that

	doubted   map[string]time.Time // accounts whose credential may be refused, by when steps of theirs were released last
	elsewhere map[string]string    // projects whose stops in flight are at another endpoint, and at which
}

// New returns a loop; Run makes it work.
func New(cfg Config) *Loop {
	return &Loop{Config: cfg, pulls: newPulls(), probes: make(map[string]bool),
		seams: make(map[string][2]seams), doubted: make(map[string]time.Time),
		elsewhere: make(map[string]string), checking: make(map[string]bool)}
}

// Pull says that a project needs a round after that long, at the latest. It is
// told with the next look at the rounds.
func (l *Loop) Pull(projectID string, after time.Duration) {
	if l.add(projectID, after) && after < busyWait {
		l.Wake()
	}
}

const (
	leastWait = 5 * time.Millisecond   // between two looks at the rounds
	busyWait  = 25 * time.Millisecond  // while there is work
	leastIdle = 500 * time.Millisecond // while there is none: whoever gives work says so
	errorWait = time.Second            // after an error of Redis
)

// Run makes rounds until ctx ends, and returns when what they have started has
// ended, too.
func (l *Loop) Run(ctx context.Context) {
	var over []release.Settled
	for ctx.Err() == nil {
		for _, project := range l.probed() {
			l.start(true, func() { l.probe(ctx, project) })
		}
		over = append(over, l.drain()...)
		due, err := l.Release.Turns(ctx, over, l.lacking.room(func() bool { return l.budget(ctx) > 0 },
			l.inline.free(l.withLooksAhead(l.Parallel)), l.crowdedWait()))
		wait := errorWait
		if err == nil {
			over, wait = l.serve(ctx, due.Turns)
			if due.Next >= 0 {
				wait = min(wait, due.Next)
			}
			l.lacking.lack = due.Lack
			wait = l.lacking.until(wait)
		} else if ctx.Err() == nil {
			l.Logger.WarnContext(ctx, "rounds are held up", "error", err)
		}
		l.rest(ctx, max(wait, leastWait), len(over) > 0)
	}
	l.ended.Store(true)
	l.settle(ctx, over)
	l.work.Wait()
	l.settle(ctx, nil) // what was given back
}

// settle tells what is over when the loop ends, so that no project waits.
func (l *Loop) settle(ctx context.Context, over []release.Settled) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	for i := range over {
		over[i].Next = max(0, over[i].Next)
	}
	for _, s := range append(over, l.drain()...) {
		_ = l.Release.Ask(ctx, s.ProjectID) // others find it in time
	}
}

// rest waits, but not when it is woken.
func (l *Loop) rest(ctx context.Context, wait time.Duration, busy bool) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.bell:
		if busy { // not more often than this
			least := time.NewTimer(leastWait)
			defer least.Stop()
			select {
			case <-least.C:
			case <-ctx.Done():
			}
		}
	case <-ctx.Done():
	}
}

// roundsAtOnce is how many rounds a worker makes at the same time.
const roundsAtOnce = 8

// serve makes the rounds that are due, and returns how they ended and when to
// look again.
func (l *Loop) serve(ctx context.Context, turns []release.Turn) ([]release.Settled, time.Duration) {
	if len(turns) == 0 {
		return nil, max(l.Idle, leastIdle)
	}
	budget := l.budget(ctx)
	over := make([]release.Settled, len(turns))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(roundsAtOnce)
	for i, turn := range turns {
		group.Go(func() error {
			over[i] = l.round(groupCtx, ctx, turn, budget, min(len(turns), roundsAtOnce))
			return nil
		})
	}
	_ = group.Wait() // rounds return no error
	wait := busyWait
	for _, s := range over {
		if s.Next >= 0 {
			wait = min(wait, s.Next)
		}
	}
	return over, wait
}

const (
	roomPerSlot   = 4  // steps of one project that are released for each slot of the fleet that it may have
	budgetPerSlot = 16 // tasks of all projects that wait in the queue for each slot
)

// budget is how many tasks may be added to the queue.
func (l *Loop) budget(ctx context.Context) int {
	waiting, err := l.Queue.Pending(ctx, tasks.Queue)
	if err != nil {
		return 0
	}
	return max(0, budgetPerSlot*l.slots()-waiting)
}

// crowdedWait is how long the slots take to work off a quarter of a full queue.
func (l *Loop) crowdedWait() time.Duration {
	return min(max(budgetPerSlot/4*l.Slots.CallTime(), 2*busyWait), 4*mostRest)
}

// slots is how many calls the fleet makes at once.
func (l *Loop) slots() int { return max(l.Parallel, l.Member.Census().Slots) }

// round makes the round of one project, one of so many at once, and returns when the next one is due. What it starts
// goes on within work.
func (l *Loop) round(ctx, work context.Context, turn release.Turn, budget, rounds int) release.Settled {
	projectID := turn.ProjectID
	share := l.share(projectID, budget, rounds)
	r, err := l.Release.Round(ctx, projectID, release.Need{
		Room: share.room, Most: share.most, Inline: share.inline, Busy: share.busy, Backlog: share.backlog,
		ListFrom: l.Schedule.ListFrom, Unlisted: l.unseen(),
		Unwatched: l.Schedule.PollFirst, Silence: l.silence(), Rest: share.rest,
	})
	l.trouble.made(part{projectID: projectID}, err)
	l.inline.give(projectID, share.kept, len(r.Left))
	if err != nil {
		if ctx.Err() == nil {
			l.Logger.WarnContext(ctx, "a round was not made", "project", projectID, "error", err)
		}
		return release.Settled{Turn: turn, Next: errorWait}
	}
	l.used(share, r.Given())
	l.noteElsewhere(ctx, projectID, r.Elsewhere)
	l.start(len(r.Stops)+len(r.Polls) > 0, func() { l.carry(work, projectID, r) })
	l.start(len(r.Left) > 0, func() { l.lookAt(work, projectID, r.Left) })
	l.start(len(r.Late) > 0, func() { l.late(work, projectID, r.Late) })
	l.start(len(r.Silent) > 0, func() { l.recover(work, projectID, r.Silent) })
	l.start(r.List != nil, func() { l.listCheck(work, projectID, *r.List, r.Ill) })
	l.start(r.Probe, func() { l.probe(work, projectID) })
	l.start(r.Count, func() { l.count(work, projectID) })
	over := release.Settled{Turn: turn, Next: r.Next, Lack: r.Lack, Wait: r.Wait}
	if over.Next >= 0 {
		over.Next = max(over.Next, share.wait)
	}
	if share.full && over.Next >= 0 {
		over.Lack |= release.LackKept
	}
	return over
}

func (l *Loop) start(needed bool, do func()) {
	if needed {
		l.work.Go(do)
	}
}

// carry puts the tasks of what was released into the queue, and goes on until
// Redis has taken them. It tries once even if ctx has ended.
func (l *Loop) carry(ctx context.Context, projectID string, r release.Round) {
	try := context.WithoutCancel(ctx)
	for {
		err := l.Carrier.Carry(try, projectID, ledger.KindStop, r.Stops)
		if err == nil {
			err = l.Carrier.Carry(try, projectID, ledger.KindPoll, r.Polls)
		}
		l.trouble.made(part{projectID: projectID, carry: true}, err)
		if err == nil {
			l.Carried()
			return
		}
		l.Logger.WarnContext(ctx, "released steps have no task yet", "project", projectID, "error", err)
		select {
		case <-ctx.Done(): // this worker ends: another releases them again
			return
		case <-time.After(errorWait):
		}
	}
}

// count counts the stops that ended outside of a worker: enqueue has no metrics
// page.
func (l *Loop) count(ctx context.Context, projectID string) {
	if err := count(ctx, l.Ledger, l.Recorder, projectID); err != nil {
		l.Logger.WarnContext(ctx, "some canceled stops were not counted yet", "project", projectID, "error", err)
	}
}

func count(ctx context.Context, books *ledger.Ledger, recorder tasks.Recorder, projectID string) error {
	const atOnce = 500
	for {
		stops, err := books.Uncounted(ctx, projectID, atOnce)
		for _, s := range stops {
			tasks.Record(recorder, s)
		}
		if err != nil || len(stops) < atOnce {
			return err
		}
	}
}

package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Ask is a wish to stop one job.
type Ask struct {
	JobID    string
	Due      time.Time // when to stop it, by the fleet's time; the zero time means now
	Deadline time.Time // must lie after Due
	Labels   map[string]string
	Trace    string // the traceparent of its trace; "": none
	Listed   bool   // its producer has seen the job in a list of the API
	Shadow   bool   // only tell what a stop call would meet; all asks of one call are the same
	Fault    string // why nobody can carry it out: its stop ends at once, as rejected; "" if it has a job id
	// Confirmed says that a person has confirmed this very number of stops. The limits
	// on what nobody confirmed (see Keys.Limits) are not for such a stop. False: nobody
	// did.
	Confirmed bool
}

// Result is what became of an Ask.
type Result string

// What Open answers for each Ask.
const (
	Opened Result = "opened" // a new stop
	Known  Result = "known"  // asked before in this batch
	Joined Result = "joined" // another stop of the job is active and serves this wish too
	Full   Result = "full"   // nothing was recorded: the job's active stop serves MaxWishes batches already
)

// What the scripts answer for an ask that another one has to carry out.
const (
	toJoin  Result = "join"
	toRenew Result = "again"
	taken   Result = "taken" // ask by another id
)

// elsewhere is what the open script answers, in place of results, if the stops in
// flight are at another endpoint.
const elsewhere = "elsewhere"

// ElsewhereError is returned for asks of jobs at one endpoint while stops of their
// project are in flight at another.
type ElsewhereError struct{ ProjectID, Recorded, Named string }

// Error says where the stops in flight are, and what to do.
func (e *ElsewhereError) Error() string {
	return fmt.Sprintf("stops of project %s are in flight at %s, and these jobs are at %s: name that endpoint or region, or wait until they have ended",
		e.ProjectID, e.Recorded, e.Named)
}

// CheckEndpoint returns an *ElsewhereError if asks of jobs at an endpoint would be
// refused now.
func (l *Ledger) CheckEndpoint(ctx context.Context, projectID, endpoint string) error {
	k := l.keys(projectID)
	pipe := l.rdb.Pipeline()
	recorded := pipe.HGet(ctx, k.Control(), "endpoint")
	inFlight := pipe.Exists(ctx, k.In(Pending), k.In(Stopping))
	switch _, err := pipe.Exec(ctx); {
	case err != nil && !errors.Is(err, redis.Nil):
		return fmt.Errorf("look at which endpoint the stops of project %s are: %w", projectID, err)
	case recorded.Val() == "" || endpoint == "" || recorded.Val() == endpoint || inFlight.Val() == 0:
		return nil
	}
	return &ElsewhereError{projectID, recorded.Val(), endpoint}
}

// Opening is the answer to one Ask.
type Opening struct {
	Result Result
	StopID string // the stop that serves the Ask
	JobID  string
}

const (
	// OpenChunk is how many asks Open takes at most: one script, about a
	// millisecond of Redis' time.
	OpenChunk = 250
	// smallStops is how many stops of each batch go ahead of those of larger
	// batches.
	smallStops = 100
)

// Open records a wish for each ask, all in one batch of one project. A job with
// an active stop of the same kind, real or shadow, is joined to it. A batch has stops
// of one kind: else it is an *OtherKindError. Asking again for the same job in the same batch
// changes nothing. The answers stand in the order of asks, of which there are at
// most OpenChunk.
func (l *Ledger) Open(ctx context.Context, projectID, batch string, asks []Ask) ([]Opening, error) {
	return l.OpenAt(ctx, projectID, batch, "", asks)
}

// OpenAt is Open for jobs that are known to be at an API endpoint; "" if that is
// not known. While stops of the project are in flight, they are all at the endpoint
// that was named first: another one is an *ElsewhereError, and nothing is recorded
// of the asks that it is returned for.
func (l *Ledger) OpenAt(ctx context.Context, projectID, batch, endpoint string, asks []Ask) ([]Opening, error) {
	if len(asks) > OpenChunk {
		return nil, fmt.Errorf("open %d stops at once: the limit is %d", len(asks), OpenChunk)
	}
	l, err := l.forAsks(asks)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(asks))
	for i, a := range asks {
		ids[i] = l.stopID(batch, projectID, a.JobID)
	}
	return l.open(ctx, projectID, batch, endpoint, false, asks, ids)
}

// Asked says of which jobs a stop was asked for in a batch already. Asks that were recorded
// are found until their stops are forgotten.
func (l *Ledger) Asked(ctx context.Context, projectID, batch string, jobIDs []string) (map[string]bool, error) {
	ids := make([]string, len(jobIDs))
	for i, job := range jobIDs {
		ids[i] = l.stopID(batch, projectID, job)
	}
	records, err := l.hashes(ctx, projectID, ids)
	asked := map[string]bool{}
	for i, f := range records {
		if len(f) > 0 {
			asked[jobIDs[i]] = true
		}
	}
	return asked, err
}

// tries is how often an ask may meet a stop that ends in this moment.
const tries = 10

// open records asks under the ids of their stops. shared says that producers who know
// nothing of each other have the batch in common.
func (l *Ledger) open(ctx context.Context, projectID, batch, endpoint string, shared bool, asks []Ask, ids []string) ([]Opening, error) {
	if len(asks) == 0 {
		return nil, nil
	}
	if err := l.register(ctx, projectID, batch); err != nil {
		return nil, err
	}
	now := l.now()
	for i := range asks {
		if asks[i].Due.IsZero() {
			asks[i].Due = now
		}
	}
	openings := make([]Opening, len(asks))
	todo := make([]int, len(asks)) // indexes of asks
	for i := range todo {
		todo[i] = i
	}
	for range tries {
		joins, again, err := l.openNew(ctx, projectID, batch, endpoint, shared, asks, ids, todo, openings)
		if err == nil {
			todo, err = l.join(ctx, projectID, batch, shared, asks, ids, joins, openings)
			todo = append(todo, again...)
		}
		if err != nil {
			return nil, fmt.Errorf("open %d stops of project %s in the ledger: %w", len(asks), projectID, err)
		}
		if len(todo) == 0 {
			return openings, nil
		}
	}
	return nil, fmt.Errorf("open stops of project %s in the ledger: the stop of job %s ends again and again while it is joined", projectID, asks[todo[0]].JobID)
}

// openNew opens what no stop is active for, and returns the asks that are to join one, and those that have another id
// now and are to be asked again.
func (l *Ledger) openNew(ctx context.Context, projectID, batch, endpoint string, shared bool, asks []Ask, ids []string,
	todo []int, openings []Opening) (joins, again []int, err error) {
	k := l.keys(projectID)
	keys := []string{k.Active(), k.Small(), k.Large(), k.In(Pending), k.Latest(), k.batch(batch), k.stops(batch), k.ended(), k.Uncounted(), k.Control(), k.In(Stopping),
		k.Limited(), k.Held(), k.Limits()}
	args := []any{l.now().UnixMilli(), batch, smallStops, endpoint, flag(shared), string(l.firstKind()), randomID()}
	for _, i := range todo {
		a := asks[i]
		keys = append(keys, k.Stop(ids[i]))
		args = append(args, ids[i], a.JobID, millis(a.Due), millis(a.Deadline), a.Trace, encodeLabels(a.Labels), a.Fault, flag(a.Listed), l.confirmed(a))
	}
	answers, err := openScript.Run(ctx, l.rdb, keys, args...).StringSlice()
	if err != nil {
		return nil, nil, err
	}
	if answers[0] == elsewhere {
		return nil, nil, &ElsewhereError{projectID, answers[1], endpoint}
	}
	for n, i := range todo {
		openings[i] = Opening{Result: Result(answers[2*n]), StopID: answers[2*n+1], JobID: asks[i].JobID}
		switch openings[i].Result {
		case toJoin:
			joins = append(joins, i)
		case taken:
			ids[i], again = hash(ids[i], batch), append(again, i)
		}
	}
	return joins, again, nil
}

// join adds wishes to active stops, and returns the asks whose stop has ended
// meanwhile.
func (l *Ledger) join(ctx context.Context, projectID, batch string, shared bool, asks []Ask, ids []string, joins []int,
	openings []Opening) (again []int, err error) {
	if len(joins) == 0 {
		return nil, nil
	}
	k := l.keys(projectID)
	keys := []string{k.Active(), k.Small(), k.Large(), k.In(Pending), k.Latest(), k.batch(batch), k.stops(batch), k.ended(), k.Limited(), k.Held(), k.Limits()}
	args := []any{l.now().UnixMilli(), batch, MaxWishes, smallStops, randomID(), noteLife(shared)}
	for _, i := range joins {
		a := asks[i]
		keys = append(keys, k.Stop(openings[i].StopID), k.Stop(ids[i]))
		args = append(args, openings[i].StopID, ids[i], a.JobID, millis(a.Due), millis(a.Deadline), encodeLabels(a.Labels), flag(a.Listed), l.confirmed(a))
	}
	answers, err := joinScript.Run(ctx, l.rdb, keys, args...).StringSlice()
	if err != nil {
		return nil, err
	}
	for n, i := range joins {
		if openings[i].Result = Result(answers[n]); openings[i].Result == toRenew {
			again = append(again, i)
		}
	}
	return again, nil
}

// noteLife is for how long (s) it is noted that a batch has asked for a job twice, by
// two ids; "": not at all. Only foreign tasks have ids of their own.
func noteLife(shared bool) any {
	if !shared {
		return ""
	}
	return int(pointerLife.Seconds())
}

const (
	// pointerLife is how long a foreign task is remembered at most.
	pointerLife = 7 * 24 * time.Hour
	// pointerRest is how long after the end of its stop a foreign task still means
	// that stop: longer than the queue takes to deliver a task again, short enough
	// that a producer who uses the same task id the next day is heard.
	pointerRest = 10 * time.Minute
)

// OpenForeign records the stop that a foreign task asks for, on first sight of
// the task. The same taskID finds the same stop again until ten minutes after it
// has ended. The batch is one of the day's, named "queue-" and the date, and
// "-shadow" if it is that of shadow stops. Another task of the day for a job whose stop is in
// flight is Known, too: the wish of the batch is until the later deadline then, and stands.
func (l *Ledger) OpenForeign(ctx context.Context, projectID, taskID string, ask Ask) (Opening, error) {
	batch := "queue-" + l.now().UTC().Format("20060102")
	if ask.Shadow {
		l, batch = l.Shadow(), batch+"-shadow"
	}
	id, err := l.foreign(ctx, projectID, taskID)
	if err != nil {
		return Opening{}, fmt.Errorf("record task %q in the ledger: %w", taskID, err)
	}
	openings, err := l.open(ctx, projectID, batch, "", true, []Ask{ask}, []string{id})
	if err != nil {
		return Opening{}, err
	}
	if r := openings[0].Result; r == Known || r == Full { // as Describe: perhaps the batch of this day has no stop
		ended := redis.Z{Score: float64(l.now().UnixMilli()), Member: batch}
		if err := l.rdb.ZAddNX(ctx, l.keys(projectID).ended(), ended).Err(); err != nil {
			return Opening{}, fmt.Errorf("note batch %s in the ledger: %w", batch, err)
		}
	}
	return openings[0], nil
}

// foreign is the id of the stop of a foreign task.
func (l *Ledger) foreign(ctx context.Context, projectID, taskID string) (id string, err error) {
	k := l.keys(projectID)
	pointer := k.task(taskID)
	id = randomID()
	first, err := l.rdb.SetNX(ctx, pointer, id, pointerLife).Result()
	if err != nil || first {
		return id, err
	}
	if id, err = l.rdb.Get(ctx, pointer).Result(); err != nil {
		return "", err
	}
	ended, known, err := l.endOf(ctx, projectID, id)
	switch {
	case err != nil:
		return "", err
	case known && (ended.IsZero() || l.now().Sub(ended) < pointerRest):
		return id, nil
	}
	id = hash(taskID, id) // the same for everybody who sees the task now
	return id, l.rdb.Set(ctx, pointer, id, pointerLife).Err()
}

// endOf is when the stop ended that serves what was asked for under an id; zero: it is
// in flight, or whoever saw the task died before anything was recorded. known is false if
// that stop is forgotten.
func (l *Ledger) endOf(ctx context.Context, projectID, id string) (ended time.Time, known bool, err error) {
	records, err := l.hashes(ctx, projectID, []string{id})
	if err != nil {
		return time.Time{}, false, err
	}
	served, note := records[0]["served"]
	if !note {
		return timeIn(records[0]["ended"]), true, nil
	}
	if records, err = l.hashes(ctx, projectID, []string{served}); err != nil {
		return time.Time{}, false, err
	}
	return timeIn(records[0]["ended"]), len(records[0]) > 0, nil
}

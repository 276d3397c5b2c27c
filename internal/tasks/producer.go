package tasks

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hibiken/asynq"
	"golang.org/x/sync/errgroup"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/tracing"
)

// Pace is how many stops a second of one batch in one project are started, where
// the API takes so many calls a second: four fifths, which leaves room for lists
// and polls. 0 means no limit, for both.
func Pace(rate float64) float64 { return 0.8 * rate }

// Producer asks for stops: it records them in the ledger and then enqueues
// their first tasks. It is safe for concurrent use.
type Producer struct {
	ledger *ledger.Ledger
	queue  *asynq.Client
	tracer *tracing.Tracer
}

// NewProducer returns a producer on the given ledger and queue, which must be
// in the same Redis.
func NewProducer(l *ledger.Ledger, queue *asynq.Client) *Producer {
	return &Producer{ledger: l, queue: queue}
}

// Traced makes p start a trace for each new stop, and returns p. Call it before
// p is shared; a nil t changes nothing.
func (p *Producer) Traced(t *tracing.Tracer) *Producer {
	p.tracer = t
	return p
}

// parallelEnqueues is how many tasks are on their way to Redis at once.
const parallelEnqueues = 64

// Ask asks to stop jobs of one project, all in one batch. Ids that are not valid
// are refused before anything is recorded: they become parts of keys and URLs.
// The answers stand in the order of asks. On error they cover the jobs that are
// safely recorded; asking again with the same batch completes it and doubles
// nothing. Two calls may run at once for one batch.
func (p *Producer) Ask(ctx context.Context, projectID, batch string, asks []ledger.Ask) ([]ledger.Opening, error) {
	if err := checkIDs(projectID, batch, asks); err != nil {
		return nil, err
	}
	all := make([]ledger.Opening, 0, len(asks))
	for chunk := range slices.Chunk(asks, ledger.OpenChunk) {
		spans := p.trace(ctx, projectID, batch, chunk)
		openings, err := p.ledger.Open(ctx, projectID, batch, chunk)
		if err != nil {
			spans.fail(err)
			return all, err
		}
		all = append(all, openings...)
		if err := p.enqueue(ctx, projectID, openings, spans); err != nil {
			return all, err
		}
	}
	return all, nil
}

func checkIDs(projectID, batch string, asks []ledger.Ask) error {
	err := errors.Join(modelarts.ValidateID("project", projectID), ledger.ValidateBatch(batch))
	for _, a := range asks {
		if err == nil {
			err = modelarts.ValidateID("job", a.JobID)
		}
	}
	return err
}

func (p *Producer) enqueue(ctx context.Context, projectID string, openings []ledger.Opening, spans asked) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelEnqueues)
	for i, o := range openings {
		if o.Result != ledger.Opened && o.Result != ledger.Waiting {
			spans.end(i, o, nil)
			continue
		}
		group.Go(func() error {
			s := &ledger.Stop{ID: o.StopID, ProjectID: projectID, JobID: o.JobID, Hop: 1, Kind: ledger.KindStop, Next: o.First,
				Trace: spans.parent(i)}
			err := enqueue(ctx, p.queue, s)
			spans.end(i, o, err)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("enqueue stops of project %s: %w", projectID, err)
	}
	return nil
}

// TaskDeleter deletes tasks from a queue; *asynq.Inspector is one.
type TaskDeleter interface {
	DeleteTask(queue, id string) error
}

// Discard deletes the task of a stop's current hop, if it is there and not at
// work. It is a courtesy to the queue: a task whose stop has ended does nothing.
func Discard(queue TaskDeleter, s *ledger.Stop) {
	_, name := typeAndQueue(s.Kind)
	_ = queue.DeleteTask(name, currentTask(s).String())
}

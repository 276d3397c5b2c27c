package tasks

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
	"vizstop/internal/tracing"
)

// Producer asks for stops: it records them in the ledger, and workers release
// their tasks. It is safe for concurrent use.
type Producer struct {
	ledger  *ledger.Ledger
	release *release.Releaser
	tracer  *tracing.Tracer

	endpoint func(projectID string) string
}

// NewProducer returns a producer on the given ledger, whose Redis is behind rdb.
func NewProducer(l *ledger.Ledger, rdb redis.UniversalClient) *Producer {
	return &Producer{ledger: l, release: release.New(rdb, "", l.Now, release.Config{}),
		endpoint: func(string) string { return "" }}
}

// Traced makes p start a trace for each new stop, and returns p. Call it before
// p is shared; a nil t changes nothing.
func (p *Producer) Traced(t *tracing.Tracer) *Producer {
	p.tracer = t
	return p
}

// At makes p say at which API endpoint the jobs of a project are, and returns p. Call
// it before p is shared; "": that is not known.
func (p *Producer) At(endpoint func(projectID string) string) *Producer {
	p.endpoint = endpoint
	return p
}

// Ask asks to stop jobs of one project, all in one batch. Ids that are not valid
// are refused before anything is recorded: they become parts of keys and URLs.
// Shadow stops and real ones are asked for in calls and batches of their own. The
// answers stand in the order of asks. On error they cover the jobs that are
// safely recorded; asking again with the same batch completes it and doubles
// nothing. Two calls may run at once for one batch.
func (p *Producer) Ask(ctx context.Context, projectID, batch string, asks []ledger.Ask) ([]ledger.Opening, error) {
	if err := checkIDs(projectID, batch, asks); err != nil {
		return nil, err
	}
	rounds := p.release.Rounds
	if len(asks) > 0 && asks[0].Shadow {
		rounds = p.release.Shadow().Rounds
	}
	all := make([]ledger.Opening, 0, len(asks))
	for chunk := range slices.Chunk(asks, ledger.OpenChunk) {
		// If this process dies before it can ask for a round, there is one all the same.
		if err := rounds.Expect(ctx, projectID); err != nil {
			return all, err
		}
		spans := p.trace(ctx, projectID, batch, chunk)
		openings, err := p.ledger.OpenAt(ctx, projectID, batch, p.endpoint(projectID), chunk)
		if err != nil {
			spans.fail(err)
			return all, err
		}
		for i, o := range openings {
			spans.end(i, o, nil)
		}
		all = append(all, openings...)
		if err := rounds.Ask(ctx, projectID); err != nil {
			return all, err
		}
	}
	return all, nil
}

func checkIDs(projectID, batch string, asks []ledger.Ask) error {
	err := errors.Join(jobs.ValidateID("project", projectID), ledger.ValidateBatch(batch))
	for _, a := range asks {
		if err == nil {
			err = jobs.ValidateID("job", a.JobID)
		}
	}
	return err
}

package ledger

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// The keys that belong to no project, for real stops and for shadow stops.
const (
	batchesKey       = "vizstop:batches"           // sorted set: batch id by when it was opened
	shadowBatchesKey = "vizstop:shadow:batches"    // likewise
	sweepsKey        = "vizstop:{-}:sweeps"        // sorted set: project by when to look for what it has to forget
	shadowSweepsKey  = "vizstop:{-}:sweeps:shadow" // likewise
	workKey          = "vizstop:work"              // see Ledger.workKey
	shadowWorkKey    = "vizstop:shadow:work"       // likewise
)

// Shadow is the ledger of shadow stops: of those for which no stop call is ever made.
// It has stops, batches and indexes of its own, under keys of its own, so neither
// joins the other's, and a worker that knows of no shadow stops meets none.
func (l *Ledger) Shadow() *Ledger {
	if l.ofShadow {
		return l
	}
	return l.other
}

// Real is the ledger of real stops.
func (l *Ledger) Real() *Ledger { return l.Shadow().other }

// OfShadow reports whether l is the ledger of shadow stops.
func (l *Ledger) OfShadow() bool { return l.ofShadow }

// Of is the ledger that has a batch: that of shadow stops, or else that of real ones,
// which may not have it either.
func (l *Ledger) Of(ctx context.Context, batch string) (*Ledger, error) {
	n, err := l.rdb.Exists(ctx, l.Shadow().batchProjectsKey(batch)).Result()
	if err != nil {
		return nil, fmt.Errorf("read batch %s from the ledger: %w", batch, err)
	}
	if n > 0 {
		return l.Shadow(), nil
	}
	return l.Real(), nil
}

// OtherKindError is returned for shadow stops in a batch that has real ones, and for
// real ones in a batch of shadow stops. Nothing was recorded.
type OtherKindError struct {
	Batch  string
	Shadow bool // what the batch has
}

// Error says what the batch is, and what to do.
func (e *OtherKindError) Error() string {
	if e.Shadow {
		return fmt.Sprintf("batch %s is a shadow batch, for which nothing is stopped: ask for real stops under another batch id", e.Batch)
	}
	return fmt.Sprintf("batch %s has real stops: ask for shadow stops under another batch id", e.Batch)
}

// forAsks is the ledger that asks belong to.
func (l *Ledger) forAsks(asks []Ask) (*Ledger, error) {
	for _, a := range asks {
		if a.Shadow != asks[0].Shadow {
			return nil, fmt.Errorf("open %d stops: shadow stops and real ones are asked for in two calls", len(asks))
		}
	}
	if len(asks) > 0 && asks[0].Shadow {
		return l.Shadow(), nil
	}
	return l, nil
}

func (l *Ledger) keys(projectID string) Keys {
	if l.ofShadow {
		return ShadowKeys(projectID)
	}
	return Keys(projectID)
}

func (l *Ledger) batchesKey() string {
	if l.ofShadow {
		return shadowBatchesKey
	}
	return batchesKey
}

func (l *Ledger) sweepsKey() string {
	if l.ofShadow {
		return shadowSweepsKey
	}
	return sweepsKey
}

// batchProjectsKey is a set of project ids.
func (l *Ledger) batchProjectsKey(batch string) string {
	if l.ofShadow {
		return "vizstop:shadow:batch:" + batch
	}
	return "vizstop:batch:" + batch
}

// confirmed says for the scripts whether somebody has confirmed an ask. Shadow stops wait
// in one set, whoever has: a claim tells what a limit would do.
func (l *Ledger) confirmed(a Ask) string {
	if l.ofShadow && !a.Confirmed {
		return "0"
	}
	return flag(a.Confirmed)
}

// firstKind is the kind of the first step of a stop.
func (l *Ledger) firstKind() Kind {
	if l.ofShadow {
		return KindShadow
	}
	return KindStop
}

// stopID is the id of the stop of a job in a batch.
func (l *Ledger) stopID(batch, projectID, jobID string) string {
	if l.ofShadow {
		return hash("shadow", batch, projectID, jobID)
	}
	return StopID(batch, projectID, jobID)
}

// register makes project and batch findable before their first stop exists, so
// that whatever is recorded after it is forgotten in time. A batch is of one kind: of
// two who register it as both in one moment, one sees the other at least.
func (l *Ledger) register(ctx context.Context, projectID, batch string) error {
	now := float64(l.now().UnixMilli())
	pipe := l.rdb.Pipeline()
	pipe.ZAddNX(ctx, l.sweepsKey(), redis.Z{Score: now, Member: projectID})
	pipe.ZAdd(ctx, l.workKey(), redis.Z{Score: now, Member: projectID})
	pipe.ZAddNX(ctx, l.batchesKey(), redis.Z{Score: now, Member: batch})
	added := pipe.SAdd(ctx, l.batchProjectsKey(batch), projectID)
	other := pipe.Exists(ctx, l.other.batchProjectsKey(batch))
	_, err := pipe.Exec(ctx)
	if err == nil && other.Val() > 0 {
		if added.Val() > 0 {
			err = l.forgetBatch(ctx, projectID, batch)
		}
		if err == nil {
			return &OtherKindError{batch, l.other.ofShadow}
		}
	}
	if err != nil {
		return fmt.Errorf("register batch %s of project %s in the ledger: %w", batch, projectID, err)
	}
	return nil
}

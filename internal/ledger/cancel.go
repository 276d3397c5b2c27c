package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// canceledField is in the hash of a batch, beside its counts: wholly or here, a space, and why.
const (
	canceledField = "called_off"
	cancelsField  = "calls_off" // how often it was canceled: two marks may say the same
	wholly        = "all"
	here          = "project"
)

// MarkCanceled notes in a project that somebody has canceled a batch: for whoever is still
// asking for its stops, as Withdraw says nothing about those to come. whole says that it
// was canceled in all projects, also in those where nothing was asked for yet. The mark
// goes with the batch. It keeps nobody from asking: a producer that heeds it looks with
// Canceled.
func (l *Ledger) MarkCanceled(ctx context.Context, projectID, batch, why string, whole bool) error {
	if err := l.register(ctx, projectID, batch); err != nil {
		return err
	}
	scope := here
	if whole {
		scope = wholly
	}
	k := l.keys(projectID)
	pipe := l.rdb.TxPipeline()
	pipe.HSet(ctx, k.batch(batch), canceledField, scope+" "+why)
	pipe.HIncrBy(ctx, k.batch(batch), cancelsField, 1)
	pipe.ZAddNX(ctx, k.ended(), redis.Z{Score: float64(l.now().UnixMilli()), Member: batch}) // as Describe
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("mark batch %s of project %s as canceled: %w", batch, projectID, err)
	}
	return nil
}

// Canceled says why a batch was canceled in a project, and whether that was meant for
// all projects; "" if it was not.
func (l *Ledger) Canceled(ctx context.Context, projectID, batch string) (why string, whole bool, err error) {
	mark, err := l.rdb.HGet(ctx, l.keys(projectID).batch(batch), canceledField).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", false, fmt.Errorf("look whether batch %s of project %s was canceled: %w", batch, projectID, err)
	}
	scope, why, _ := strings.Cut(mark, " ")
	return why, scope == wholly, nil
}

// Cancels is how often a batch was canceled in a project.
func (l *Ledger) Cancels(ctx context.Context, projectID, batch string) (int, error) {
	n, err := l.rdb.HGet(ctx, l.keys(projectID).batch(batch), cancelsField).Int()
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, fmt.Errorf("look whether batch %s of project %s was canceled: %w", batch, projectID, err)
	}
	return n, nil
}

// WithdrawAll withdraws what a batch wants of its stops in a project, as Withdraw does, of
// those that have not ended, and tells the answer for each; for those that have it is Over.
// Ask for a round afterwards. An *UnreadableError keeps it from no other stop.
func (l *Ledger) WithdrawAll(ctx context.Context, projectID, batch, why string, told func(Withdrawal)) error {
	var unreadable error
	for offset := 0; ; {
		stops, next, err := l.BatchStops(ctx, projectID, batch, offset, withdrawsAtOnce)
		if broken := Unreadable(err); broken != nil {
			unreadable = cmp.Or(unreadable, broken)
		} else if err != nil {
			return err
		}
		for _, s := range stops {
			answer := Over
			if !s.State.Ended() {
				if answer, err = l.Withdraw(ctx, projectID, s.ID, batch, why); err != nil {
					return err
				}
			}
			told(answer)
		}
		if offset = next; next == 0 {
			return unreadable
		}
	}
}

// withdrawsAtOnce is how many stops are read at once.
const withdrawsAtOnce = 1000

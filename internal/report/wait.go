package report

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"vizstop/internal/ledger"
)

// Progress shows how many stops of a batch have an outcome.
type Progress interface {
	Show(done, total int)
	Close()
}

// NewProgress returns a bar for a terminal, plain lines for anything else, and
// nothing at all if quiet.
func NewProgress(w io.Writer, terminal, quiet bool) Progress {
	switch {
	case quiet:
		return silent{}
	case terminal:
		return &bar{w: w}
	default:
		return &lines{w: w}
	}
}

type silent struct{}

func (silent) Show(int, int) {}
func (silent) Close()        {}

type bar struct {
	w   io.Writer
	bar *progressbar.ProgressBar
}

func (b *bar) Show(done, total int) {
	if b.bar == nil {
		b.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(b.w),
			progressbar.OptionSetDescription("confirmed"),
			progressbar.OptionShowCount(),
			progressbar.OptionSetWidth(40),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionThrottle(50*time.Millisecond))
	}
	_ = b.bar.Set(done) // a terminal that went away is no reason to stop waiting
}

func (b *bar) Close() { fmt.Fprintln(b.w) }

// lines writes a line whenever something has changed, at most every 2 seconds.
type lines struct {
	w    io.Writer
	last time.Time
	done int
}

func (l *lines) Show(done, total int) {
	if l.last.IsZero() || done != l.done && (time.Since(l.last) >= 2*time.Second || done == total) {
		fmt.Fprintf(l.w, "%d of %d stops have an outcome\n", done, total)
		l.last, l.done = time.Now(), done
	}
}

func (l *lines) Close() {}

// checkInterval is how often Wait looks at the batch.
const checkInterval = 250 * time.Millisecond

// Wait returns when every stop of the batch in the given projects, joined ones
// too, has an outcome, or with ctx's error. While the batch's own stops are in
// flight, a look costs Redis two commands a project, however large the batch is.
func Wait(ctx context.Context, l *ledger.Ledger, projectIDs []string, batch string, p Progress) error {
	defer p.Close()
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	for {
		done, total := 0, 0
		for _, id := range projectIDs {
			d, t, err := progress(ctx, l, id, batch)
			if err != nil {
				return err
			}
			done, total = done+d, total+t
		}
		p.Show(done, total)
		if done == total {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// Over reports whether every stop of the batch, joined ones too, has an
// outcome.
func Over(ctx context.Context, l *ledger.Ledger, projectID, batch string) (bool, error) {
	done, total, err := progress(ctx, l, projectID, batch)
	return err == nil && done == total, err
}

func progress(ctx context.Context, l *ledger.Ledger, projectID, batch string) (done, total int, err error) {
	b, err := l.Batch(ctx, projectID, batch)
	if err != nil {
		return 0, 0, err
	}
	done, total = b.Total-b.InFlight(), b.Total+b.Joined
	if b.InFlight() > 0 || b.Joined == 0 {
		return done, total, nil
	}
	joined, err := l.BatchJoined(ctx, projectID, batch)
	if err != nil {
		return 0, 0, err
	}
	total = b.Total + len(joined)
	for _, s := range joined {
		if s.State.Ended() {
			done++
		}
	}
	return done, total, nil
}

package lasthour

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
)

// Writer counts what one worker does, and writes it. It is safe for concurrent use;
// counting never waits for Redis.
type Writer struct {
	rdb    redis.UniversalClient
	worker string
	now    func() time.Time
	log    *slog.Logger

	mu      sync.Mutex
	minutes map[int64]*tally // the newest, up to kept
}

// tally is what this worker has counted in a minute.
type tally struct {
	Minute
	unwritten bool
}

// NewWriter returns a writer for a worker, whose id nobody else has or has had. now is
// the fleet's time.
func NewWriter(rdb redis.UniversalClient, worker string, now func() time.Time, log *slog.Logger) *Writer {
	return &Writer{rdb: rdb, worker: worker, now: now, log: log, minutes: make(map[int64]*tally)}
}

// StopEnded counts a stop that ended, with the time from when it was due.
func (w *Writer) StopEnded(outcome string, took time.Duration) {
	w.count(func(m *Minute) {
		m.Outcomes[ledger.State(outcome)]++
		if ledger.State(outcome) == ledger.Stopped {
			m.Lag.observe(took)
		}
	})
}

// ShadowEnded counts a shadow stop that ended.
func (w *Writer) ShadowEnded(outcome string) {
	w.count(func(m *Minute) { m.Shadows[ledger.State(outcome)]++ })
}

// APICalled counts a call of the API. result is the name of a jobs.Kind.
func (w *Writer) APICalled(operation, result string) {
	w.count(func(m *Minute) { m.Calls[operation] = m.Calls[operation].add(how(result)) })
}

func (w *Writer) count(in func(*Minute)) {
	now := minuteOf(w.now())
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.minutes[now]
	if t == nil {
		t = &tally{Minute: newMinute()}
		w.minutes[now] = t
		w.forget(now)
	}
	in(&t.Minute)
	t.unwritten = true
}

// forget drops what is too old. A minute that has been written is kept for a while, too:
// should the clock go back into it, its totals go on.
func (w *Writer) forget(now int64) {
	maps.DeleteFunc(w.minutes, func(minute int64, _ *tally) bool { return minute <= now-kept || minute >= now+kept })
}

// Run writes every few seconds what has changed, until ctx ends, and then once more. What
// Redis does not take is written later, as long as it is of the last five minutes.
func (w *Writer) Run(ctx context.Context) {
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
			defer cancel()
			if err := w.write(last); err != nil {
				w.log.WarnContext(ctx, "charts lack the last counts of this worker", "error", err)
			}
			return
		case <-ticker.C:
		}
		if err := w.write(ctx); err != nil && ctx.Err() == nil {
			w.log.DebugContext(ctx, "counts for the charts are written later", "error", err)
		}
	}
}

// lastWrite is how long the end of a worker waits for its last counts to be written.
const lastWrite = time.Second

// write writes what has changed.
func (w *Writer) write(ctx context.Context) error {
	texts := w.take()
	if len(texts) == 0 {
		return nil
	}
	_, err := w.rdb.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		for _, minute := range slices.Sorted(maps.Keys(texts)) {
			tx.HSet(ctx, minuteKey(minute), w.worker, texts[minute])
			tx.Expire(ctx, minuteKey(minute), life)
		}
		return nil
	})
	if err != nil {
		w.putBack(texts)
		return fmt.Errorf("write what happened in the last minutes: %w", err)
	}
	return nil
}

// take returns what is not written yet, by minute, and takes it for written.
func (w *Writer) take() map[int64]string {
	now := minuteOf(w.now())
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(now)
	texts := make(map[int64]string)
	for minute, t := range w.minutes {
		if t.unwritten {
			texts[minute], t.unwritten = t.encode(), false
		}
	}
	return texts
}

func (w *Writer) putBack(texts map[int64]string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for minute := range texts {
		if t := w.minutes[minute]; t != nil {
			t.unwritten = true
		}
	}
}

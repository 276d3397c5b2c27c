package operate

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// BusyError says that the same is being done already. Nothing was done.
type BusyError struct{ Running Running }

// Error says who does it.
func (e *BusyError) Error() string {
	return fmt.Sprintf("%s of %s is under way since %s, as %s has ordered: nothing was done twice", e.Running.Action, e.Running.Scope,
		e.Running.Since.UTC().Format(time.TimeOnly+" MST"), e.Running.By)
}

// Running is an order that goes on, or has ended, in the background.
type Running struct {
	Action Action
	Scope  string
	By     string
	Since  time.Time
	Ended  time.Time // zero: it goes on
	Words  string    // how it ended
}

const (
	// patience is how long an order is waited for before it goes on in the background.
	patience = 8 * time.Second
	// mostKept is how many ended orders are kept to be shown.
	mostKept = 100
)

// work is the orders that are being carried out.
type work struct {
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu   sync.Mutex
	kept []*Running // the oldest first
}

func (w *work) begin() { w.ctx, w.stop = context.WithCancel(context.Background()) }

// Close ends what goes on in the background, and waits for it. Ordering the same again
// completes it.
func (w *work) Close() {
	w.stop()
	w.wg.Wait()
}

// Running lists the orders that took longer than their caller waited, the newest first:
// those that go on, and the latest that have ended.
func (w *work) Running() []Running {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]Running, 0, len(w.kept))
	for _, r := range slices.Backward(w.kept) {
		list = append(list, *r)
	}
	return list
}

// result is how an order has ended.
type result struct {
	done *Done
	err  error
}

// run carries an order out once it is recorded. It goes on when ctx ends.
func (w *work) run(ctx context.Context, one *order, once ticket, record func() error) (*Done, error) {
	running, err := w.enter(one)
	if err != nil {
		once.giveBack(ctx)
		return nil, err
	}
	if err := record(); err != nil {
		once.giveBack(ctx)
		w.leave(running)
		return nil, err
	}
	results := make(chan result, 1)
	w.wg.Go(func() {
		done, err := one.do(w.ctx, one)
		once.settle(done, err)
		w.end(running, done, err)
		results <- result{done, err}
	})
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case r := <-results:
		w.leave(running)
		return r.done, r.err
	case <-ctx.Done():
	case <-timer.C:
	}
	return &Done{Action: one.Action, Scope: one.plan.Scope, Words: fmt.Sprintf("%s of %s goes on; this console tells when it has ended", one.Action, one.plan.Scope)}, nil
}

// enter refuses an order of which the same is under way.
func (w *work) enter(one *order) (*Running, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.kept {
		if r.Ended.IsZero() && r.Action == one.Action && r.Scope == one.plan.Scope {
			return nil, &BusyError{*r}
		}
	}
	running := &Running{Action: one.Action, Scope: one.plan.Scope, By: one.By, Since: time.Now()}
	w.kept = append(w.kept, running)
	for i := 0; len(w.kept) > mostKept && i < len(w.kept); {
		if w.kept[i].Ended.IsZero() {
			i++
			continue
		}
		w.kept = slices.Delete(w.kept, i, i+1)
	}
	return running, nil
}

func (w *work) end(r *Running, done *Done, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.Ended = time.Now()
	switch {
	case err != nil && w.ctx.Err() != nil:
		r.Words = "it did not end before the console did: order it again to complete it"
	case err != nil:
		r.Words = err.Error()
	default:
		r.Words = done.Words
	}
}

// leave forgets an order whose caller has heard of its end.
func (w *work) leave(r *Running) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = slices.DeleteFunc(w.kept, func(one *Running) bool { return one == r })
}

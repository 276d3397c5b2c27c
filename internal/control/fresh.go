package control

import (
	"context"
	"sync"
	"time"
)

const (
	// freshFor is how long what was learned, or that it could not be, is good.
	freshFor = time.Second
	// learningFor is how long learning may take: a Redis that is silent is met once, by all who ask meanwhile.
	learningFor = 4 * time.Second
)

// fresh is what Fresh remembers.
type fresh struct {
	mu    sync.Mutex
	at    time.Time // when the last learning ended; zero: there was none
	err   error
	doing chan struct{} // closed when the learning that goes on has ended; nil: none does
}

// Fresh does what Refresh does, at most once a second for all who ask: a failure is
// remembered as long. It takes a few seconds at most, or until ctx ends; its error is
// that of Refresh, or ctx's.
func (d *Desk) Fresh(ctx context.Context) error {
	f := &d.fresh
	f.mu.Lock()
	if f.doing == nil && !f.at.IsZero() && time.Since(f.at) < freshFor {
		defer f.mu.Unlock()
		return f.err
	}
	if f.doing == nil {
		f.doing = make(chan struct{})
		go d.learn(context.WithoutCancel(ctx), f.doing)
	}
	doing := f.doing
	f.mu.Unlock()
	select {
	case <-doing:
	case <-ctx.Done():
		return ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (d *Desk) learn(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, learningFor)
	defer cancel()
	err := d.Refresh(ctx)
	f := &d.fresh
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.err, f.doing = time.Now(), err, nil
	close(done)
}

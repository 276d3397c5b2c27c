package simulation

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/worker"
)

// pause stops a worker the way SIGSTOP or a stalled machine does: from then on
// nothing leaves it, its leases run out, and when it wakes up it goes on where it
// was. A worker that is never woken is a worker that has crashed.
type pause struct {
	mu   sync.Mutex
	wake chan struct{} // nil while the worker runs
	over bool
}

// begin begins the pause, once.
func (p *pause) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wake == nil && !p.over {
		p.wake = make(chan struct{})
	}
}

func (p *pause) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.wake != nil {
		close(p.wake)
		p.wake = nil
	}
}

func (p *pause) paused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wake != nil
}

// wait returns when the worker runs.
func (p *pause) wait() {
	p.mu.Lock()
	wake := p.wake
	p.mu.Unlock()
	if wake != nil {
		<-wake
	}
}

// pausable makes a worker obey p. At what it is paused is up to spy, which sees each
// command to Redis before and, if it succeeds, after, and to jobs, around the client of the API;
// both may be nil.
func pausable(p *pause, spy func(cmd redis.Cmder, after bool), wrap func(worker.Jobs) worker.Jobs) func(*worker.Config) {
	if spy == nil {
		spy = func(redis.Cmder, bool) {}
	}
	return func(cfg *worker.Config) {
		rarely(cfg)
		cfg.Redis.AddHook(&pauseHook{p, spy})
		if wrap != nil {
			cfg.Jobs = wrap(cfg.Jobs)
		}
	}
}

// pauseHook holds back a worker's commands to Redis, and their answers. It doesn't
// do so on the connection: the client holds locks there, and virtual time stands
// still for as long as somebody waits for one.
type pauseHook struct {
	p   *pause
	spy func(cmd redis.Cmder, after bool)
}

func (h *pauseHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *pauseHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.spy(cmd, false)
		h.p.wait()
		err := next(ctx, cmd)
		if err == nil {
			h.spy(cmd, true)
		}
		h.p.wait()
		return err
	}
}

func (h *pauseHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			h.spy(cmd, false)
		}
		h.p.wait()
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			if err == nil {
				h.spy(cmd, true)
			}
		}
		h.p.wait()
		return err
	}
}

// pauseInCall pauses a worker when the API has answered its first call of that
// operation, and before the worker has seen the answer.
func pauseInCall(p *pause, operation string) func(worker.Jobs) worker.Jobs {
	return func(api worker.Jobs) worker.Jobs {
		return &callSpy{Jobs: api, before: p.wait, after: func(called string) {
			if called == operation {
				p.begin()
			}
			p.wait()
		}}
	}
}

// callSpy calls before and after each call.
type callSpy struct {
	worker.Jobs
	before func()
	after  func(operation string)
}

func (j *callSpy) Stop(ctx context.Context, projectID, jobID string) (jobs.Accepted, error) {
	j.before()
	defer j.after(jobs.OperationStop)
	return j.Jobs.Stop(ctx, projectID, jobID)
}

func (j *callSpy) Get(ctx context.Context, projectID, jobID string) (*jobs.Job, error) {
	j.before()
	defer j.after(jobs.OperationDetail)
	return j.Jobs.Get(ctx, projectID, jobID)
}

func (j *callSpy) List(ctx context.Context, projectID string, q jobs.Query) (*jobs.Page, error) {
	j.before()
	defer j.after(jobs.OperationList)
	return j.Jobs.List(ctx, projectID, q)
}

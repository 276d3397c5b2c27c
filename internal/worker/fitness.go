package worker

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/fleet"
	"vizstop/internal/redisfit"
)

// fitness watches whether Redis is fit to keep what the worker is asked. Its
// methods are safe for concurrent use.
type fitness struct {
	redis redis.UniversalClient
	log   *slog.Logger
	every time.Duration
	// refuses reports whether Redis refuses writes, as the worker's beats tell at once.
	refuses func() bool

	mu   sync.Mutex
	last redisfit.Report
}

// run looks until ctx ends: at every interval, and when Redis begins or ends to refuse writes.
func (f *fitness) run(ctx context.Context) {
	tick, beat := time.NewTicker(f.every), time.NewTicker(fleet.BeatInterval)
	defer tick.Stop()
	defer beat.Stop()
	refused := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.look(ctx)
		case <-beat.C:
			if now := f.refuses(); now != refused {
				refused = now
				f.look(ctx)
			}
		}
	}
}

// first looks, and tells all of it.
func (f *fitness) first(ctx context.Context) {
	r, ok := f.look(ctx)
	if !ok {
		return
	}
	if len(r.Unknown) > 0 {
		f.log.InfoContext(ctx, "Redis does not show all settings that would tell whether it is fit", "unknown", strings.Join(r.Unknown, ", "))
	}
}

// look tells each risk once, when it appears, and when it is gone. While Redis
// does not answer, what was seen last stays.
func (f *fitness) look(ctx context.Context) (redisfit.Report, bool) {
	r, err := redisfit.Look(ctx, f.redis)
	if err != nil {
		f.log.DebugContext(ctx, "could not look whether Redis is fit", "error", err)
		return r, false
	}
	// A look is old within a second: beats tell of this.
	r.Findings = slices.DeleteFunc(r.Findings, func(f redisfit.Finding) bool { return f.Risk == redisfit.RefusesWrites })
	f.mu.Lock()
	before := f.last
	f.last = r
	f.mu.Unlock()
	for _, found := range r.Findings {
		if slices.ContainsFunc(before.Findings, func(b redisfit.Finding) bool { return b.Risk == found.Risk && b.Problem == found.Problem }) {
			continue
		}
		args := []any{"risk", found.Risk, "problem", found.Problem, "loss", found.Loss, "do", found.Fix}
		if len(found.Servers) > 0 {
			args = append(args, "servers", strings.Join(found.Servers, ", "))
		}
		f.log.WarnContext(ctx, "Redis is not fit", args...)
	}
	for _, risk := range redisfit.Risks() {
		if before.Has(risk) && !r.Has(risk) {
			f.log.InfoContext(ctx, "Redis no longer runs a risk", "risk", risk)
		}
	}
	return r, true
}

// unfit tells for every risk whether Redis runs it.
func (f *fitness) unfit() map[string]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string]bool{}
	for _, risk := range redisfit.Risks() {
		all[string(risk)] = f.last.Has(risk)
	}
	return all
}

// notes has one line for each risk.
func (f *fitness) notes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lines []string
	for _, found := range f.last.Findings {
		lines = append(lines, found.String())
	}
	return lines
}

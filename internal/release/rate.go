package release

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
)

// DefaultRate is the Rate of a fleet that is told no other: calls per second and
// project.
const DefaultRate = 50

// StopShare is the part of a rate that stop calls get while looks wait, too.
const StopShare = 0.8

// Rate is how many calls a second a project may make by configuration; 0: any
// number.
func (b *base) Rate(projectID string) float64 {
	rate, _ := b.rate(projectID)
	return rate
}

// rate is how many calls a second a project may make, and how many at once after a
// rest.
func (b *base) rate(projectID string) (rate float64, burst int) {
	if own := b.serving(projectID).Rate; own > 0 {
		return own, burstOf(own)
	}
	if b.cfg.RateNow != nil {
		now := max(0, b.cfg.RateNow())
		return now, burstOf(now)
	}
	return b.cfg.Rate, b.cfg.Burst
}

// burstOf is the Burst of a rate for which none is configured.
func burstOf(rate float64) int { return max(1, int(rate/10)) }

// rateLimit is the rate of projects, as Redis has it.
type rateLimit struct{ *base }

// Spend waits until the rate of a project allows a call that belongs to no step,
// such as a restart, and takes it. Holds are not asked.
func (r *rateLimit) Spend(ctx context.Context, projectID string) error {
	rate, burst := r.rate(projectID)
	for {
		wait, err := spendScript.Run(ctx, r.rdb, []string{ledger.Keys(projectID).Control()}, r.now().UnixMilli(), rate, burst).Int64()
		if err != nil {
			return fmt.Errorf("ask for the rate of project %s: %w", projectID, err)
		}
		if wait == 0 {
			return nil
		}
		timer := time.NewTimer(time.Duration(wait) * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// Owe counts a further call of a step, such as the look at a job's kind before its stop call, or the second try of a
// slow look. Nobody waits for the rate: the stops that are released next do. While a hold keeps calls of the project
// back, no more than two are owed.
func (r *rateLimit) Owe(ctx context.Context, projectID string) error {
	rate, burst := r.rate(projectID)
	if err := oweScript.Run(ctx, r.rdb, []string{ledger.Keys(projectID).Control()}, r.now().UnixMilli(), rate, burst).Err(); err != nil {
		return fmt.Errorf("count a call of project %s: %w", projectID, err)
	}
	return nil
}

// Allowance is how many calls a second a project may make now.
type Allowance struct {
	ProjectID  string
	Rate       float64 // +Inf: no limit. Holds are not in it
	Configured float64 // +Inf: no limit
}

// Reduced reports whether a 429 or an outage keeps the rate below what is
// configured.
func (a Allowance) Reduced() bool { return a.Rate < a.Configured }

// String is one line for people.
func (a Allowance) String() string {
	return fmt.Sprintf("calls of project %s slowed down to %.3g a second, of %s: the API answered 429, or an outage has ended",
		a.ProjectID, a.Rate, rateText(a.Configured))
}

func rateText(rate float64) string {
	if math.IsInf(rate, 1) {
		return "any number"
	}
	return fmt.Sprintf("%.3g", rate)
}

// Rates tells how many calls a second each of the given projects may make now, in
// their order.
func (r *rateLimit) Rates(ctx context.Context, projectIDs []string) ([]Allowance, error) {
	all := make([]Allowance, len(projectIDs))
	answers := make([]*redis.Cmd, len(projectIDs))
	ask := func(run func(redis.Scripter, string) *redis.Cmd) error {
		pipe := r.rdb.Pipeline()
		for i, id := range projectIDs {
			answers[i] = run(pipe, id)
		}
		_, err := pipe.Exec(ctx)
		return err
	}
	if len(projectIDs) == 0 {
		return nil, nil
	}
	now := r.now().UnixMilli()
	err := ask(func(pipe redis.Scripter, id string) *redis.Cmd {
		return ratesScript.EvalSha(ctx, pipe, []string{controlKey(id)}, now, r.Rate(id))
	})
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		err = ask(func(pipe redis.Scripter, id string) *redis.Cmd {
			return ratesScript.Eval(ctx, pipe, []string{controlKey(id)}, now, r.Rate(id))
		})
	}
	for i, id := range projectIDs {
		text, _ := answers[i].Text()
		rate, perr := strconv.ParseFloat(text, 64)
		if err == nil {
			err = perr
		}
		if err != nil {
			return nil, fmt.Errorf("ask for the rate of project %s: %w", id, err)
		}
		configured := r.Rate(id)
		if configured <= 0 {
			configured = math.Inf(1)
		}
		all[i] = Allowance{ProjectID: id, Rate: rate, Configured: configured}
	}
	return all, nil
}

// Announce makes the configured rate known to producers, which have no such
// setting of their own. The last worker to start is heard.
func (r *rateLimit) Announce(ctx context.Context) error {
	if err := r.rdb.Set(ctx, announcedKey, r.cfg.Rate, 0).Err(); err != nil {
		return fmt.Errorf("announce the rate: %w", err)
	}
	return nil
}

// AnnouncedRate is the rate that workers last announced: calls per second and
// project, for the whole fleet; 0 without a limit. known is false when none has.
func AnnouncedRate(ctx context.Context, rdb redis.UniversalClient) (rate float64, known bool, err error) {
	rate, err = rdb.Get(ctx, announcedKey).Float64()
	if errors.Is(err, redis.Nil) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("read the rate that workers keep to: %w", err)
	}
	return rate, true, nil
}

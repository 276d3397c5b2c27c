package throttle

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Allowance is how many calls a second a project may make now.
type Allowance struct {
	ProjectID  string
	Rate       float64 // +Inf: no limit. A halt or a park is not in it
	Configured float64 // +Inf: no limit
}

// Reduced reports whether a 429 or a standstill keeps the rate below what is
// configured.
func (a Allowance) Reduced() bool { return a.Rate < a.Configured }

// String is one line for people.
func (a Allowance) String() string {
	return fmt.Sprintf("calls of project %s slowed down to %.3g a second, of %s: the API answered 429, or a halt has ended",
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
func (t *Throttle) Rates(ctx context.Context, projectIDs []string) ([]Allowance, error) {
	if len(projectIDs) == 0 {
		return nil, nil
	}
	thawed, err := t.rdb.HGet(ctx, bucketKey(fleet), "thaw").Int64()
	if err != nil && !isNil(err) {
		return nil, fmt.Errorf("look for the end of the last halt: %w", err)
	}
	configured := t.cfg.Rate
	if configured <= 0 {
		configured = math.Inf(1)
	}
	all := make([]Allowance, len(projectIDs))
	answers := make([]*redis.Cmd, len(projectIDs))
	ask := func(run func(redis.Scripter, string) *redis.Cmd) error {
		pipe := t.rdb.Pipeline()
		for i, id := range projectIDs {
			answers[i] = run(pipe, bucketKey(id))
		}
		_, err := pipe.Exec(ctx)
		return err
	}
	err = ask(func(pipe redis.Scripter, key string) *redis.Cmd {
		return ratesScript.EvalSha(ctx, pipe, []string{key}, t.cfg.Rate, thawed)
	})
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		err = ask(func(pipe redis.Scripter, key string) *redis.Cmd {
			return ratesScript.Eval(ctx, pipe, []string{key}, t.cfg.Rate, thawed)
		})
	}
	for i, id := range projectIDs {
		text, aerr := answers[i].Text()
		rate, perr := strconv.ParseFloat(text, 64)
		if err := errors.Join(err, aerr, perr); err != nil {
			return nil, fmt.Errorf("ask for the rate of project %s: %w", id, err)
		}
		all[i] = Allowance{ProjectID: id, Rate: rate, Configured: configured}
	}
	return all, nil
}

// Announce makes the configured rate known to producers, which have no such
// setting of their own. The last worker to start is heard.
func (t *Throttle) Announce(ctx context.Context) error {
	if err := t.rdb.Set(ctx, announcedKey, max(0, t.cfg.Rate), 0).Err(); err != nil {
		return fmt.Errorf("announce the rate: %w", err)
	}
	return nil
}

// AnnouncedRate is the rate that workers last announced: calls per second and
// project, for the whole fleet; 0 when none has, or without a limit.
func AnnouncedRate(ctx context.Context, rdb redis.UniversalClient) (float64, error) {
	rate, err := rdb.Get(ctx, announcedKey).Float64()
	if err != nil && !isNil(err) {
		return 0, fmt.Errorf("read the rate that workers keep to: %w", err)
	}
	return rate, nil
}

package check

import (
	"context"
	"time"

	"vizstop/internal/fleet"
	"vizstop/internal/redisfit"
	"vizstop/internal/settings"
)

// Redis is how the Redis of these settings is.
type Redis struct {
	URL             string   `json:"url"` // without its password
	Reachable       bool     `json:"reachable"`
	Fit             Answer   `json:"fit"`                      // Unknown: it hides settings
	ClockDifference *float64 `json:"clock_difference_seconds"` // the fleet's time minus ours; null if not known
	Notes           []string `json:"notes"`
	Failures        []string `json:"failures"`
}

// LookAtRedis looks whether the Redis of these settings can be reached and is fit, and
// what time the fleet has.
func LookAtRedis(ctx context.Context, s settings.Redis, timeout time.Duration) Redis {
	r := Redis{URL: s.Describe(), Fit: Unknown, Notes: []string{}, Failures: []string{}}
	if s.Embedded() {
		r.Notes = append(r.Notes, "it is part of the worker, and keeps nothing when that ends")
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := r.look(ctx, s); err != nil {
		r.Failures = append(r.Failures, err.Error())
	}
	return r
}

func (r *Redis) look(ctx context.Context, s settings.Redis) error {
	rdb, err := s.Connect(ctx, 1)
	if err != nil {
		return err
	}
	defer rdb.Close()
	r.Reachable = true
	found, err := redisfit.Look(ctx, rdb)
	if err != nil {
		return err
	}
	for _, f := range found.Findings {
		r.Failures = append(r.Failures, f.String())
	}
	r.Fit = Yes
	if len(found.Unknown) > 0 {
		r.Fit = Unknown
	}
	for _, hidden := range found.Unknown {
		r.Notes = append(r.Notes, "it does not show "+hidden)
	}
	if len(found.Findings) > 0 {
		r.Fit = No
	}
	member := fleet.New(rdb, 0)
	if err := member.Sync(ctx); err != nil {
		return err
	}
	seconds := time.Until(member.Now()).Round(time.Millisecond).Seconds()
	r.ClockDifference = &seconds
	return nil
}

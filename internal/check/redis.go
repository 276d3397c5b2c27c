package check

import (
	"context"
	"time"

	"vizstop/internal/control"
	"vizstop/internal/redisconn"
	"vizstop/internal/redisfit"
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

// lookAtRedis looks whether Redis can be reached and is fit, what time the fleet has, which workers live and what
// holds calls back.
func (c *Command) lookAtRedis(ctx context.Context, r *Report) {
	r.Redis = Redis{URL: c.redis.Describe(), Fit: Unknown, Notes: []string{}, Failures: []string{}}
	r.Workers = Workers{Notes: []string{}, Failures: []string{}}
	if c.redis.Embedded() {
		r.Redis.Notes = append(r.Redis.Notes, "it is part of the worker, and keeps nothing when that ends")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := c.look(ctx, r); err != nil {
		r.Redis.Failures = append(r.Redis.Failures, err.Error())
	}
}

func (c *Command) look(ctx context.Context, r *Report) error {
	rdb, err := c.redis.Connect(ctx, 1)
	if err != nil {
		return err
	}
	defer rdb.Close()
	r.Redis.Reachable = true
	found, err := redisfit.Look(ctx, rdb)
	if err != nil {
		return err
	}
	r.Redis.judge(found)
	desk, err := control.Open(ctx, rdb)
	if err != nil {
		return err
	}
	err = desk.Fleet.TryWrite(ctx) // its user may not see how much memory is left
	switch words := redisconn.WritesRefused(err); {
	case words != "":
		if r.refuses = true; !found.Has(redisfit.RefusesWrites) {
			r.Redis.Fit, r.Redis.Failures = No, append(r.Redis.Failures, words)
		}
	case words == "" && err != nil:
		return err
	}
	seconds := time.Until(desk.Fleet.Now()).Round(time.Millisecond).Seconds()
	r.Redis.ClockDifference = &seconds
	desk.Served = c.served
	return c.lookAtFleet(ctx, desk, r)
}

// judge tells whether it is fit.
func (r *Redis) judge(found redisfit.Report) {
	for _, f := range found.Findings {
		if f.Risk != redisfit.MemoryNearlyFull || !found.Has(redisfit.RefusesWrites) {
			r.Failures = append(r.Failures, f.String())
		}
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
}

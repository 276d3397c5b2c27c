package settings

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/redisconn"
)

// Redis is where the queue and the ledger live.
type Redis struct {
	URL      string
	Password string

	opts *redisconn.Options
}

// Declare adds the settings of r to s. embedded says whether the URL may be the
// word embedded.
func (r *Redis) Declare(s *Set, embedded bool) {
	usage := "Redis: redis://, rediss://, unix://, redis-sentinel://h1,h2/0?master=name or redis-cluster://h1,h2"
	if embedded {
		usage += `; or "embedded", which keeps nothing on disk`
	}
	s.String(&r.URL, "redis", "VIZSTOP_REDIS", "redis://127.0.0.1:6379/0", usage, func(v string) (err error) {
		r.opts, err = redisconn.Parse(v)
		if err == nil && r.opts.IsEmbedded() && !embedded {
			err = fmt.Errorf("only the worker can embed Redis: give the URL that it prints")
		}
		return err
	})
	s.Secret(&r.Password, "VIZSTOP_REDIS_PASSWORD")
}

// Embedded reports whether the worker is to run its own Redis.
func (r *Redis) Embedded() bool { return r.opts.IsEmbedded() }

// Use makes url the Redis to use, in place of the one that was set.
func (r *Redis) Use(url string) (err error) {
	r.opts, err = redisconn.Parse(url)
	return err
}

// Describe is the URL without secrets.
func (r *Redis) Describe() string { return r.opts.String() }

// Connect returns a client with up to pool connections of a Redis that
// answers. The error says what to do.
func (r *Redis) Connect(ctx context.Context, pool int) (redis.UniversalClient, error) {
	opts := r.opts.WithPoolSize(pool)
	if r.Password != "" {
		opts = opts.WithPassword(r.Password)
	}
	client := opts.Client()
	if err := opts.Check(ctx, client); err != nil {
		client.Close()
		return nil, fmt.Errorf("--redis (VIZSTOP_REDIS): %w", err)
	}
	return client, nil
}

package redisconn

import (
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Pipeline returns a client that sends the commands of concurrent callers
// together, for whoever has many of them. It works through client, which stays
// the caller's to close; close the returned one first. A client of a kind that
// can't pipeline by itself is returned as it is, with a Close that does nothing.
func Pipeline(client redis.UniversalClient) (redis.UniversalClient, error) {
	auto, ok := client.(interface {
		AutoPipeline() (*redis.AutoPipeliner, error)
	})
	if !ok {
		return shared{client}, nil
	}
	p, err := auto.AutoPipeline()
	if err != nil {
		return nil, fmt.Errorf("pipeline commands to Redis: %w", err)
	}
	return p, nil
}

// shared is somebody else's client.
type shared struct{ redis.UniversalClient }

// Close leaves the client open.
func (shared) Close() error { return nil }

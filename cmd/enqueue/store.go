package main

import (
	"context"
	"log/slog"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/redisconn"
	"vizstop/internal/settings"
)

// store is the settings that every command needs: where the ledger is.
type store struct {
	settings.Set
	redis settings.Redis
}

func (s *store) declare() { s.redis.Declare(&s.Set, false) }

// books is an open ledger and the connection behind it.
type books struct {
	ledger *ledger.Ledger
	rdb    redis.UniversalClient
}

// open connects to Redis and makes sure that it answers.
func (s *store) open(ctx context.Context) (*books, func(), error) {
	redisconn.RouteLogs(slog.New(slog.DiscardHandler))
	rdb, err := s.redis.Connect(ctx, 20)
	if err != nil {
		return nil, nil, err
	}
	return &books{ledger: ledger.New(rdb, ledger.Config{}), rdb: rdb}, func() { rdb.Close() }, nil
}

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// redisServer is a redis-server process of one run's own, without a disk.
type redisServer struct {
	*process
	addr string
	rdb  *redis.Client
}

func startRedis(ctx context.Context) (*redisServer, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := strings.Cut(addr, ":")
	p, err := start(ctx, nil, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly",
		"no", "--loglevel", "warning")
	if err != nil {
		return nil, fmt.Errorf("%w (run `make deps`)", err)
	}
	s := &redisServer{process: p, addr: addr}
	s.rdb = redis.NewClient(&redis.Options{Addr: s.addr,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	err = await(ctx, "redis-server", 10*time.Millisecond, func() (bool, error) {
		return s.rdb.Ping(ctx).Err() == nil, s.ended()
	})
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *redisServer) close() {
	s.rdb.Close()
	s.kill() // there is nothing to save
}

func (s *redisServer) url() string { return "redis://" + s.addr + "/0" }

// info reads one number of INFO, such as used_memory.
func (s *redisServer) info(ctx context.Context, section, field string) (float64, error) {
	text, err := s.infoText(ctx, section, field)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(text, 64)
}

func (s *redisServer) infoText(ctx context.Context, section, field string) (string, error) {
	info, err := s.rdb.Info(ctx, section).Result()
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(v), nil
		}
	}
	return "", fmt.Errorf("INFO %s has no %s", section, field)
}

// command is how often Redis ran a command, within scripts too, and for how
// long in all, in seconds. The time of a script holds that of its commands.
type command struct {
	Calls   float64 `json:"calls"`
	Seconds float64 `json:"seconds"`
}

// commands are what Redis ran since the statistics were reset.
func (s *redisServer) commands(ctx context.Context) (map[string]command, error) {
	info, err := s.rdb.Info(ctx, "commandstats").Result()
	if err != nil {
		return nil, err
	}
	ran := map[string]command{}
	for line := range strings.Lines(info) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":")
		if !ok {
			continue
		}
		var c command
		var us float64
		if _, err := fmt.Sscanf(rest, "calls=%g,usec=%g,", &c.Calls, &us); err != nil {
			return nil, fmt.Errorf("INFO commandstats: %q: %w", line, err)
		}
		c.Seconds = us / 1e6
		ran[name] = c
	}
	return ran, nil
}

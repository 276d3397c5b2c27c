package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// redisServer is a redis-server process of this run's own, without a disk.
type redisServer struct {
	cmd  *exec.Cmd
	addr string
	rdb  *redis.Client
}

func startRedis(ctx context.Context) (*redisServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	s := &redisServer{
		cmd:  exec.Command("redis-server", "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning"),
		addr: "127.0.0.1:" + strconv.Itoa(port),
	}
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start redis-server (run `make deps`): %w", err)
	}
	s.rdb = redis.NewClient(&redis.Options{Addr: s.addr,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if err = s.rdb.Ping(ctx).Err(); err == nil {
			return s, nil
		}
		if time.Since(began) > 10*time.Second {
			s.stop()
			return nil, fmt.Errorf("redis-server does not answer: %w", err)
		}
	}
}

func (s *redisServer) stop() {
	s.rdb.Close()
	_ = s.cmd.Process.Signal(os.Interrupt)
	_ = s.cmd.Wait()
}

// version is such as "7.0.15".
func (s *redisServer) version(ctx context.Context) string {
	info, _ := s.rdb.Info(ctx, "server").Result()
	_, rest, _ := strings.Cut(info, "redis_version:")
	v, _, _ := strings.Cut(rest, "\r\n")
	return v
}

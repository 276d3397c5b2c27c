// Package embedded is a Redis inside this process, for trying things out.
package embedded

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/alicebob/miniredis/v2"

	"vizstop/internal/redisconn"
)

// Redis keeps everything in memory, has no password and is gone with the process.
// Other processes of this machine can use it through URL.
type Redis struct {
	mini *miniredis.Miniredis
	url  string
}

// Start listens on addr, which must be a loopback address with a port;
// port 0 takes a free one, and without a host it is 127.0.0.1. Keys expire by
// the clock, as in a real Redis.
func Start(addr string) (*Redis, error) {
	addr, err := loopbackAddr(addr)
	if err != nil {
		return nil, err
	}
	mini := miniredis.NewMiniRedis()
	mini.ClockTTL(true)
	if err := mini.StartAddr(addr); err != nil {
		return nil, listenError(addr, err)
	}
	return &Redis{mini: mini, url: "redis://" + mini.Addr() + "/0"}, nil
}

// URL is what redisconn.Parse turns into a connection to this Redis, for other
// processes. It holds the port that was taken.
func (e *Redis) URL() string { return e.url }

// Options lead to this Redis, for this process.
func (e *Redis) Options() *redisconn.Options { return redisconn.InProcess(e.mini.Addr()) }

// Close ends all connections and forgets the data. Closing again does nothing.
func (e *Redis) Close() { e.mini.Close() }

// loopbackAddr refuses what others could reach: the embedded Redis has no
// password.
func loopbackAddr(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("embedded Redis: address %q must be host:port, such as %s", addr, redisconn.DefaultEmbeddedAddr)
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.Unmap().IsLoopback() {
		return "", fmt.Errorf("embedded Redis: it has no password and so listens on a loopback address only, "+
			"such as %s, not on %q", redisconn.DefaultEmbeddedAddr, addr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("embedded Redis: port %q must be a number from 0 to 65535", port)
	}
	return net.JoinHostPort(host, port), nil
}

func listenError(addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		_, port, _ := net.SplitHostPort(addr)
		return fmt.Errorf("embedded Redis: port %s is taken, perhaps by another worker: "+
			"stop what listens on %s, or share it with --redis redis://%s/0", port, addr, addr)
	}
	return fmt.Errorf("embedded Redis: %w", err)
}

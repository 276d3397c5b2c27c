package redistest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Sentinels is a master with replicas, watched by Sentinel processes. They
// take a master that is silent for three seconds for dead.
type Sentinels struct {
	// URL is redis-sentinel://host:port,host:port/0?master=name.
	URL string
	// Servers are the data nodes; the first one began as the master.
	Servers []*Server

	t        testing.TB
	addrs    []string // of the Sentinels
	watchers []*redis.SentinelClient
}

// masterName is what the Sentinels call their master.
const masterName = "vizstop"

// StartSentinels starts a master with one replica and three Sentinels, and
// returns when all know each other. args are arguments of both data nodes, as
// Start takes them.
func StartSentinels(t testing.TB, args ...string) *Sentinels {
	t.Helper()
	args = append([]string{"--repl-diskless-sync-delay", "0"}, args...) // no other replica will come
	master := Start(t, args...)
	replica := Start(t, append([]string{"--replicaof", loopback + " " + fmt.Sprint(master.port)}, args...)...)
	s := &Sentinels{t: t, Servers: []*Server{master, replica}}
	// A Sentinel asks for replicas when it starts, and then only every 10 seconds.
	client := master.Client(t)
	Await(t, "the replica", func() bool { return client.Wait(context.Background(), 1, 0).Val() == 1 })
	for range 3 {
		one := &Server{t: t, args: []string{"--sentinel"}, line: sentinelReadyLine, config: strings.Join([]string{
			fmt.Sprintf("sentinel monitor %s %s %d 2", masterName, loopback, master.port),
			"sentinel down-after-milliseconds " + masterName + " 3000", // a busy machine stands still for a second
			"sentinel failover-timeout " + masterName + " 5000\n",
		}, "\n")}
		one.start()
		s.addrs = append(s.addrs, one.Addr)
		watcher := redis.NewSentinelClient(&redis.Options{Addr: one.Addr})
		t.Cleanup(func() { _ = watcher.Close() })
		s.watchers = append(s.watchers, watcher)
	}
	s.URL = "redis-sentinel://" + strings.Join(s.addrs, ",") + "/0?master=" + masterName
	Await(t, "the Sentinels to know each other and the replica", s.complete)
	return s
}

// complete tells whether each Sentinel knows both others and the replica.
func (s *Sentinels) complete() bool {
	for _, w := range s.watchers {
		state, err := w.Master(context.Background(), masterName).Result()
		if err != nil || state["num-other-sentinels"] != "2" || state["num-slaves"] != "1" || state["flags"] != "master" {
			return false
		}
	}
	return true
}

// Master is the data node that every Sentinel takes for the master; nil while
// they don't agree.
func (s *Sentinels) Master() *Server {
	var agreed string
	for _, w := range s.watchers {
		addr, err := w.GetMasterAddrByName(context.Background(), masterName).Result()
		if err != nil || len(addr) != 2 {
			return nil
		}
		if now := net.JoinHostPort(addr[0], addr[1]); agreed == "" {
			agreed = now
		} else if agreed != now {
			return nil
		}
	}
	for _, server := range s.Servers {
		if server.Addr == agreed {
			return server
		}
	}
	return nil
}

// AwaitMaster waits until every Sentinel takes that data node for the master,
// and the node itself does.
func (s *Sentinels) AwaitMaster(server *Server) {
	s.t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	Await(s.t, "the failover to "+server.Addr, func() bool {
		role, err := client.Do(context.Background(), "ROLE").Slice()
		return s.Master() == server && err == nil && len(role) > 0 && role[0] == "master"
	})
}

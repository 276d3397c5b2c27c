package simulation

import (
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// scriptsWindow is the time over which scripts are counted.
const scriptsWindow = 10 * time.Second

// scripts counts the scripts of vizstop that clients have Redis run. It is safe for
// concurrent use.
type scripts struct {
	mu sync.Mutex
	in map[int64]int // by the scriptsWindow of Unix time
}

func (s *scripts) ran() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in[time.Now().UnixNano()/int64(scriptsWindow)]++
}

// all is how many it has counted.
func (s *scripts) all() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ran := range s.in {
		n += ran
	}
	return n
}

// watchScripts counts the scripts of vizstop, and answers those with which asynq
// looks in vain for work, as they would, but without running them: an imitation's
// Lua is slow, and of all scripts of a simulated day two thirds find nothing. It
// must be called after the first connection.
func watchScripts(m *miniredis.Miniredis) *scripts {
	counted := &scripts{in: make(map[int64]int)}
	m.Server().SetPreHook(func(c *server.Peer, cmd string, args ...string) bool {
		if cmd != "EVALSHA" || len(args) < 3 {
			return false
		}
		if strings.HasPrefix(args[2], "vizstop:") {
			counted.ran()
			return false
		}
		keys := args[2:]
		switch first, keyCount := keys[0], args[1]; {
		case !strings.HasPrefix(first, "asynq:{"):
			return false
		case keyCount == "4" && strings.HasSuffix(first, ":pending"): // dequeue
			if !m.Exists(first) {
				c.WriteNull()
				return true
			}
		case keyCount == "2" && (strings.HasSuffix(first, ":scheduled") || strings.HasSuffix(first, ":retry")), // forward
			keyCount == "1" && strings.HasSuffix(first, ":completed"): // delete what is past its retention
			if !hasDue(m, first) {
				c.WriteInt(0)
				return true
			}
		}
		return false
	})
	return counted
}

// hasDue reports whether a sorted set has a member whose score is not in the
// future.
func hasDue(m *miniredis.Miniredis, key string) bool {
	members, err := m.SortedSet(key)
	if err != nil { // there is none
		return false
	}
	for _, score := range members {
		if score <= float64(time.Now().Unix()) {
			return true
		}
	}
	return false
}

package simulation

import (
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// answerIdlePolls answers the scripts with which asynq looks in vain for work,
// as they would, but without running them: an imitation's Lua is slow, and of
// all scripts of a simulated day two thirds find nothing. It must be called
// after the first connection.
func answerIdlePolls(m *miniredis.Miniredis) {
	m.Server().SetPreHook(func(c *server.Peer, cmd string, args ...string) bool {
		if cmd != "EVALSHA" || len(args) < 3 {
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

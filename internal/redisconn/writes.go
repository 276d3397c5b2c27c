package redisconn

import (
	"errors"
	"regexp"

	"github.com/redis/go-redis/v9"
)

// writeRefusal finds the answers of a Redis that takes no writes at all. Redis 6.2 puts the error of a command in a
// script behind words of its own.
//
// Source: server.c and script.c of Redis 7.0, scripting.c of 6.2.
var writeRefusal = regexp.MustCompile(`^(?:ERR .* -)?(OOM|READONLY|MISCONF|NOREPLICAS) `)

// refusedBecause is why Redis refuses writes, and what to do, by the first word of its answer.
var refusedBecause = map[string]string{
	"OOM":        "out of memory: raise maxmemory above used_memory (redis-cli INFO memory)",
	"READONLY":   "it is a read-only replica: use its master, or redis-sentinel:// to find it",
	"MISCONF":    "it can't write to its disk: make room there or repair it",
	"NOREPLICAS": "too few of its replicas are connected: bring them back, or lower min-replicas-to-write",
}

// WritesRefused says in words, on one line, why Redis refuses writes and what to do, if err is an answer that says so:
// out of memory, a replica, a disk that takes nothing, too few replicas. "": it is none.
func WritesRefused(err error) string {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return ""
	}
	found := writeRefusal.FindStringSubmatch(reply.Error())
	if found == nil {
		return ""
	}
	return "Redis refuses writes: " + refusedBecause[found[1]] + "; see docs/operations.md#redis-refuses-writes"
}

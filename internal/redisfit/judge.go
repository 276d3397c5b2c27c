package redisfit

import (
	"fmt"
	"strconv"
	"strings"
)

// The oldest Redis that has every command of vizstop and asynq: LPOP with a
// count (the ledger) and ZRANGE with BYSCORE (asynq's archive) came with 6.2.
// Source: the "since" and "history" entries of redis.io/commands; asynq v0.26.0
// internal/rdb/rdb.go.
const oldestMajor, oldestMinor = 6, 2

// nearlyFull is the share of maxmemory from which on memory is nearly full, in
// per cent.
const nearlyFull = 90

// judge says what it means.
func (s info) judge() Report {
	var r Report
	s.judgeMemory(&r)
	s.judgePersistence(&r)
	s.judgeVersion(&r)
	return r
}

func (r *Report) find(risk Risk, problem, loss, fix string) {
	r.Findings = append(r.Findings, Finding{Risk: risk, Problem: problem, Loss: loss, Fix: fix})
}

func (s info) judgeMemory(r *Report) {
	policy, ok := s["maxmemory_policy"]
	if !ok {
		r.Unknown = append(r.Unknown, "maxmemory-policy")
		return
	}
	limit, _ := strconv.ParseInt(s["maxmemory"], 10, 64)
	if policy != "noeviction" {
		r.find(Eviction, evicting(policy, limit), evicted(policy),
			"redis-cli CONFIG SET maxmemory-policy noeviction, and the same in its configuration")
		return // a cache is always full
	}
	used, _ := strconv.ParseInt(s["used_memory"], 10, 64)
	buffers, _ := strconv.ParseInt(s["mem_not_counted_for_evict"], 10, 64) // of replicas and of the append-only file
	fix := fmt.Sprintf("give it more than the %d bytes that it uses: redis-cli CONFIG SET maxmemory %d, and the same in its configuration; "+
		"or lower --retention", used, 2*used)
	if limit > 0 && used >= limit/100*nearlyFull {
		r.find(MemoryNearlyFull, fmt.Sprintf("it uses more than %d %% of maxmemory (%d bytes)", nearlyFull, limit),
			"it will soon refuse new stops, and progress of those in flight", fix)
	}
	if limit > 0 && used-buffers > limit {
		r.find(RefusesWrites, fmt.Sprintf("it uses more than maxmemory (%d bytes)", limit), "it refuses every write, and nothing is stopped", fix)
	}
}

func evicting(policy string, limit int64) string {
	problem := "maxmemory-policy is " + policy
	if limit == 0 {
		problem += " (idle while maxmemory is 0)"
	}
	return problem
}

func evicted(policy string) string {
	const when = " when its memory is short"
	if strings.HasPrefix(policy, "volatile-") {
		return "it drops what foreign tasks and repeated HTTP requests were answered, the jobs that a schedule chose, tries of reports and charts" + when
	}
	return "it drops stops and tasks that have not ended" + when
}

func (s info) judgePersistence(r *Report) {
	switch s["aof_enabled"] {
	case "1":
		if s["aof_last_write_status"] == "err" {
			r.find(PersistenceFailing, "it can't write to its append-only file (aof_last_write_status is err)",
				"it refuses writes, and a restart forgets what is not in the file",
				"make room on its disk or repair it")
		}
	case "0":
		r.find(NoAppendOnly, "it keeps no append-only file (appendonly is no)",
			"a crash forgets the stops and outcomes since its last snapshot, or all if it takes none",
			"redis-cli CONFIG SET appendonly yes, and the same in its configuration")
	default:
		r.Unknown = append(r.Unknown, "appendonly")
	}
	if s["rdb_last_bgsave_status"] == "err" {
		r.find(PersistenceFailing, "its last snapshot failed (rdb_last_bgsave_status is err)",
			"it may refuse writes, and a restart forgets what came after the last good one",
			"make room on its disk or repair it, then redis-cli BGSAVE")
	}
}

func (s info) judgeVersion(r *Report) {
	version := s["redis_version"] // forks say here which Redis they are like
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	x, errX := strconv.Atoi(major)
	y, errY := strconv.Atoi(minor)
	if errX != nil || errY != nil {
		r.Unknown = append(r.Unknown, "version")
		return
	}
	if x < oldestMajor || x == oldestMajor && y < oldestMinor {
		r.find(Version, fmt.Sprintf("its version is %s, older than %d.%d", version, oldestMajor, oldestMinor),
			"canceled stops are not counted and tasks may not be archived", "upgrade it")
	}
}

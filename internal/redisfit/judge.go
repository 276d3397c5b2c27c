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

// judge says what the settings mean.
func (s settings) judge() Report {
	var r Report
	s.judgeMemory(&r)
	s.judgePersistence(&r)
	s.judgeVersion(&r)
	return r
}

func (r *Report) find(risk Risk, problem, loss, fix string) {
	r.Findings = append(r.Findings, Finding{Risk: risk, Problem: problem, Loss: loss, Fix: fix})
}

func (s settings) judgeMemory(r *Report) {
	policy, ok := s.info["maxmemory_policy"]
	if !ok {
		r.Unknown = append(r.Unknown, "maxmemory-policy")
		return
	}
	limit, _ := strconv.ParseInt(s.info["maxmemory"], 10, 64)
	if policy != "noeviction" {
		r.find(Eviction, evicting(policy, limit), evicted(policy),
			"redis-cli CONFIG SET maxmemory-policy noeviction, and the same in its configuration")
		return // a cache is always full
	}
	used, _ := strconv.ParseInt(s.info["used_memory"], 10, 64)
	if limit > 0 && used >= limit/100*nearlyFull {
		r.find(MemoryNearlyFull, fmt.Sprintf("it uses more than %d %% of maxmemory (%d bytes)", nearlyFull, limit),
			"it will soon refuse new stops, and progress of those in flight",
			fmt.Sprintf("give it more: redis-cli CONFIG SET maxmemory %d, and the same in its configuration; "+
				"or lower --retention", 2*limit))
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
		return "it drops ended stops, reports and the throttle's state" + when
	}
	return "it drops stops and tasks that have not ended" + when
}

func (s settings) judgePersistence(r *Report) {
	save, saveKnown := s.config["save"]
	switch s.info["aof_enabled"] {
	case "1":
		s.judgeAppending(r)
	case "0":
		s.judgeSnapshots(r, save, saveKnown)
	default:
		r.Unknown = append(r.Unknown, "appendonly")
	}
	if s.info["rdb_last_bgsave_status"] == "err" && (!saveKnown || save != "") {
		r.find(PersistenceFailing, "its last snapshot failed (rdb_last_bgsave_status is err)",
			"it may refuse writes, and a restart forgets what came after the last good one",
			"make room on its disk or repair it, then redis-cli BGSAVE")
	}
}

// judgeAppending looks at an append-only file.
func (s settings) judgeAppending(r *Report) {
	if s.info["aof_last_write_status"] == "err" {
		r.find(PersistenceFailing, "it can't write to its append-only file (aof_last_write_status is err)",
			"it refuses writes, and a restart forgets what is not in the file",
			"make room on its disk or repair it")
	}
	switch fsync, ok := s.config["appendfsync"]; {
	case !ok:
		r.Unknown = append(r.Unknown, "appendfsync")
	case fsync == "everysec":
		r.Notes = append(r.Notes, "appendfsync is everysec: a crash of Redis' machine forgets up to two seconds; always forgets nothing, and is slower")
	case fsync == "no":
		r.Notes = append(r.Notes, "appendfsync is no: a crash of Redis' machine forgets what its kernel had not written, often half a minute; everysec bounds it")
	}
}

// judgeSnapshots looks at a Redis without an append-only file.
func (s settings) judgeSnapshots(r *Report, save string, known bool) {
	const fix = "redis-cli CONFIG SET appendonly yes, and the same in its configuration"
	switch {
	case !known:
		r.Unknown = append(r.Unknown, "save")
	case save == "":
		r.find(NoPersistence, "it keeps nothing on disk (appendonly is no, save is empty)",
			"a restart forgets every stop and task", fix)
	default:
		r.find(SnapshotsOnly, fmt.Sprintf("it keeps snapshots only (appendonly is no, save is %q)", save),
			"a crash forgets the stops and outcomes since the last one", fix)
	}
}

func (s settings) judgeVersion(r *Report) {
	version := s.info["redis_version"] // forks say here which Redis they are like
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

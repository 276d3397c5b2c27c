// Package redisfit looks whether a Redis is fit to keep what vizstop is asked:
// that it drops nothing when memory is short, keeps its data over a crash and
// knows the commands that are sent to it. Settings of Redis change at runtime,
// so a look holds for its moment only.
package redisfit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Risk is a way in which a Redis is not fit.
type Risk string

// The risks, a closed set.
const (
	Eviction           Risk = "eviction"            // drops keys when memory is short
	NoAppendOnly       Risk = "no_append_only"      // a crash forgets what came after the last snapshot, or everything
	PersistenceFailing Risk = "persistence_failing" // the disk does not take what is to be kept
	MemoryNearlyFull   Risk = "memory_nearly_full"  // soon refuses to take more
	RefusesWrites      Risk = "refuses_writes"      // takes nothing more, so that all stands still
	Version            Risk = "version"             // too old for commands that are sent to it
)

// Risks lists every Risk, in the order in which Look reports them.
func Risks() []Risk {
	return []Risk{Eviction, NoAppendOnly, PersistenceFailing, MemoryNearlyFull, RefusesWrites, Version}
}

// Finding is one risk that a Redis runs. Its texts are for people: short, on
// one line, and without secrets.
type Finding struct {
	Risk    Risk
	Servers []string // host:port of the masters that it was found on; empty unless Redis is a cluster
	Problem string   // what is set or was seen
	Loss    string   // what may be lost
	Fix     string   // what to do, with the command
}

// String is the finding in one line.
func (f Finding) String() string {
	where := "Redis"
	if len(f.Servers) > 0 {
		where += " at " + strings.Join(f.Servers, ", ")
	}
	return fmt.Sprintf("%s is not fit (%s): %s, so %s; %s", where, f.Risk, f.Problem, f.Loss, f.Fix)
}

// Report is what one look has found.
type Report struct {
	Findings []Finding // in the order of Risks
	Unknown  []string  // settings that Redis does not show; managed ones often hide them
}

// Has tells whether risk was found.
func (r Report) Has(risk Risk) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Risk == risk })
}

// masters is a client of a cluster.
type masters interface {
	ForEachMaster(ctx context.Context, visit func(context.Context, *redis.Client) error) error
}

// Look asks the Redis behind client with INFO; of a cluster, every master. CONFIG
// would tell more, its passwords too. What Redis does not allow or know is Unknown.
// An error means that it did not answer.
func Look(ctx context.Context, client redis.UniversalClient) (Report, error) {
	cluster, ok := client.(masters)
	if !ok {
		return lookAt(ctx, client, "")
	}
	var mu sync.Mutex // masters are visited at once
	var all Report
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		one, err := lookAt(ctx, node, node.Options().Addr)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		all.merge(one)
		return nil
	})
	if err != nil {
		return Report{}, err
	}
	all.sort()
	return all, nil
}

// lookAt looks at one server. addr is "" where only one is there.
func lookAt(ctx context.Context, client redis.Cmdable, addr string) (Report, error) {
	text, err := client.Info(ctx).Result()
	if err != nil && !refused(err) {
		return Report{}, fmt.Errorf("ask Redis for its state: %w", err)
	}
	r := fields(text).judge()
	if addr != "" {
		for i := range r.Findings {
			r.Findings[i].Servers = []string{addr}
		}
	}
	return r, nil
}

// merge adds what was found on another server. What servers have in common is
// said once.
func (r *Report) merge(other Report) {
	for _, f := range other.Findings {
		same := func(g Finding) bool { return g.Risk == f.Risk && g.Problem == f.Problem }
		if i := slices.IndexFunc(r.Findings, same); i >= 0 {
			r.Findings[i].Servers = append(r.Findings[i].Servers, f.Servers...)
		} else {
			r.Findings = append(r.Findings, f)
		}
	}
	r.Unknown = append(r.Unknown, other.Unknown...)
}

func (r *Report) sort() {
	for _, f := range r.Findings {
		slices.Sort(f.Servers)
	}
	slices.SortFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(slices.Index(Risks(), a.Risk)-slices.Index(Risks(), b.Risk), strings.Compare(a.Problem, b.Problem))
	})
	slices.Sort(r.Unknown)
	r.Unknown = slices.Compact(r.Unknown)
}

// refused tells an answer that Redis gave from none: being refused is an answer too.
func refused(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

// info is what a server tells of itself, by the names of INFO. A missing entry is
// unknown.
type info map[string]string

// fields reads the lines "name:value" of INFO.
func fields(text string) info {
	all := info{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			all[name] = value
		}
	}
	return all
}

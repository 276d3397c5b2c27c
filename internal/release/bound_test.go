package release

import (
	"fmt"
	"testing"
	"time"

	"vizstop/internal/ledger"
)

// crowd puts n members into every set of a project, as n stops in flight would, n
// projects among those with work, and n batches among those that are held.
func (w *world) crowd(n int) {
	w.t.Helper()
	for _, set := range []string{keys.Small(), keys.Large(), keys.Look(), keys.Released()} {
		w.fill(set, n)
	}
	for _, set := range []string{keys.Watched(), keys.Latest(), keys.In(ledger.Pending), roundsKey} {
		w.crowded(set, n, w.now(), "%016d")
	}
	w.ok(w.rdb.Eval(w.t.Context(), `
		for i = 1, ARGV[1] do redis.call('HSET', KEYS[1], 'held:old-' .. i, '1 batch_limit it is too large') end return 1`,
		[]string{keys.Limits()}, n).Err())
	w.ok(w.rdb.SAdd(w.t.Context(), heldKey, project).Err())
	w.advance(time.Minute)
}

// longest is how long the longest command of what do does took within Redis.
func (w *world) longest(do func()) time.Duration {
	w.t.Helper()
	w.ok(w.rdb.Do(w.t.Context(), "SLOWLOG", "RESET").Err())
	do()
	entries, err := w.rdb.SlowLogGet(w.t.Context(), 1000).Result()
	w.ok(err)
	var most time.Duration
	for _, e := range entries {
		most = max(most, e.Duration)
	}
	return most
}

// calls are what a worker does with a project in all its life, each as large as
// it gets.
func (w *world) calls(n int) map[string]func() {
	batch := 0
	open := func() []string { batch++; return w.open(fmt.Sprint("b", n, "-", batch), 50) }
	members := func(ids []string) (all []ledger.Member, stops []*ledger.Stop) {
		for _, id := range ids {
			s := w.get(id)
			stops, all = append(stops, s), append(all, s.Member())
		}
		return all, stops
	}
	need := wide()
	need.Room, need.ListFrom, need.Unlisted, need.Silence = 1<<30, 1, time.Second, time.Second
	return map[string]func(){
		"turns":       func() { w.turns(w.Releaser, Pull(project, 0)) },
		"open, round": func() { open(); w.round(need) },
		"unconfirmed": func() { batch++; w.unconfirmed(fmt.Sprint("u", n, "-", batch), 50); w.round(need) },
		"take, advance, finish": func() {
			all, _ := members(open())
			taken, err := w.Take(w.t.Context(), project, all)
			w.ok(err)
			for _, c := range taken {
				c.Stop.State = ledger.Stopping
				w.move(c.Stop, w.watch())
				_, err := w.ledger.Finish(w.t.Context(), c.Stop, ledger.Stopped, "", 0)
				w.ok(err)
			}
		},
		"recover, hasten": func() {
			all, stops := members(open())
			_, err := w.Recover(w.t.Context(), project, all, func(int) bool { return true })
			w.ok(err)
			w.ok(w.Hasten(w.t.Context(), project, stops))
		},
		"withdraw": func() {
			_, err := w.ledger.Withdraw(w.t.Context(), project, open()[0], fmt.Sprint("b", n, "-", batch), "")
			w.ok(err)
		},
		"holds, rates": func() {
			_, err := w.Holds(w.t.Context())
			w.ok(err)
			w.rate()
			_, err = w.Projects(w.t.Context())
			w.ok(err)
			_, err = w.ledger.Load(w.t.Context(), []string{project})
			w.ok(err)
		},
	}
}

// No command takes longer because more stops are in flight: each visits as many of
// them as it ever does, however many wait.
func TestNoCommandGrows(t *testing.T) {
	const few, many = 10_000, 100_000
	worlds := make(map[int]map[string]func() time.Duration)
	for _, n := range []int{few, many} {
		w := onRedis(t, Config{})
		w.ok(w.rdb.ConfigSet(t.Context(), "slowlog-log-slower-than", "0").Err())
		w.ok(w.rdb.ConfigSet(t.Context(), "slowlog-max-len", "1000").Err())
		w.ok(w.rdb.ConfigSet(t.Context(), "lua-time-limit", "0").Err()) // the crowd comes by one script
		w.crowd(n)
		worlds[n] = make(map[string]func() time.Duration)
		for name, do := range w.calls(n) {
			worlds[n][name] = func() time.Duration { return w.longest(do) }
		}
	}
	// The least of several, for other programs run on this machine, too.
	least := func(measure func() time.Duration, tries int, enough time.Duration) time.Duration {
		d := measure()
		for i := 1; i < tries && d > enough; i++ {
			d = min(d, measure())
		}
		return d
	}
	for name, measure := range worlds[few] {
		with := least(measure, 7, 0)
		most := 3*with + time.Millisecond
		got := least(worlds[many][name], 40, most)
		t.Logf("%s: the longest command took %v with %d members, %v with %d", name, with, few, got, many)
		if got > most {
			t.Errorf("%s: %v with %d members and %v with %d", name, with, few, got, many)
		}
	}
}

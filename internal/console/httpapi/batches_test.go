package httpapi_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vizstop/internal/redistest"
	"vizstop/internal/schedules"
)

// However many stops a batch has, and however many follow it, Redis reads its counters once a second.
func TestFollowersAreOneRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{noAPI: true, inFlight: 1000, rate: 1_000_000})
	const stops, followers, seconds = 3000, 100, 3
	w.ask("asker", "b", body(list(1, stops), `, "in": "5h", "max": 3000`))
	commands := func() int {
		info, err := w.redis.Client(t).Info(t.Context(), "stats").Result()
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(info, "total_commands_processed:")
		number, _, _ := strings.Cut(rest, "\r\n")
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := commands()
	var group sync.WaitGroup
	for range followers {
		group.Go(func() {
			r, err := w.try(call{as: "reader", method: "GET", path: fmt.Sprintf("/v1/batches/b?wait=%d", seconds)})
			if err != nil || r.status != 200 || r.at("projects.0.requested") != float64(stops) || r.at("projects.0.in_flight.pending") != float64(stops) {
				t.Errorf("%d %.300s, %v", r.status, r.body, err)
			}
		})
	}
	group.Wait()
	if n := commands() - before; n > stops/2 { // those of a few looks, on a machine however slow
		t.Errorf("%d commands for %d followers of %d stops", n, followers, stops)
	}
}

// Who has asked for a batch finds it, whatever was known a moment ago.
func TestOwnBatchIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{noAPI: true})
	w.want("none yet", w.send(call{as: "asker", method: "GET", path: "/v1/batches/b"}), 404, "not-found")
	for n := 1; n < 3; n++ {
		w.ask("asker", "b", body(list(1, n), ""))
		if r := w.send(call{as: "asker", method: "GET", path: "/v1/batches/b"}); r.at("projects.0.requested") != float64(n) {
			t.Errorf("a batch of %d stops: %d %s", n, r.status, r.body)
		}
	}
}

// What was read before Redis went away is not what a caller has already: it is stale now.
func TestStaleOverviewIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{noAPI: true})
	fresh := w.send(call{as: "reader", method: "GET", path: "/v1/overview"})
	w.redis.Kill()
	deadline := time.Now().Add(patience)
	for {
		r := w.send(call{as: "reader", method: "GET", path: "/v1/overview"})
		if r.at("stale") == true {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it never is stale: %d %s", r.status, r.body)
		}
	}
	known := map[string]string{"If-None-Match": fresh.header.Get("ETag")}
	if r := w.send(call{as: "reader", method: "GET", path: "/v1/overview", header: known}); r.status != 200 || r.at("stale") != true {
		t.Errorf("without Redis: %d %s", r.status, r.body)
	}
}

// Redis is full, and refuses what workers say each second: nobody can tell how many live, and the overview says so.
func TestOverviewOfAFullRedis(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{noAPI: true})
	admin := w.redis.Client(t)
	for _, c := range []struct {
		memory, unknown string
		alive           any
	}{{"1", "Redis refuses writes: out of memory", nil}, {"0", "", 0.0}} {
		if err := admin.ConfigSet(t.Context(), "maxmemory", c.memory).Err(); err != nil {
			t.Fatal(err)
		}
		redistest.Await(t, "workers that are known, or not", func() bool {
			r := w.send(call{as: "reader", method: "GET", path: "/v1/overview"})
			unknown, _ := r.at("workers.unknown").(string)
			return r.status == 200 && r.at("workers.alive") == c.alive &&
				strings.HasPrefix(unknown, c.unknown) && (unknown == "") == (c.unknown == "")
		})
	}
}

// Where the tick stands of a batch that has no stops yet is told, and it is canceled, if all projects are seen.
func TestBatchOfATickWithoutStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	tick := w.desk.Fleet.Now().Truncate(time.Second)
	b := "/v1/batches/" + schedules.BatchID("nightly", tick)
	record := fmt.Sprintf(`{"claim":{"tick":%d,"try":1,"retry_at":%d,"error":"http 401"}}`, tick.UnixMilli(), tick.Add(time.Minute).UnixMilli())
	if err := w.redis.Client(t).HSet(t.Context(), "vizstop:{-}:schedule:nightly", "record", record).Err(); err != nil {
		t.Fatal(err)
	}
	why := `{"reason": "wrong rule"}`
	for _, path := range []string{b, b + "/stops"} {
		w.want(path, w.send(call{as: "reader", method: "GET", path: path}), 404, "not-found", "has no stops yet: the tick of schedule nightly at", "the try before: http 401")
		a := w.send(call{as: "partial", method: "GET", path: path})
		w.want(path, a, 404, "not-found", "knows no batch of this id")
	}
	w.want("cancel, in part", w.send(call{as: "partial", method: "POST", path: b + "/cancel", body: why}), 404, "not-found", "is not in the ledger")
	w.want("cancel", w.send(call{as: "operator", method: "POST", path: b + "/cancel", body: why}), 200, "", `"tick":true`, `"canceled":0`)
	w.want("cancel again", w.send(call{as: "operator", method: "POST", path: b + "/cancel", body: why}), 200, "", `"nothing":true`)
	w.want("canceled", w.send(call{as: "reader", method: "GET", path: b}), 404, "not-found", "asks for no stop: canceled by operator: wrong rule")
}

package check

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vizstop/internal/redistest"
)

// holds has an admin write what keeps calls back, as workers and people do.
var holds = map[string][]any{
	"fleet":    {"HSET", "vizstop:{-}:control", "paused", "1767323045000", "paused_by", "ann"},
	"queue":    {"SET", "asynq:{visualization}:paused", "1767323045"},
	"account":  {"HSET", "vizstop:{-}:account:team-b", "hold", "credentials", "hold_since", "1767323045000"},
	"outage":   {"HSET", "vizstop:{" + project(0, 0) + "}:control", "hold", "outage", "hold_since", "1767323045000"},
	"project":  {"HSET", "vizstop:{" + project(0, 0) + "}:control", "paused", "1767323045000", "paused_by", "ann"},
	"throttle": {"HSET", "vizstop:{" + project(0, 0) + "}:control", "parked", fmt.Sprint(time.Now().Add(time.Hour).UnixMilli())},
}

// What keeps every stop from moving fails the check of a producer, and a worker is told of it.
func TestHolds(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes")
	live(t, server)
	admin := server.Client(t)
	f := newTeams(t, server.URL)
	admin.SAdd(t.Context(), "vizstop:{-}:accounts", "team-b")
	for _, tt := range []struct {
		hold, want string
		args       []string
		holds      int
		failed     bool
	}{
		{"fleet", "all stop calls paused since 2026-01-02T03:04:05Z by ann; to end it: enqueue resume", nil, 1, true},
		{"queue", "all calls held since 2026-01-02T03:04:05Z: the queue visualization is paused in asynq; to end it: asynq queue unpause visualization", nil, 1, true},
		{"account", "calls of account team-b held since 2026-01-02T03:04:05Z, credentials", nil, 1, true},
		{"account", "renew or enable the key, then restart the workers, which try it at once, or wait until then", []string{"--project", project(1, 0)}, 1, true},
		{"account", "", []string{"--project", project(0, 0)}, 0, false},
		{"outage", "calls of project " + project(0, 0) + " held since 2026-01-02T03:04:05Z, outage: ; 0 probes failed, next at 0001-01-01T00:00:00Z; no command ends it: the first probe that the API answers well does", nil, 1, true},
		{"project", "paused since 2026-01-02T03:04:05Z by ann; to end it: enqueue resume --project " + project(0, 0), nil, 1, true},
		{"project", "", []string{"--project", project(0, 1)}, 0, false},
		{"throttle", "throttled: the API answered 429", nil, 1, false},
	} {
		admin.SAdd(t.Context(), "vizstop:{-}:held", project(0, 0)) // a check forgets that if nothing holds it
		admin.Do(t.Context(), holds[tt.hold]...)
		for _, worker := range []bool{false, true} {
			f.worker = worker
			r, err := f.report(t, nil, tt.args...)
			if failed := tt.failed && !worker; (err != nil) != failed || err != nil && err.Error() != "the check failed for holds" || len(r.Holds) != tt.holds {
				t.Errorf("%s, a worker %t: %v, %+v", tt.hold, worker, err, r.Holds)
			} else if tt.holds > 0 && (!strings.Contains(r.Holds[0].Words, tt.want) || r.Holds[0].Failed != failed) {
				t.Errorf("%s: %+v, want %q", tt.hold, r.Holds[0], tt.want)
			}
			if text, _ := f.run(t, nil, tt.args...); !strings.Contains(text, tt.want) || strings.Contains(text, "nothing failed") != (err == nil) {
				t.Errorf("%s: %v\n%s", tt.hold, err, text)
			}
		}
		admin.Del(t.Context(), holds[tt.hold][1].(string))
	}
}

// A producer needs a worker; before a worker is started there may be none.
func TestNoWorker(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes")
	f := newTeams(t, server.URL)
	r, err := f.report(t, nil)
	if err == nil || err.Error() != "the check failed for workers" || *r.Workers.Alive != 0 || r.Workers.Seen != nil {
		t.Errorf("%v, %+v", err, r.Workers)
	}
	text, _ := f.run(t, nil)
	for _, want := range []string{"workers: none alive: FAILED\nholds: none\n", "failed: no worker has been seen yet", "compare their --redis (VIZSTOP_REDIS)", "\nworkers failed\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	f.worker = true
	if text, err = f.run(t, nil); err != nil || !strings.Contains(text, "workers: none alive\n") || !strings.Contains(text, "note: no worker has been seen yet") {
		t.Errorf("%v\n%s", err, text)
	}
	live(t, server)
	f.worker = false
	if r, err = f.report(t, nil); err != nil || *r.Workers.Alive != 1 || r.Workers.Seen == nil {
		t.Errorf("%v, %+v", err, r.Workers)
	}
	// One that does not answer tells nothing.
	f.redis = "redis://127.0.0.1:1/0"
	if r, err = f.report(t, nil); err == nil || r.Workers.Alive != nil || len(r.Workers.Failures) > 0 || r.Holds != nil {
		t.Errorf("%v, %+v, holds %v", err, r.Workers, r.Holds)
	}
}

// Where holds can't be read, nobody is told that there are none.
func TestHoldsNotKnown(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes")
	live(t, server)
	f := newTeams(t, server.URL)
	if r, err := f.report(t, nil); err != nil || r.Holds == nil || len(r.Holds) > 0 {
		t.Errorf("without any: %v, %v", err, r.Holds)
	}
	server.Client(t).Set(t.Context(), "vizstop:{-}:held", "no set", 0)
	if r, err := f.report(t, nil); err == nil || err.Error() != "the check failed for Redis" || r.Holds != nil || *r.Workers.Alive != 1 {
		t.Errorf("%v, %v, %+v", err, r.Holds, r.Workers)
	}
	if text, _ := f.run(t, nil); !strings.Contains(text, "workers: 1 alive\nholds: not known\n") || !strings.Contains(text, "WRONGTYPE") {
		t.Error(text)
	}
}

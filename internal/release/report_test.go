package release

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"vizstop/internal/jobs"
)

// A call that was not made tells nothing: the credential may still be refused, and what is held stays held.
func TestUnaskedCallsCountForNothing(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		id, few := w.open("b", 1)[0], w.Few(DefaultAccount)
		system := w.report(w.call(id), jobs.Unasked(jobs.OperationDetail, errors.New("its id is not valid")))
		if after := w.Few(DefaultAccount); system || few == 0 || after != few {
			t.Errorf("it is the system's: %v; %d calls may be made at once, want %d", system, after, few)
		}
	})
}

// Five calls in a row without an answer are an outage, whatever stops they were of.
// One that is answered in between ends the row, also if it was claimed before the
// first failure.
func TestOutageAfterFiveInARow(t *testing.T) {
	for _, kind := range []jobs.Kind{jobs.KindUnavailable, jobs.KindTimeout, jobs.KindDisconnected, jobs.KindUnreachable} {
		t.Run(kind.String(), func(t *testing.T) {
			eachRedis(t, Config{}, func(t *testing.T, w *world) {
				unreachable := kind == jobs.KindUnreachable // says nothing about a job, even alone
				fail := func(n int, want bool) {
					t.Helper()
					for range n {
						if system := w.report(w.call("x"), answer(kind)); system != want {
							t.Errorf("held to be the system's: %t, want %t", system, want)
						}
					}
				}
				early := w.call("y")
				early.Ill = false
				fail(4, unreachable)
				w.report(early, nil)
				fail(4, unreachable)
				w.report(w.call("y"), answer(jobs.KindNotFound)) // about the job: the system works
				fail(4, unreachable)
				w.holdsAre()
				fail(2, true)
				w.holdsAre("project outage")
				if !slices.Equal(w.began.all, []string{"outage"}) {
					t.Errorf("observed %q, want one outage", w.began.all)
				}
				w.rdb.ZRem(t.Context(), roundsKey, project)
				w.report(w.call("x"), nil)
				w.holdsAre()
				if projects, err := w.Projects(t.Context()); err != nil || len(projects) != 1 {
					t.Errorf("rounds of %v, %v; want one asked for", projects, err)
				}
			})
		})
	}
}

// Refusals hold a project after three different stops: one stop, or two, may have a
// reason of their own.
func TestRefusalsOfSeveralStops(t *testing.T) {
	for kind, want := range map[jobs.Kind]string{jobs.KindPermission: "permission", jobs.KindNoAPI: "no_api"} {
		t.Run(want, func(t *testing.T) {
			eachRedis(t, Config{}, func(t *testing.T, w *world) {
				for _, id := range []string{"x", "x", "x", "y", "x", "y", "x"} {
					if !w.report(w.call(id), answer(kind)) {
						t.Error("not the system's, and the stop would lose an attempt")
					}
				}
				w.holdsAre()
				w.report(w.call("z"), answer(kind))
				w.holdsAre("project " + want)
				w.report(w.call("x"), nil)
				w.holdsAre()
			})
		})
	}
}

// Failures of another kind begin a row of their own.
func TestRowsOfOneKind(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		for range 4 {
			w.report(w.call("x"), answer(jobs.KindUnavailable))
		}
		w.report(w.call("x"), answer(jobs.KindPermission))
		w.report(w.call("y"), answer(jobs.KindUnavailable))
		w.holdsAre()
	})
}

// A credential is held when it was refused for two different stops, of whatever
// projects, without a success in between. One project that refuses it alone, while
// others accept it, holds itself only.
func TestCredential(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		if w.Few(DefaultAccount) != 3 {
			t.Error("proven before the first call")
		}
		refuse := func(project, id string) {
			t.Helper()
			c := w.call(id)
			c.ProjectID = project
			if !w.report(c, answer(jobs.KindCredentials)) {
				t.Error("not the system's")
			}
		}
		good := w.call("g")
		good.ProjectID, good.Ill = "other", false
		for _, id := range []string{"x", "x", "x"} {
			refuse(project, id)
		}
		w.holdsAre()
		for _, id := range []string{"y", "z"} {
			w.report(good, nil)
			if w.Few(DefaultAccount) != 0 {
				t.Error("not any number after a success")
			}
			refuse(project, id)
		}
		w.holdsAre("project credentials")
		if w.Few(DefaultAccount) != 1 {
			t.Error("more than one at a time after a refusal")
		}
		refuse("another", "a")
		w.holdsAre("credential credentials", "project credentials")
		if w.holds(project) != "1" {
			t.Error("this worker does not know at once")
		}
		w.report(good, nil)
		w.holdsAre("project credentials")
		if w.holds(project) != "" {
			t.Error("this worker still holds back everything")
		}
	})
}

// A refused permission shows that the credential itself was accepted.
func TestPermissionProvesTheCredential(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.report(w.call("x"), answer(jobs.KindCredentials))
		w.report(w.call("y"), answer(jobs.KindPermission))
		w.report(w.call("z"), answer(jobs.KindCredentials))
		w.holdsAre()
	})
}

// The end of the process says nothing about the API.
func TestCanceledCallsCountForNothing(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		for range 10 {
			if !w.report(w.call("x"), answer(jobs.KindCanceled)) {
				t.Error("held to be the stop's own fault")
			}
		}
		w.holdsAre()
		if n := w.rdb.Exists(t.Context(), keys.Control()).Val(); n != 0 {
			t.Error("something was noted")
		}
	})
}

// Failed probes come less and less often, where the API answers; an outage is tried
// all the time.
func TestProbeWaits(t *testing.T) {
	for name, row := range map[string]struct {
		kind  jobs.Kind
		cfg   Config
		waits []time.Duration
	}{
		"outage":     {jobs.KindUnavailable, Config{}, []time.Duration{outageProbe, outageProbe, outageProbe}},
		"permission": {jobs.KindPermission, Config{}, []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 2 * time.Minute}},
		"settings": {jobs.KindNoAPI, Config{FirstProbe: time.Second, LongestProbe: 3 * time.Second},
			[]time.Duration{time.Second, 2 * time.Second, 3 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, row.cfg, func(t *testing.T, w *world) {
				w.open("b", 1)
				for _, id := range []string{"1", "2", "3", "4", "5"} {
					w.report(w.call(id), answer(row.kind))
				}
				since := w.now()
				for i, wait := range row.waits {
					holds, err := w.Holds(t.Context())
					if err != nil || len(holds) != 1 || holds[0].Probes != i || !holds[0].Until.Equal(w.now().Add(wait)) || !holds[0].Since.Equal(since) ||
						holds[0].Detail == "" {
						t.Fatalf("holds %+v, %v; want %d failed probes, the next in %v", holds, err, i, wait)
					}
					w.report(w.call("late"), answer(row.kind)) // no probe: it counts for nothing
					w.advance(wait)
					probe := Call{ProjectID: project, Ill: true}
					if r := w.round(wide()); len(r.Stops) == 1 {
						probe.Step = r.Stops[0]
					} else if !r.Probe {
						t.Fatalf("round %+v, want a probe", r)
					}
					w.report(probe, answer(row.kind))
				}
			})
		})
	}
}

// Of all workers one tries the credential, when it is due, and the failure counts.
func TestCredentialProbe(t *testing.T) {
	eachRedis(t, Config{CredentialProbe: 90 * time.Second}, func(t *testing.T, w *world) {
		probe := func(r *Releaser, want string) {
			t.Helper()
			if got, err := r.CredentialProbes(t.Context()); strings.Join(got, " ") != want || err != nil {
				t.Errorf("probes of %q, %v, want %q", got, err, want)
			}
		}
		other := w.worker("worker-2", Config{CredentialProbe: 90 * time.Second})
		probe(w.Releaser, "")
		for _, id := range []string{"x", "y"} {
			w.report(w.call(id), answer(jobs.KindCredentials))
		}
		for i := range 3 {
			w.ok(other.Refresh(t.Context()))
			w.ok(w.Refresh(t.Context()))
			probe(w.Releaser, "")
			w.advance(90 * time.Second)
			probe(other, project)
			probe(w.Releaser, "")
			_, err := other.Report(t.Context(), Call{ProjectID: project, Ill: true}, answer(jobs.KindCredentials))
			w.ok(err)
			holds, err := w.Holds(t.Context())
			if err != nil || holds[0].Scope != ScopeCredential || holds[0].Probes != i+1 {
				t.Errorf("holds %+v, %v, want %d failed probes", holds, err, i+1)
			}
		}
	})
}

// A worker that starts tries at once whatever is held: it may bring what everybody
// waits for.
func TestProbeSoon(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.open("b", 1)
		for _, id := range []string{"x", "y", "z"} {
			w.report(w.call(id), answer(jobs.KindCredentials))
		}
		w.holdsAre("credential credentials", "project credentials")
		w.rdb.Del(t.Context(), roundsKey)
		starts := w.worker("worker-2", Config{})
		w.ok(starts.ProbeSoon(t.Context()))
		w.ok(starts.Refresh(t.Context()))
		if got, err := starts.CredentialProbes(t.Context()); !slices.Equal(got, []string{project}) || err != nil {
			t.Errorf("probe of %q, %v", got, err)
		}
		if turns, _ := w.turns(starts); len(turns) != 1 {
			t.Errorf("turns %v, want one", turns)
		}
		_, err := starts.Report(t.Context(), Call{ProjectID: project, Ill: true}, nil)
		w.ok(err)
		w.holdsAre()
	})
}

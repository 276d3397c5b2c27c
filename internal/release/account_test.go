package release

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
)

// Projects of another account than the default one.
const (
	projectB  = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	projectB2 = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2"
)

// twoAccounts serves projects whose ids begin with a "b" by account "b", and the
// others by the default one.
func twoAccounts(projectID string) Serving {
	if strings.HasPrefix(projectID, "b") {
		return Serving{Account: "b", Endpoint: "https://b.example"}
	}
	return Serving{}
}

// refuse reports that the credential was refused for a stop of a project.
func (w *world) refuse(r *Releaser, projectID, id string) {
	w.t.Helper()
	c := w.call(id)
	c.ProjectID = projectID
	_, err := r.Report(w.t.Context(), c, answer(jobs.KindCredentials))
	w.ok(err)
}

// accept reports that a call of a project was answered.
func (w *world) accept(r *Releaser, projectID string) {
	w.t.Helper()
	_, err := r.Report(w.t.Context(), Call{ProjectID: projectID, At: w.now(), Ill: true}, nil)
	w.ok(err)
}

// A refused account holds back its own projects only, in every worker, and its end
// has only these visited.
func TestAnAccountHoldsItsOwnProjects(t *testing.T) {
	eachRedis(t, Config{Serving: twoAccounts}, func(t *testing.T, w *world) {
		other := w.worker("worker-2", Config{Serving: twoAccounts})
		both := []*Releaser{w.Releaser, other}
		heldAre := func(a, b string) {
			t.Helper()
			for i, r := range both {
				w.ok(r.Refresh(t.Context()))
				if r.holds(project) != a || r.holds(projectB) != b || r.holds(projectB2) != b || r.Resting(project) != (a == "1") ||
					r.Resting(projectB2) != (b == "1") {
					t.Errorf("worker %d is told %q of the default account, and %q, %q of b; want %q and %q", i+1, r.holds(project), r.holds(projectB),
						r.holds(projectB2), a, b)
				}
			}
		}
		fewAre := func(r *Releaser, a, b int) {
			t.Helper()
			if r.Few(DefaultAccount) != a || r.Few("b") != b {
				t.Errorf("%d calls of the default account at once, %d of b; want %d and %d", r.Few(DefaultAccount), r.Few("b"), a, b)
			}
		}
		fewAre(w.Releaser, 3, 3)
		w.accept(w.Releaser, project)
		fewAre(w.Releaser, 0, 3)
		w.refuse(w.Releaser, projectB, "x")
		w.refuse(w.Releaser, project, "y") // of another credential: not the second in a row
		heldAre("", "")
		fewAre(other, 1, 1)
		w.accept(w.Releaser, project)
		w.refuse(w.Releaser, projectB2, "z")
		w.holdsAre("credential credentials")
		heldAre("", "1")
		fewAre(w.Releaser, 0, 1)
		fewAre(other, 3, 1) // it has had no answer itself
		holds, err := w.Holds(t.Context())
		w.ok(err)
		if holds[0].Account != "b" || !strings.HasPrefix(holds[0].String(), "calls of account b held since 2026-01-02T03:04:05Z, credentials: ") {
			t.Errorf("hold %+v: %s", holds[0], holds[0])
		}
		if !w.Concerns(holds[0], projectB) || w.Concerns(holds[0], project) || !w.worker("", Config{}).Concerns(holds[0], project) {
			t.Error("the hold concerns projects of account b, and any project for who knows no accounts")
		}

		w.accept(w.Releaser, project) // the other account says nothing about b
		heldAre("", "1")
		_, err = w.Pause(t.Context(), "", "me", "")
		w.ok(err)
		heldAre("stops", "1")
		_, err = w.Resume(t.Context(), "")
		w.ok(err)
		heldAre("", "1")
		for _, p := range []string{project, projectB, projectB2} {
			w.turns(w.Releaser, Pull(p, time.Hour))
		}
		w.accept(w.Releaser, projectB)
		w.holdsAre()
		turns, _ := w.turns(other)
		var asked []string
		for _, turn := range turns {
			asked = append(asked, turn.ProjectID)
		}
		slices.Sort(asked)
		if !slices.Equal(asked, []string{projectB2, projectB}) {
			t.Errorf("rounds are due of %q, want both projects of b", asked)
		}
		heldAre("", "")
		if n := w.rdb.Exists(t.Context(), troubledKey).Val(); n != 0 {
			t.Errorf("accounts in trouble: %v", w.rdb.SMembers(t.Context(), troubledKey).Val())
		}
	})
}

// A worker that calls another endpoint, and whose own account is held, settles no later time for a project than the
// one that may work for it needs.
func TestAHeldAccountSettlesNothingElsewhere(t *testing.T) {
	eachRedis(t, Config{Serving: twoAccounts}, func(t *testing.T, w *world) {
		far := w.worker("worker-2", Config{Serving: func(string) Serving { return Serving{Endpoint: "https://far.example"} }})
		asks := []ledger.Ask{{JobID: "1"}, {JobID: "2", Due: w.now().Add(10 * time.Second)}}
		for i := range asks {
			asks[i].Deadline = w.now().Add(time.Hour)
		}
		_, err := w.ledger.Open(t.Context(), projectB, "b", asks)
		w.ok(err)
		r, err := w.Round(t.Context(), projectB, wide())
		if err != nil || len(r.Stops) != 1 {
			t.Fatalf("round %+v, %v", r, err)
		}
		_, err = w.NewClaim(projectB, r.Stops[0], ledger.KindStop).Do()
		w.ok(err)
		w.refuse(far, project, "x")
		w.refuse(far, project, "y")
		r, err = far.Round(t.Context(), projectB, wide())
		if err != nil || r.Elsewhere != "https://b.example" || r.Next > 11*time.Second {
			t.Errorf("the round of the other worker is %+v, %v", r, err)
		}
	})
}

// What a worker finds out by its Refresh only has the account's projects visited,
// too, also while all stop calls are paused: looks go on.
func TestTheEndOfAnAccountsHoldIsHeard(t *testing.T) {
	eachRedis(t, Config{Serving: twoAccounts}, func(t *testing.T, w *world) {
		for _, id := range []string{"x", "y"} {
			w.refuse(w.Releaser, projectB, id)
		}
		_, err := w.Pause(t.Context(), "", "me", "")
		w.ok(err)
		w.ok(w.Refresh(t.Context()))
		for _, p := range []string{project, projectB} {
			w.turns(w.Releaser, Pull(p, time.Hour))
		}
		w.ok(answeredScript.Run(t.Context(), w.rdb, []string{accountKey("b"), troubledKey}, w.now().UnixMilli(), "b").Err()) // and its worker died
		w.ok(w.Refresh(t.Context()))
		if turns, _ := w.turns(w.Releaser); len(turns) != 1 || turns[0].ProjectID != projectB {
			t.Errorf("turns %v, want one of %s", turns, projectB)
		}
		w.ok(w.Refresh(t.Context()))
		if turns, _ := w.turns(w.Releaser); len(turns) != 0 {
			t.Errorf("turns %v, although it was told before", turns)
		}
	})
}

// Each held account gets probes of its own, in a project that it has now, by a
// worker that serves it.
func TestProbesOfAccounts(t *testing.T) {
	eachRedis(t, Config{Serving: twoAccounts}, func(t *testing.T, w *world) {
		stranger := w.worker("worker-3", Config{Serving: func(string) Serving { return Serving{Account: "c"} }})
		probes := func(r *Releaser, want ...string) {
			t.Helper()
			got, err := r.CredentialProbes(t.Context())
			if slices.Sort(got); !slices.Equal(got, want) || err != nil {
				t.Errorf("probes of %q, %v, want %q", got, err, want)
			}
		}
		for _, id := range []string{"x", "y"} {
			w.refuse(w.Releaser, project, id)
			w.refuse(w.Releaser, projectB, id)
		}
		probes(w.Releaser)
		w.ok(stranger.ProbeSoon(t.Context()))
		w.ok(w.Refresh(t.Context()))
		probes(w.Releaser)
		w.advance(2 * time.Minute)
		w.ok(stranger.Refresh(t.Context()))
		probes(stranger)
		probes(w.Releaser, project, projectB)
		probes(w.Releaser)

		// The project has another account now; another project still has this one.
		moved := w.worker("worker-2", Config{Serving: func(id string) Serving {
			if id == projectB {
				return Serving{}
			}
			return twoAccounts(id)
		}})
		w.accept(w.Releaser, project)
		w.turns(w.Releaser, Pull(projectB2, time.Hour))
		w.advance(2 * time.Minute)
		w.ok(moved.Refresh(t.Context()))
		probes(moved, projectB2)
		w.accept(moved, projectB2)
		w.holdsAre()
	})
}

// A list that is refused casts doubt on its own account only.
func TestDoubtIsOfAnAccount(t *testing.T) {
	eachRedis(t, Config{Serving: twoAccounts}, func(t *testing.T, w *world) {
		for _, p := range []string{project, projectB} {
			w.accept(w.Releaser, p)
		}
		w.Doubt("b")
		if a, b := w.Few(DefaultAccount), w.Few("b"); a != 0 || b != 1 {
			t.Errorf("%d calls of the default account at once, %d of b; want any number and 1", a, b)
		}
	})
}

// A project moves to another account while a call of it is out: the refusal counts
// against the account that called.
func TestACallIsOfTheAccountAtItsClaim(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		var moved atomic.Bool
		w.Releaser = w.worker("worker-1", Config{Serving: func(string) Serving {
			if moved.Load() {
				return Serving{Account: "new"}
			}
			return Serving{Account: "old"}
		}})
		_, err := w.ledger.Open(t.Context(), project, "b", []ledger.Ask{{JobID: "10", Deadline: w.now().Add(time.Hour)}})
		w.ok(err)
		w.advance(time.Second)
		r := w.round(wide())
		if len(r.Stops) != 1 {
			t.Fatalf("round %+v, want one step", r)
		}
		c, err := w.NewClaim(project, r.Stops[0], ledger.KindStop).Do()
		if err != nil || c.Stop == nil {
			t.Fatalf("claim %+v, %v", c, err)
		}
		moved.Store(true)
		_, err = w.Report(t.Context(), Call{ProjectID: project, Step: c.Stop.Member(), At: c.At, Account: c.Account, Ill: c.Ill}, answer(jobs.KindCredentials))
		w.ok(err)
		if before, now := w.Few("old"), w.Few("new"); before != 1 || now != 3 {
			t.Errorf("%d calls of the account that called at once, %d of the one that the project has now; want 1 and 3", before, now)
		}
	})
}

// A project that is in no account and tied to no endpoint is claimed, and not tied.
func TestAProjectThatNobodyHas(t *testing.T) {
	nowhere := func(string) Serving { return Serving{Endpoint: Nowhere} }
	eachRedis(t, Config{Serving: nowhere}, func(t *testing.T, w *world) {
		_, err := w.ledger.Open(t.Context(), projectB, "b", []ledger.Ask{{JobID: "10", Deadline: w.now().Add(time.Hour)}})
		w.ok(err)
		w.advance(time.Second)
		r, err := w.Round(t.Context(), projectB, wide())
		if err != nil || len(r.Stops) != 1 {
			t.Fatalf("round %+v, %v; want one step", r, err)
		}
		if c, err := w.NewClaim(projectB, r.Stops[0], ledger.KindStop).Do(); err != nil || c.Stop == nil {
			t.Fatalf("claim %+v, %v", c, err)
		}
		knows := w.worker("worker-2", Config{Serving: twoAccounts})
		if r, err := knows.Round(t.Context(), projectB, wide()); err != nil || r.Elsewhere != "" {
			t.Errorf("the project is tied to %q by a worker that has it in no account, %v", r.Elsewhere, err)
		}
	})
}

// A worker claims and releases steps of projects at the endpoint that it calls for
// each.
func TestEndpointsOfProjects(t *testing.T) {
	eachRedis(t, Config{Serving: twoAccounts}, func(t *testing.T, w *world) {
		openings, err := w.ledger.Open(t.Context(), projectB, "b", []ledger.Ask{{JobID: "10", Deadline: w.now().Add(time.Hour)}})
		w.ok(err)
		w.advance(time.Second)
		r, err := w.Round(t.Context(), projectB, wide())
		if err != nil || len(r.Stops) != 1 {
			t.Fatalf("round %+v, %v; want one step", r, err)
		}
		c, err := w.NewClaim(projectB, r.Stops[0], ledger.KindStop).Do()
		if err != nil || c.Stop == nil || c.Stop.ID != openings[0].StopID {
			t.Fatalf("claim %+v, %v", c, err)
		}
		far := w.worker("worker-2", Config{Serving: func(string) Serving { return Serving{Endpoint: "https://far.example"} }})
		if r, err := far.Round(t.Context(), projectB, wide()); err != nil || r.Elsewhere != "https://b.example" {
			t.Errorf("round at another endpoint %+v, %v", r, err)
		}
		unknown := w.worker("worker-3", Config{Serving: func(string) Serving { return Serving{Endpoint: Nowhere} }})
		if r, err := unknown.Round(t.Context(), projectB, wide()); err != nil || r.Elsewhere != "https://b.example" {
			t.Errorf("round of a worker that has the project in no account %+v, %v", r, err)
		}
	})
}

// A refusal that holds nothing is told of while its stop waits for the next try, and no longer, whatever became of it.
func TestRefusals(t *testing.T) {
	eachRedis(t, Config{CallTimeout: 30 * time.Second}, func(t *testing.T, w *world) {
		for _, ends := range []func(){
			func() { w.report(w.call("s"), nil) },
			func() { w.advance(RefusedRest + 31*time.Second) },
		} {
			w.report(w.call("s"), answer(jobs.KindCredentials))
			for _, want := range []int{1, 0} {
				all, err := w.Refusals(t.Context())
				w.ok(err)
				if len(all) != want {
					t.Errorf("refusals %v, want %d", all, want)
				}
				ends()
			}
		}
	})
}

// One project whose calls are refused keeps no other project of the account held for good.
func TestOneProjectHoldsNotItsAccount(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		other := "fedcba9876543210fedcba9876543210"
		w.turns(w.Releaser, Pull(project, time.Hour), Pull(other, time.Hour))
		for _, id := range []string{"x", "y"} {
			w.report(w.call(id), answer(jobs.KindCredentials)) // only of the first project
		}
		w.ok(w.Refresh(t.Context()))
		if w.holds(other) != "1" {
			t.Fatal("the other project is not held")
		}
		began := w.now()
		for range 30 { // an hour
			w.advance(2 * time.Minute)
			w.ok(w.Refresh(t.Context()))
			probes, err := w.CredentialProbes(t.Context())
			w.ok(err)
			for _, p := range probes {
				var answered error
				if p == project {
					answered = answer(jobs.KindCredentials)
				}
				w.report(Call{ProjectID: p, At: w.now(), Ill: true}, answered)
			}
			w.ok(w.Refresh(t.Context()))
			if w.holds(other) == "" {
				break
			}
		}
		if d := w.now().Sub(began); w.holds(other) != "" {
			t.Errorf("after %v the other project is held still: every probe was of the one that is refused", d)
		}
	})
}

// The probe of an account finds a project of it also beyond the first thousand.
func TestAProbeBeyondAThousandProjects(t *testing.T) {
	w := onRedis(t, Config{})
	serving := func(id string) Serving {
		if id == projectB {
			return Serving{Account: "b"}
		}
		return Serving{}
	}
	w.Releaser = w.worker("worker-1", Config{Serving: func(id string) Serving {
		if id == project {
			return Serving{Account: "b"}
		}
		return serving(id)
	}})
	for _, id := range []string{"x", "y"} {
		w.report(w.call(id), answer(jobs.KindCredentials))
	}
	moved := w.worker("worker-1", Config{Serving: serving}) // restarted: the project has another account now
	members := []redis.Z{{Score: float64(w.now().Add(time.Hour).UnixMilli()), Member: projectB}}
	for i := range 1000 {
		members = append(members, redis.Z{Score: float64(w.now().UnixMilli()), Member: fmt.Sprintf("%032d", i)})
	}
	w.ok(w.rdb.ZAdd(t.Context(), roundsKey, members...).Err())
	for range 60 {
		w.advance(2 * time.Minute)
		w.ok(moved.Refresh(t.Context()))
		probes, err := moved.CredentialProbes(t.Context())
		w.ok(err)
		if len(probes) > 0 {
			return
		}
	}
	t.Error("two hours without a probe of account b")
}

package simulation

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/modelarts/sdkhmac"
	"vizstop/internal/release"
	"vizstop/internal/worker"
)

// account is one account of a worker: its access key, which is named as the account
// is, the endpoint of its region, and its projects.
type account struct {
	name, secret, endpoint string
	projects               []string
}

// byProject calls the API of the account that each project has.
type byProject func(projectID string) worker.Jobs

func (b byProject) Stop(ctx context.Context, projectID, jobID string) (jobs.Accepted, error) {
	return b(projectID).Stop(ctx, projectID, jobID)
}

func (b byProject) Get(ctx context.Context, projectID, jobID string) (*jobs.Job, error) {
	return b(projectID).Get(ctx, projectID, jobID)
}

func (b byProject) List(ctx context.Context, projectID string, q jobs.Query) (*jobs.Page, error) {
	return b(projectID).List(ctx, projectID, q)
}

func (b byProject) PageSize(projectID string) int { return b(projectID).PageSize(projectID) }

// startFor starts a worker that serves several accounts, each with its own client;
// opts of a client are for its account.
func (w *world) startFor(change func(*worker.Config), accounts []account, opts func(name string) []modelarts.Option) *running {
	w.t.Helper()
	serving, api, names := make(map[string]release.Serving), make(map[string]worker.Jobs), []string(nil)
	return w.start(func(c *worker.Config) {
		for _, a := range accounts {
			key := modelarts.WithCredentials(modelarts.NewAKSK(sdkhmac.Key{AccessKey: a.name, SecretKey: a.secret}, ""))
			all := []modelarts.Option{modelarts.WithHTTPClient(w.http), worker.ObserveAPI(c.Metrics, a.name), key}
			if opts != nil {
				all = append(all, opts(a.name)...)
			}
			client, err := modelarts.New("http://127.0.0.1", all...)
			if err != nil {
				w.t.Fatal(err)
			}
			for _, p := range a.projects {
				serving[p], api[p] = release.Serving{Account: a.name, Endpoint: a.endpoint}, w.api(client, c.Redis, c.Release)
			}
			names = append(names, a.name)
		}
		c.Jobs = byProject(func(projectID string) worker.Jobs { return api[projectID] })
		c.Accounts = func() []string { return names }
		c.Release.Serving = func(projectID string) release.Serving { return serving[projectID] }
		if change != nil {
			change(c)
		}
	})
}

// Two accounts at two endpoints, with one project and two.
func twoAccounts() (modelartstest.Config, []account) {
	cfg := modelartstest.Config{Auth: modelartstest.Auth{AccessKeys: map[string]string{"team-a": "secret-a", "team-b": "secret-b"}}}
	return cfg, []account{
		{"team-a", "secret-a", "https://a.example", []string{project}},
		{"team-b", "secret-b", "https://b.example", []string{otherProject, thirdProject}},
	}
}

// heldAccounts are the accounts whose calls vizstop_held says are held, with the
// scope.
func (r *running) heldAccounts(t *testing.T) (held []string) {
	t.Helper()
	for _, m := range series(t, r, "vizstop_held", []string{string(release.Credentials)}) {
		if m.GetGauge().GetValue() == 0 {
			continue
		}
		labels := make(map[string]string)
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		held = append(held, labels["scope"]+" "+labels["account"])
	}
	slices.Sort(held)
	return held
}

// One of two accounts is revoked half way. The stops of the other go on without
// delay, also with a worker that starts meanwhile and brings nothing new for the
// revoked one. The stops of that wait, and end when its key is good again, without a
// restart.
func TestARevokedAccountHoldsBackNobodyElse(t *testing.T) {
	alone := time.Duration(0)
	for _, revoked := range []bool{false, true} {
		t.Run(fmt.Sprint("revoked ", revoked), func(t *testing.T) {
			cfg, accounts := twoAccounts()
			cfg.Latency = func(string) time.Duration { return 100 * time.Millisecond }
			bubble(t, cfg, func(w *world) {
				ctx := context.Background()
				r := w.startFor(nil, accounts, nil)
				defer r.stop()
				for _, p := range accounts[1].projects {
					w.askIn(p, "b", 80, time.Minute)
				}
				w.await(time.Minute, "the first is accepted", func() bool {
					b, err := w.ledger.Batch(ctx, otherProject, "b")
					return err == nil && b.Counts[ledger.Stopping] > 0
				})
				if revoked {
					w.sim.SetAccessKey("team-b", "revoked")
					w.askIn(otherProject, "late", 40, 5*time.Second)
				}
				began := time.Now()
				w.askIn(project, "a", 80, 5*time.Second)
				took := w.endsIn(project, "a", 5*time.Minute)
				t.Logf("the stops of the other account took %v", took)
				if !revoked {
					alone = took
					return
				}
				if took > alone+2*time.Second {
					t.Errorf("took %v, without the revocation %v", took, alone)
				}

				for _, h := range w.holds() {
					if h.Reason != release.Credentials || h.Scope == release.ScopeCredential && h.Account != "team-b" ||
						h.Scope == release.ScopeProject && !slices.Contains(accounts[1].projects, h.ProjectID) {
						t.Errorf("held: %v", h)
					}
				}
				faults, notes := r.Ready(ctx)
				if len(faults) > 0 || !strings.Contains(strings.Join(notes, "\n"), "calls of account team-b held since ") {
					t.Errorf("ready: faults %q, notes %q; want a note of the revoked account", faults, notes)
				}
				if held := r.heldAccounts(t); !slices.Contains(held, "credential team-b") || strings.Contains(fmt.Sprint(held), "team-a") {
					t.Errorf("vizstop_held tells of %q", held)
				}

				time.Sleep(3 * time.Minute)
				other := w.startFor(nil, accounts, nil)
				defer other.stop()
				w.askIn(project, "a2", 80, 5*time.Second)
				if took := w.endsIn(project, "a2", 5*time.Minute); took > alone+2*time.Second {
					t.Errorf("with a second worker: took %v, without the revocation %v", took, alone)
				}
				time.Sleep(3 * time.Minute)
				if faults, _ := other.Ready(ctx); len(faults) > 0 {
					t.Errorf("the second worker is not ready: %q", faults)
				}
				for _, p := range accounts[1].projects {
					if b, err := w.ledger.Batch(ctx, p, "b"); err != nil || b.InFlight() == 0 {
						t.Errorf("stops of the revoked account in flight: %d, %v", b.InFlight(), err)
					}
				}

				w.sim.SetAccessKey("team-b", "secret-b")
				good := time.Now()
				for _, p := range accounts[1].projects {
					w.endsIn(p, "b", 6*time.Minute)
				}
				w.endsIn(otherProject, "late", 6*time.Minute)
				t.Logf("revoked for %v, the last stop ended %v later", good.Sub(began), time.Since(good))
				if holds := w.holds(); len(holds) > 0 {
					t.Errorf("held after the cure: %v", holds)
				}
			})
		})
	}
}

// A project that is put into another account, as the credential of its own is refused, goes on as soon as the workers
// have read that, though what was refused is held on.
func TestAProjectLeavesARefusedAccount(t *testing.T) {
	cfg, accounts := twoAccounts()
	accounts[1].endpoint = accounts[0].endpoint
	inBubble(t, cfg, func(w *world) {
		w.sim.SetAccessKey("team-b", "revoked")
		var moved atomic.Bool
		r := w.startFor(func(c *worker.Config) {
			api, serving := c.Jobs.(byProject), c.Release.Serving
			as := func(projectID string) string {
				if moved.Load() && projectID == otherProject {
					return project
				}
				return projectID
			}
			c.Jobs = byProject(func(projectID string) worker.Jobs { return api(as(projectID)) })
			c.Release.Serving = func(projectID string) release.Serving { return serving(as(projectID)) }
		}, accounts, nil)
		defer r.stop()
		for _, p := range accounts[1].projects {
			w.askIn(p, "b", 10, 5*time.Second)
		}
		time.Sleep(3 * time.Minute)
		if holds := w.holds(); !slices.ContainsFunc(holds, func(h release.Hold) bool { return h.Account == "team-b" }) {
			t.Fatalf("held: %v", holds)
		}
		moved.Store(true)
		r.Renewed(context.Background())
		if took := w.endsIn(otherProject, "b", 10*time.Minute); took > time.Minute+release.RefusedRest {
			t.Errorf("the stops of the project took %v in the other account", took)
		}
		if b, err := w.ledger.Batch(context.Background(), thirdProject, "b"); err != nil || b.InFlight() != 10 {
			t.Errorf("in flight of what stayed in the account: %d, %v", b.InFlight(), err)
		}
	})
}

// An account whose calls hang before one was accepted has a few calls under way. What
// waits for them does not keep other accounts from working.
func TestAnAccountThatHangsHoldsBackNobodyElse(t *testing.T) {
	alone := time.Duration(0)
	for _, hangs := range []bool{false, true} {
		t.Run(fmt.Sprint("hangs ", hangs), func(t *testing.T) {
			cfg, accounts := twoAccounts()
			cfg.Latency = func(string) time.Duration { return 80 * time.Millisecond }
			for i := range 6 {
				accounts[1].projects = append(accounts[1].projects, fmt.Sprintf("%032d", i))
			}
			bubble(t, cfg, func(w *world) {
				r := w.startFor(nil, accounts, nil)
				defer r.stop()
				if hangs {
					for _, p := range accounts[1].projects {
						w.sim.Inject(modelartstest.Fault{ProjectID: p, Delay: 30 * time.Second})
						w.askIn(p, "b", 60, 5*time.Second)
					}
					time.Sleep(10 * time.Second)
				}
				w.askIn(project, "a", 200, 5*time.Second)
				took := w.endsIn(project, "a", 5*time.Minute)
				t.Logf("the stops of the other account took %v", took)
				if !hangs {
					alone = took
				} else if took > alone*3/2 { // 30 s, if it had to wait for a call that hangs
					t.Errorf("took %v, alone %v", took, alone)
				}
			})
		})
	}
}

// A worker is not ready when all accounts that it has are held.
func TestNoAccountIsAccepted(t *testing.T) {
	cfg, accounts := twoAccounts()
	inBubble(t, cfg, func(w *world) {
		w.sim.SetAccessKey("team-a", "revoked")
		w.sim.SetAccessKey("team-b", "revoked")
		r := w.startFor(nil, accounts, nil)
		defer r.stop()
		for _, p := range []string{project, otherProject} {
			w.askIn(p, "b", 10, 5*time.Second)
		}
		w.await(5*time.Minute, "a worker that is not ready", func() bool {
			faults, _ := r.Ready(context.Background())
			text := strings.Join(faults, "\n")
			return strings.Contains(text, "calls of account team-a held since ") && strings.Contains(text, "calls of account team-b held since ")
		})
		if held := r.heldAccounts(t); !slices.Contains(held, "credential team-a") || !slices.Contains(held, "credential team-b") {
			t.Errorf("vizstop_held tells of %q", held)
		}
		w.sim.SetAccessKey("team-a", "secret-a")
		w.endsIn(project, "b", 6*time.Minute)
		if faults, notes := r.Ready(context.Background()); len(faults) > 0 || len(notes) == 0 {
			t.Errorf("ready: faults %q, notes %q; want a note of the account that is still held", faults, notes)
		}
	})
}

// Each access key has a lock of its own: of every account that is refused from the
// start, no five minutes have more than five calls. One that is accepted does not
// wait for the others.
func TestRefusedAccessKeysAreNotLocked(t *testing.T) {
	cfg, accounts := twoAccounts()
	cfg.Latency = func(string) time.Duration { return 300 * time.Millisecond }
	const fourth = "99112233445566778899aabbccddeeff"
	accounts = append(accounts, account{"team-c", "secret-c", "https://c.example", []string{fourth}})
	inBubble(t, cfg, func(w *world) {
		w.sim.SetAccessKey("team-b", "another")
		w.sim.SetAccessKey("team-c", "another")
		calls := map[string]*stampedCalls{"team-a": {}, "team-b": {}, "team-c": {}}
		count := func(name string) []modelarts.Option {
			return []modelarts.Option{modelarts.WithRoundTripper(func(next http.RoundTripper) http.RoundTripper {
				calls[name].RoundTripper = next
				return calls[name]
			})}
		}
		r := w.startFor(func(c *worker.Config) { c.Release.Rate = 50; c.Concurrency = 32 }, accounts, count)
		defer r.stop()
		for _, p := range []string{otherProject, thirdProject, fourth, project} {
			w.askIn(p, "b", 100, time.Second)
		}
		if took := w.endsIn(project, "b", 5*time.Minute); took > 10*time.Second {
			t.Errorf("the stops of the account that is accepted took %v", took)
		}
		time.Sleep(18 * time.Minute)
		for _, name := range []string{"team-b", "team-c"} {
			c := calls[name]
			c.mu.Lock()
			for i := 5; i < len(c.at); i++ {
				if span := c.at[i].Sub(c.at[i-5]); span < 5*time.Minute {
					t.Errorf("%s: 6 calls within %v, from %v on", name, span, c.at[i-5])
				}
			}
			if len(c.at) < 5 {
				t.Errorf("%s: only %d calls in 18 minutes: nobody finds out when the key is good again", name, len(c.at))
			}
			c.mu.Unlock()
		}
	})
}

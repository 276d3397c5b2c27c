package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v3"

	"vizstop/internal/fleet"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redistest"
	"vizstop/internal/schematest"
)

var regions = []string{"cn-north-4", "cn-east-3", "ap-southeast-1"}

// teams is 3 accounts, each with 4 projects in a region of its own: team-a of v1, team-b
// an agency that team-a assumes, of v2, and team-c to be found out.
type teams struct {
	sim    *modelartstest.Server
	file   string
	redis  string
	worker bool // the command is that of the worker
}

func project(account, n int) string { return modelartstest.NumberedProject(10*account + n) }

func newTeams(t *testing.T, redis string) *teams {
	t.Helper()
	sim, err := modelartstest.Start(modelartstest.Config{
		Regions: regions,
		Auth: modelartstest.Auth{
			AccessKeys: map[string]string{"AKA": "secret-of-a", "AKC": "secret-of-c"},
			Agencies:   []modelartstest.Agency{{Name: "vizstop", Domain: "company-b"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	f := &teams{sim: sim, file: filepath.Join(t.TempDir(), "accounts.yaml"), redis: redis}
	var b strings.Builder
	b.WriteString("accounts:\n")
	for i, credential := range []string{"credentials: {prefix: A}", "agency: {name: vizstop, domain: company-b, through: team-a}", "credentials: {prefix: C}"} {
		fmt.Fprintf(&b, "  - name: team-%c\n    %s\n    api: %s\n    regions:\n      - name: %s\n        endpoint: %s/%s\n        iam_endpoint: %s\n        projects:\n",
			'a'+i, credential, []string{"v1", "v2", "probe"}[i], regions[i], sim.URL, regions[i], sim.URL)
		for n := range 4 {
			id := project(i, n)
			fmt.Fprintf(&b, "          - %s\n", id)
			generation := []modelartstest.Generation{modelartstest.V1, modelartstest.V2, modelartstest.V2}[i]
			if i == 2 {
				sim.Offer(id, generation)
			}
			for range n {
				sim.AddJob(id, modelartstest.Job{Generation: generation})
			}
		}
	}
	if err := os.WriteFile(f.file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// run runs a check command, and makes sure that it made no stop call and told no secret.
func (f *teams) run(t *testing.T, env map[string]string, args ...string) (string, error) {
	t.Helper()
	all := map[string]string{"VIZSTOP_REDIS": f.redis, "VIZSTOP_ACCOUNTS": f.file,
		"A_ACCESS_KEY": "AKA", "A_SECRET_KEY": "secret-of-a", "C_ACCESS_KEY": "AKC", "C_SECRET_KEY": "secret-of-c"}
	for name, value := range env {
		all[name] = value
	}
	var out bytes.Buffer
	var c Command
	c.Declare(!f.worker)
	cmd := &cli.Command{Name: "check", Flags: c.Flags(), Action: c.Action(func(name string) string { return all[name] }, &out)}
	err := cmd.Run(t.Context(), append([]string{"check"}, args...))
	if n := f.sim.Counts()[modelartstest.OpStop]; n != 0 {
		t.Errorf("%d stop calls", n)
	}
	if told := fmt.Sprint(out.String(), err); strings.Contains(told, "secret-of") {
		t.Errorf("a secret was told: %s", told)
	}
	return out.String(), err
}

// report runs a check with --json, and holds the answer against the documented schema.
func (f *teams) report(t *testing.T, env map[string]string, args ...string) (*Report, error) {
	t.Helper()
	text, err := f.run(t, env, append(args, "--json")...)
	schema, bad := schematest.Read("../../docs/enqueue.schema.json")
	if bad != nil {
		t.Fatal(bad)
	}
	var v any
	r := &Report{}
	if json.Unmarshal([]byte(text), &v) != nil || json.Unmarshal([]byte(text), r) != nil {
		t.Fatalf("%q is not JSON (%v)", text, err)
	}
	if bad := schema.Check("#", v); bad != nil {
		t.Error(bad)
	}
	if r.OK != (err == nil) {
		t.Errorf("ok is %t with the error %v", r.OK, err)
	}
	return r, err
}

// all is one JSON of every generation that is asked in an account.
func (r *Report) all(account string) (all []Generation) {
	for _, p := range r.Projects {
		if p.Account == account {
			all = append(all, p.Generations...)
		}
	}
	return all
}

// refusedAtMost makes sure that few calls were refused for who we are, and some were.
func (f *teams) refusedAtMost(t *testing.T, most int) {
	t.Helper()
	refused := 0
	for _, c := range f.sim.AllCalls() {
		if c.HTTPStatus == 401 {
			refused++
		}
	}
	if refused == 0 || refused > most {
		t.Errorf("the credential was refused %d times, want 1 to %d", refused, most)
	}
}

// fit is a Redis as vizstop wants it, with a worker that lives.
func fit(t *testing.T) string {
	server := redistest.Start(t, "--appendonly", "yes")
	live(t, server)
	return server.URL
}

// live has a worker live in a Redis until the test ends.
func live(t *testing.T, server *redistest.Server) {
	t.Helper()
	member := fleet.New(server.Client(t), 8)
	if err := member.Beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(fleet.BeatInterval)
		defer ticker.Stop()
		for {
			select {
			case <-t.Context().Done():
				return
			case <-ticker.C:
				_ = member.Beat(t.Context())
			}
		}
	}()
	t.Cleanup(func() { <-done })
}

func TestAllIsWell(t *testing.T) {
	f := newTeams(t, fit(t))
	r, err := f.report(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Projects) != 12 || !r.Redis.Reachable || r.Redis.Fit == No || r.Redis.ClockDifference == nil {
		t.Errorf("%d projects, Redis %+v", len(r.Projects), r.Redis)
	}
	for account, identity := range map[int]string{0: "AK AKA", 1: "agency vizstop of company-b", 2: "AK AKC"} {
		for n, p := range r.Projects[4*account : 4*account+4] {
			g := p.Generations[len(p.Generations)-1]
			if p.ID != project(account, n) || !strings.HasPrefix(p.Identity, identity) || p.Region != regions[account] {
				t.Errorf("%+v", p)
			}
			if g.Offered != Yes || g.List != Yes || g.Get != Yes || g.Stop != Unknown || g.Running == nil || *g.Running != n || !g.CountedAll || g.ClockDifference == nil {
				t.Errorf("project %d of account %d: %+v", n, account, g)
			}
		}
	}
	for _, p := range r.Projects[8:] { // v1 is asked, and not offered
		if len(p.Generations) != 2 || p.Generations[0].Offered != No || len(p.Generations[0].Failures) > 0 {
			t.Errorf("%+v", p.Generations)
		}
	}
	text, err := f.run(t, nil)
	if err != nil || !strings.Contains(text, "nothing failed") || !strings.Contains(text, "no read can tell whether stop is permitted") {
		t.Errorf("%v\n%s", err, text)
	}
	t.Log("\n" + text)
}

// A refused credential is tried by three calls at most, and the other accounts are checked.
func TestRevoked(t *testing.T) {
	f := newTeams(t, fit(t))
	f.sim.Revoke("AKC")
	r, err := f.report(t, nil)
	if err == nil || !strings.Contains(err.Error(), project(2, 0)) || strings.Contains(err.Error(), project(0, 0)) {
		t.Errorf("the error is %v", err)
	}
	for _, g := range r.all("team-c") {
		if want := g.Offered != No; (len(g.Failures) == 1) != want || g.List != Unknown || g.Running != nil {
			t.Errorf("%+v", g) // that v1 is not offered is known before anybody asks who we are
		}
	}
	f.refusedAtMost(t, untried)
	if text, _ := f.run(t, nil); !strings.Contains(text, "renew or enable the key, set it here and for the workers, then restart these") {
		t.Errorf("not said what to do:\n%s", text)
	}
	for _, g := range slices.Concat(r.all("team-a"), r.all("team-b")) {
		if len(g.Failures) > 0 {
			t.Errorf("%+v", g)
		}
	}
}

// Who can't assume an agency is not asked to do so again and again, and keeps its own key.
func TestRevokedThrough(t *testing.T) {
	f := newTeams(t, fit(t))
	f.sim.Revoke("AKA")
	r, err := f.report(t, nil)
	if err == nil {
		t.Error("nothing failed")
	}
	f.refusedAtMost(t, untried)
	for _, g := range slices.Concat(r.all("team-a"), r.all("team-b")) {
		if len(g.Failures) != 1 {
			t.Errorf("%+v", g)
		}
	}
}

func TestWhatFails(t *testing.T) {
	redis := fit(t)
	other := project(0, 1)
	for _, tt := range []struct {
		name  string
		spoil func(*teams)
		args  []string
		want  string // of the first project that failed
	}{
		{"a project of another account", func(f *teams) {
			f.sim.SetScope("AKA", modelartstest.Scope{Projects: []string{project(0, 0), project(0, 2), project(0, 3)}})
		}, []string{"--project", other}, "offered unknown, list no, get unknown"},
		{"get is not permitted", func(f *teams) {
			f.sim.Inject(modelartstest.Fault{Operation: modelartstest.OpDetail, Reply: modelartstest.ReplyError(403, "ModelArts.0112", "no")})
		}, []string{"--project", other}, "offered yes, list yes, get no"},
		{"neither generation", func(f *teams) {
			f.sim.Inject(modelartstest.Fault{ProjectID: project(2, 0), Generation: modelartstest.V2, Reply: modelartstest.ReplyV2Error("ModelArts.2836")})
		}, []string{"--project", project(2, 0)}, "offered no, list unknown, get unknown"},
		{"no kinds", func(f *teams) { f.sim.SetV2(modelartstest.V2Options{Kinds: modelartstest.KindsAnnotated}) },
			[]string{"--project", project(1, 1)}, "offered yes, list yes, get yes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newTeams(t, redis)
			tt.spoil(f)
			r, err := f.report(t, nil, tt.args...)
			if err == nil || !strings.Contains(err.Error(), tt.args[1]) || len(r.Projects) != 1 {
				t.Fatalf("the error is %v", err)
			}
			g := r.Projects[0].Generations[0]
			if got := fmt.Sprintf("offered %s, list %s, get %s", g.Offered, g.List, g.Get); got != tt.want || len(g.Failures) == 0 {
				t.Errorf("%s, %q", got, g.Failures)
			}
		})
	}
}

// A region that does not exist is dialed few times, and the others are checked.
func TestUnreachable(t *testing.T) {
	f := newTeams(t, fit(t))
	text, err := os.ReadFile(f.file)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("endpoint: "+f.sim.URL+"/"+regions[0]), []byte("endpoint: http://127.0.0.1:1"), 1)
	if err := os.WriteFile(f.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := f.report(t, nil)
	if err == nil || strings.Contains(err.Error(), "team-b") || !strings.Contains(err.Error(), "team-a") {
		t.Errorf("the error is %v", err)
	}
	dialed := 0
	for _, g := range r.all("team-a") {
		if len(g.Failures) != 1 || g.Offered != Unknown {
			t.Errorf("%+v", g)
		} else if g.Failures[0] != errUnreachable.Error() {
			dialed++
		}
	}
	if dialed == 0 || dialed > untried {
		t.Errorf("dialed %d times", dialed)
	}
	if out, err := f.run(t, nil); err == nil || !strings.Contains(out, "4 of 12 projects failed") || !strings.Contains(out, "failed: account team-a, region cn-north-4, v1, project") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestRedis(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "no", "--save", "")
	live(t, server)
	f := newTeams(t, server.URL)
	r, err := f.report(t, nil)
	if err == nil || err.Error() != "the check failed for Redis" || r.Redis.Fit != No || !r.Redis.Reachable {
		t.Errorf("%v, %+v", err, r.Redis)
	}
	f.redis = "redis://127.0.0.1:1/0"
	if r, err = f.report(t, nil); err == nil || r.Redis.Reachable || r.Redis.Fit != Unknown || r.Projects[0].failed() {
		t.Errorf("%v, %+v", err, r.Redis)
	}
}

func TestSettings(t *testing.T) {
	f := newTeams(t, fit(t))
	single := map[string]string{"VIZSTOP_ACCOUNTS": "", "MODELARTS_ENDPOINT": f.sim.URL + "/" + regions[0], "HW_ACCESS_KEY": "AKA", "HW_SECRET_KEY": "secret-of-a"}
	// Without a project, everything but the API is checked.
	if r, err := f.report(t, single); err == nil || err.Error() != "the check failed for the API" || len(r.Projects) > 0 || !r.Redis.Reachable || *r.Workers.Alive != 1 || len(f.sim.AllCalls()) > 0 {
		t.Errorf("without a project: %v, %+v", err, r)
	}
	text, _ := f.run(t, single)
	for _, want := range []string{"workers: 1 alive\n", "failed: the API was not checked: --project (HW_PROJECT_ID): a project to check is needed", "\nthe API failed\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("without a project: no %q in\n%s", want, text)
		}
	}
	if r, err := f.report(t, single, "--project", project(0, 3)); err != nil || len(r.Projects) != 1 || *r.Projects[0].Generations[0].Running != 3 {
		t.Errorf("one account: %v, %+v", err, r.Projects)
	}
	if _, err := f.run(t, nil, "--project", "ffff"); err == nil || !strings.Contains(err.Error(), "project ffff is in no account of") {
		t.Errorf("an unknown project: %v", err)
	}
	if _, err := f.run(t, map[string]string{"VIZSTOP_ACCOUNTS": f.file + "x"}); err == nil || !strings.Contains(err.Error(), "--accounts (VIZSTOP_ACCOUNTS)") {
		t.Errorf("a missing file: %v", err)
	}
	calls := len(f.sim.AllCalls())
	r, err := f.report(t, map[string]string{"VIZSTOP_ACCOUNTS": ""})
	if err != nil || len(r.Projects) != 0 || len(f.sim.AllCalls()) != calls {
		t.Errorf("without credentials: %v, %+v", err, r)
	}
}

// A full Redis is told of whatever its user may see: one without INFO learns it from a write that changes nothing.
func TestAFullRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--appendonly", "yes")
	if err := s.Client(t).ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]string{"worker": "it refuses every write", "enqueue": "Redis refuses writes: out of memory: raise maxmemory above used_memory"} {
		f := newTeams(t, redistest.For(user, s.URL))
		r, err := f.report(t, nil)
		if err == nil || r.Redis.Fit != No || len(r.Redis.Failures) != 1 || !strings.Contains(r.Redis.Failures[0], want) {
			t.Errorf("as %s: %v, %+v; want one failure with %q", user, err, r.Redis, want)
		}
		if err := s.Client(t).Do(t.Context(), "ACL", "LOG", "RESET").Err(); err != nil { // INFO was denied, as it should be
			t.Fatal(err)
		}
	}
}

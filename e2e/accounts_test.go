package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
)

// One worker and one Redis for 3 accounts, each in a region of its own with 4 projects, of both generations of the
// API. The key of one is replaced half way: the others' stops go on. The new one gets into its files, and its own
// go on, too, without a restart. It is another key, as in life: the old one may be locked, by more calls that were
// under way than the API lets fail.
func TestAccounts(t *testing.T) {
	t.Parallel()
	const each = 20 // jobs of a project
	dir := t.TempDir()
	generations := []modelartstest.Generation{modelartstest.V1, modelartstest.V2, modelartstest.V2, modelartstest.V1} // of a region's projects
	regions := []string{"north", "east", "south"}
	cfg := modelartstest.Config{Regions: regions, Auth: modelartstest.Auth{Scopes: map[string]modelartstest.Scope{}}}
	projects := map[string][]string{}
	env := []string{}
	var file strings.Builder
	file.WriteString("accounts:\n")
	for _, region := range regions {
		key := "KEY" + strings.ToUpper(region)
		fmt.Fprintf(&file, "  - name: %s\n    credentials: {prefix: %s}\n    regions:\n      - name: %s\n        endpoint: URL/%s\n        projects:\n",
			region, strings.ToUpper(region), region, region)
		for i := range 4 {
			id, api := fmt.Sprintf("%s-%d", region, i), []string{"v1", "v2", "probe", "v1"}[i]
			projects[region] = append(projects[region], id)
			fmt.Fprintf(&file, "          - {id: %s, api: %s}\n", id, api)
		}
		scope := modelartstest.Scope{Projects: projects[region], Regions: []string{region}}
		cfg.Auth.Scopes[key], cfg.Auth.Scopes["NEW"+key] = scope, scope
		file := filepath.Join(dir, region)
		write(t, file+".access", key)
		write(t, file+".secret", "secret-"+region)
		env = append(env, strings.ToUpper(region)+"_ACCESS_KEY_FILE="+file+".access", strings.ToUpper(region)+"_SECRET_KEY_FILE="+file+".secret")
	}
	w := newWorld(t, cfg)
	for _, region := range regions {
		w.sim.SetAccessKey("KEY"+strings.ToUpper(region), "secret-"+region)
		for i, id := range projects[region] {
			generation := generations[i]
			w.sim.Offer(id, generation)
			for range each {
				w.sim.AddJob(id, modelartstest.Job{Generation: generation, StopTime: 2 * time.Second})
			}
		}
	}
	accounts := filepath.Join(dir, "accounts.yaml")
	write(t, accounts, strings.ReplaceAll(file.String(), "URL", w.sim.URL))
	env = append(env, "VIZSTOP_REDIS="+w.redis.URL, "VIZSTOP_ACCOUNTS="+accounts)
	worker := startWorker(t, env, "--api-rate", "20")

	ask := func(args ...string) (batch string) {
		t.Helper()
		p := launch(t, env, "", "enqueue", append(args, "--all", "--yes", "--json")...)
		p.wantExit(0)
		var answer struct{ Batch string }
		if err := json.Unmarshal([]byte(p.stdout.String()), &answer); err != nil {
			t.Fatal(err)
		}
		return answer.Batch
	}
	launch(t, env, "", "enqueue", "--project", "nowhere", "1").wantExit(1)
	p := launch(t, env, "", "enqueue", "--account", "so*", "--all", "--dry-run")
	p.wantExit(0)
	for _, id := range append(projects["south"], "north-0", "east-3") {
		if chosen := strings.Contains(p.stdout.String(), id); chosen != strings.HasPrefix(id, "south") {
			t.Errorf("--account so* chooses %s: %v", id, chosen)
		}
	}

	batch := ask("--all-projects", "--deadline", "1h")
	ended := func(region string) (n int, worst time.Duration) {
		for _, id := range projects[region] {
			stops, _, err := w.books.BatchStops(t.Context(), id, batch, 0, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range stops {
				if !s.State.Ended() {
					continue
				}
				if n++; s.State != ledger.Stopped {
					t.Errorf("job %s of project %s is %s: %s", s.JobID, id, s.State, s.Reason)
				}
				if job, ok := w.sim.Job(id, s.JobID); ok {
					worst = max(worst, s.Ended.Sub(job.EndedAt))
				}
			}
		}
		return n, worst
	}
	await(t, "some stops of the south", func() bool { n, _ := ended("south"); return n > each })
	w.sim.RemoveAccessKey("KEYSOUTH")
	w.sim.SetAccessKey("NEWKEYSOUTH", "another")

	for _, region := range []string{"north", "east"} {
		await(t, "all stops of the "+region, func() bool { n, _ := ended(region); return n == 4*each })
	}
	if n, _ := ended("south"); n == 4*each {
		t.Fatal("the south was done before its key was revoked: this test shows nothing")
	}
	await(t, "a hold of the south", func() bool {
		return worker.metric(`vizstop_held{account="south",reason="credentials",scope="credential"}`) == 1
	})
	if held := worker.metric(`vizstop_held{account="north",reason="credentials",scope="credential"}`); held != 0 {
		t.Error("the north is held, too")
	}
	write(t, filepath.Join(dir, "south.access"), "NEWKEYSOUTH")
	write(t, filepath.Join(dir, "south.secret"), "another")
	await(t, "all stops of the south", func() bool { n, _ := ended("south"); return n == 4*each })
	for _, region := range regions {
		_, worst := ended(region)
		t.Logf("%s: longest lag %v", region, worst.Round(10*time.Millisecond))
	}

	// Each job was called in its own region, by its own generation, and got one stop call that was let in.
	for region, ids := range projects {
		for i, id := range ids {
			for _, job := range w.sim.Jobs(id) {
				stops := 0
				for _, call := range w.sim.Calls(id, job.ID) {
					if call.Region != region || call.Generation != generations[i] {
						t.Errorf("job %s of project %s: a %s call of %s in region %s", job.ID, id, call.Operation, call.Generation, call.Region)
					}
					if call.Operation == jobs.OperationStop && call.HTTPStatus != http.StatusUnauthorized {
						stops++
					}
				}
				if stops != 1 {
					t.Errorf("job %s of project %s got %d stop calls", job.ID, id, stops)
				}
			}
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

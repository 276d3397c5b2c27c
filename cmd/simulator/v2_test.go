package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vizstop/internal/modelarts/modelartstest"
)

// search lists the jobs of v2 of a project, and gives back the status of the answer and its body.
func search(t *testing.T, base, project, body, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", base+"/v2/"+project+"/training-job-searches", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(page)
}

func TestJobsOfBothGenerations(t *testing.T) {
	api, _ := simulator(t, "--jobs", "2", "--v2-jobs", "3", "--trainings", "1")
	if page := get(t, api+"/v1/"+defaultProject+"/visualization-jobs"); strings.Count(page, `"job_id"`) != 2 {
		t.Errorf("v1 lists %s", page)
	}
	_, page := search(t, api, defaultProject, "{}", "")
	if strings.Count(page, `"phase":"Running"`) != 4 || strings.Count(page, `"kind":"visualization_job"`) != 3 {
		t.Errorf("v2 lists %s", page)
	}
}

func TestOnlyV2(t *testing.T) {
	api, _ := simulator(t, "--api", "v2", "--jobs", "3", "--v2-kinds", "absent", "--v2-offset", "start", "--v2-filters", "ignored")
	if page := get(t, api+"/v1/"+defaultProject+"/visualization-jobs"); !strings.Contains(page, "APIGW.0101") {
		t.Errorf("v1 answers %s", page)
	}
	_, page := search(t, api, defaultProject, `{"offset":1,"limit":50,"filters":[{"key":"phase","operator":"in","value":["Failed"]}]}`, "")
	if strings.Count(page, `"phase"`) != 2 || strings.Contains(page, `"kind"`) || !strings.Contains(page, modelartstest.NumberedTraining(1000)) {
		t.Errorf("v2 lists %s", page)
	}
}

func TestAuthFileAndRegions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(file, []byte(`{"tokens":["T1"],"scopes":{"T1":{"regions":["north"]}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	api, _ := simulator(t, "--auth", file, "--region", "north,south")
	for _, tt := range []struct {
		region, token string
		want          int
	}{{"north", "T1", 200}, {"south", "T1", 404}, {"north", "", 401}, {"east", "T1", 404}} {
		if code, page := search(t, api+"/"+tt.region, defaultProject, "{}", tt.token); code != tt.want {
			t.Errorf("%s with token %q: %d %s, want %d", tt.region, tt.token, code, page, tt.want)
		}
	}
}

func TestWhatV2CannotMeanIsRefused(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte(`{"token":["T1"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		`--auth: open `:                   {"--auth", bad + ".none"},
		`bad.json: json: unknown field`:   {"--auth", bad},
		`"v3" is none of v1, v2, both`:    {"--api", "v3"},
		`--v2-jobs and --trainings need `: {"--api", "v1", "--trainings", "1"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // one that serves would go on for ever
		args = append(args, "--listen", "127.0.0.1:0")
		if err := run(ctx, args, func(string) string { return "" }, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("simulator %q: %v, want %s", args, err, want)
		}
		cancel()
	}
}

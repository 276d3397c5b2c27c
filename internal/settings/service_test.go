package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/reread"
)

const twoAccounts = `accounts:
  - name: team-a
    credentials: {prefix: TEAM_A}
    regions:
      - name: north
        endpoint: URL/north
        projects: [aaaa]
      - name: south
        endpoint: URL/south
        api: v2
        rate: 7
        projects: [bbbb]
  - name: team-b
    credentials: {prefix: TEAM_B}
    regions:
      - name: north
        endpoint: URL/north
        projects: [cccc]
`

// fleet is a simulator of two regions and two credentials, and an accounts file for it.
func fleet(t *testing.T) (sim *modelartstest.Server, api *API, secretOfB string) {
	t.Helper()
	sim, err := modelartstest.Start(modelartstest.Config{
		Regions: []string{"north", "south"},
		Auth: modelartstest.Auth{AccessKeys: map[string]string{"AK-A": "secret-a", "AK-B": "secret-b"},
			Scopes: map[string]modelartstest.Scope{"AK-A": {Projects: []string{"aaaa", "bbbb"}}, "AK-B": {Projects: []string{"cccc"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	for project, generation := range map[string]modelartstest.Generation{"aaaa": modelartstest.V1, "bbbb": modelartstest.V2, "cccc": modelartstest.V1} {
		sim.AddJob(project, modelartstest.Job{ID: "1" + project, Generation: generation})
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "accounts.yaml")
	secretOfB = filepath.Join(dir, "secret-b")
	for path, text := range map[string]string{file: strings.ReplaceAll(twoAccounts, "URL", sim.URL), secretOfB: "secret-b\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"TEAM_A_ACCESS_KEY": "AK-A", "TEAM_A_SECRET_KEY": "secret-a", "TEAM_B_ACCESS_KEY": "AK-B", "TEAM_B_SECRET_KEY_FILE": secretOfB}
	return sim, &API{Accounts: file, getenv: func(name string) string { return env[name] }}, secretOfB
}

// The project alone chooses endpoint, credential and generation.
func TestTheProjectChooses(t *testing.T) {
	sim, api, _ := fleet(t)
	s, err := api.Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for project, want := range map[string]struct {
		account, region string
		generation      modelartstest.Generation
		rate            float64
	}{
		"aaaa": {"team-a", "north", modelartstest.V1, 0}, "bbbb": {"team-a", "south", modelartstest.V2, 7}, "cccc": {"team-b", "north", modelartstest.V1, 0},
	} {
		if _, err := s.Stop(t.Context(), project, "1"+project); err != nil {
			t.Errorf("%s: %v", project, err)
		}
		account, endpoint, rate, shadow := s.Serving(project)
		if account != want.account || endpoint != sim.URL+"/"+want.region || rate != want.rate || shadow {
			t.Errorf("%s is served by %s at %s, %g calls a second, shadow %v; want %+v", project, account, endpoint, rate, shadow, want)
		}
		for _, call := range sim.Calls(project, "1"+project) {
			if call.Region != want.region || call.Generation != want.generation {
				t.Errorf("%s: a call of %s in region %s, want %+v", project, call.Generation, call.Region, want)
			}
		}
	}
	before := len(sim.AllCalls())
	_, err = s.Stop(t.Context(), "dddd", "1")
	if jobs.KindOf(err) != jobs.KindInvalid || !strings.Contains(err.Error(), "project dddd is in no account of ") || len(sim.AllCalls()) != before {
		t.Errorf("a project that is in no account: %v, %d calls", err, len(sim.AllCalls())-before)
	}
	if account, endpoint, _, _ := s.Serving("dddd"); account+endpoint != "" {
		t.Errorf("it is served by %q at %q", account, endpoint)
	}
}

// A secret that changes is taken up by what has it, without another Open. A bad one
// leaves the old one in use.
func TestSecretsAreRenewed(t *testing.T) {
	sim, api, secretOfB := fleet(t)
	changes := 0
	s, err := api.Open(Options{Changed: func() { changes++ }})
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]func() error{}
	for _, g := range s.Watch(func(...reread.Group) {}) {
		read[g.Name] = g.Read
	}
	sim.SetAccessKey("AK-B", "another")
	if _, err := s.Get(t.Context(), "cccc", "1cccc"); jobs.KindOf(err) != jobs.KindCredentials {
		t.Fatalf("the old key is good: %v", err)
	}
	if err := os.WriteFile(secretOfB, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := read["credentials of account team-b"](); err == nil || changes != 0 {
		t.Errorf("an empty secret was taken up: %v", err)
	}
	if err := os.WriteFile(secretOfB, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := read["credentials of account team-b"](); err != nil || changes != 1 {
		t.Fatalf("%v, %d changes", err, changes)
	}
	if _, err := s.Get(t.Context(), "cccc", "1cccc"); err != nil {
		t.Errorf("with the new key: %v", err)
	}
}

// Another accounts file is taken up as a whole, or not at all.
func TestAccountsAreReadAgain(t *testing.T) {
	sim, api, _ := fleet(t)
	s, err := api.Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var watched []reread.Group
	groups := s.Watch(func(g ...reread.Group) { watched = g })
	replace := func(old, new string) {
		t.Helper()
		text, err := os.ReadFile(api.Accounts)
		if err == nil {
			err = os.WriteFile(api.Accounts, []byte(strings.Replace(string(text), old, new, 1)), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	replace("projects: [cccc]", "projects: [cccc, aaaa]")
	if err := groups[0].Read(); err == nil || watched != nil {
		t.Error("a file with a project in two accounts was taken up")
	}
	if _, err := s.Get(t.Context(), "aaaa", "1aaaa"); err != nil {
		t.Errorf("the old one is not in use: %v", err)
	}
	replace("[cccc, aaaa]", "[cccc, eeee]")
	if err := groups[0].Read(); err != nil || len(watched) != len(groups) {
		t.Errorf("%v, %d files are watched", err, len(watched))
	}
	if account, endpoint, _, _ := s.Serving("eeee"); account != "team-b" || endpoint != sim.URL+"/north" {
		t.Errorf("eeee is served by %q at %q", account, endpoint)
	}
	replace("prefix: TEAM_B}", "prefix: TEAM_B}\n    shadow: true")
	if err := groups[0].Read(); err != nil {
		t.Error(err)
	}
	for project, want := range map[string]bool{"aaaa": false, "eeee": true} {
		if _, _, _, shadow := s.Serving(project); shadow != want {
			t.Errorf("%s is in a shadow account: %v, want %v", project, shadow, want)
		}
	}
}

// Faults of all accounts are told at once, by variable.
func TestFaultsOfAccounts(t *testing.T) {
	_, api, _ := fleet(t)
	api.getenv = func(name string) string { return map[string]string{"TEAM_A_ACCESS_KEY": "AK"}[name] }
	_, err := api.Open(Options{})
	for _, want := range []string{"account team-a: TEAM_A_SECRET_KEY is not set", "account team-b: no credentials: set TEAM_B_ACCESS_KEY"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

// Credentials are read only for the projects that will be called: those of another
// account may be missing, unless an agency goes through it.
func TestOnlyWhatIsNeededIsOpened(t *testing.T) {
	_, api, _ := fleet(t)
	text, err := os.ReadFile(api.Accounts)
	if err != nil {
		t.Fatal(err)
	}
	more := "  - name: team-c\n    agency: {name: vizstop, domain: company-c, through: team-b}\n    regions: [{name: north, projects: [eeee]}]\n"
	if err := os.WriteFile(api.Accounts, append(text, more...), 0o600); err != nil {
		t.Fatal(err)
	}
	own := api.getenv
	api.getenv = func(name string) string {
		if strings.HasPrefix(name, "TEAM_B") {
			return ""
		}
		return own(name)
	}
	s, err := api.Open(Options{Projects: []string{"aaaa", "bbbb", "dddd"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, project := range []string{"aaaa", "bbbb"} {
		if _, err := s.Stop(t.Context(), project, "1"+project); err != nil {
			t.Errorf("%s: %v", project, err)
		}
	}
	if _, err := s.Stop(t.Context(), "cccc", "1cccc"); err == nil || !strings.Contains(err.Error(), "none of those that were to be called") {
		t.Errorf("a project that was not needed: %v", err)
	}
	for _, needed := range []string{"cccc", "eeee"} {
		if _, err := api.Open(Options{Projects: []string{"aaaa", needed}}); err == nil || !strings.Contains(err.Error(), "account team-b: no credentials") {
			t.Errorf("%s: %v", needed, err)
		}
	}
}

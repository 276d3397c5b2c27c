package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vizstop/internal/control"
	"vizstop/internal/settings"
)

// teams is an accounts file.
func teams(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "accounts.yaml")
	text := `accounts:
  - name: team-a
    credentials: {prefix: TEAM_A}
    regions: [{name: cn-north-4, projects: [p1, p2]}]
  - name: team-b
    agency: {name: vizstop, domain: company-b, through: hub}
    regions: [{name: cn-east-3, projects: [p3]}]
  - name: hub
    credentials: {prefix: HUB}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Each --account has to match: a typing error beside a right one would leave an account's jobs running unseen.
func TestEachAccountHasToMatch(t *testing.T) {
	file := teams(t)
	for _, tt := range []struct {
		globs string
		want  string // projects, or what the error says
	}{
		{"team-b", "p3"},
		{"team-*", "p1 p2 p3"},
		{"team-b team-a team-?", "p1 p2 p3"},
		{"team-a teem-b", "--account teem-b: no account with projects has such a name in " + file + "; there are team-a, team-b"},
		{"team-a hub", "--account hub: no account with projects has such a name in " + file + "; there are team-a, team-b"},
	} {
		a := access{API: settings.API{Accounts: file}, accounts: strings.Fields(tt.globs)}
		got, err := a.projects()
		if err != nil && err.Error() != tt.want || err == nil && !slices.Equal(got, strings.Fields(tt.want)) {
			t.Errorf("%s: got %q, %v, want %q", tt.globs, got, err, tt.want)
		}
	}
}

// With a file the desk knows whose hold concerns a project, and without one it does not pretend to.
func TestIntroduce(t *testing.T) {
	for file, want := range map[string]string{teams(t): "team-b", "": ""} {
		a, desk := access{API: settings.API{Accounts: file}}, &control.Desk{}
		if err := a.introduce(desk); err != nil {
			t.Error(err)
		}
		if (desk.Served == nil) != (want == "") || want != "" && desk.Served("p3").Account != want {
			t.Errorf("with the file %q the desk knows accounts: %t, want %q", file, desk.Served != nil, want)
		}
	}
}

package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// programsAt is where the units expect the programs.
const programsAt = "/usr/local/bin"

var units = []string{"vizstop-worker.service"}

// unit is the text of a unit, line by line.
func unit(t *testing.T, name string) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(repository, "deploy/systemd", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(content), "\n")
}

// values are those of a unit's lines that begin with key=.
func values(lines []string, key string) []string {
	var all []string
	for _, line := range lines {
		if value, ok := strings.CutPrefix(line, key+"="); ok {
			all = append(all, value)
		}
	}
	return all
}

// assignments reads NAME=value lines.
func assignments(lines []string) map[string]string {
	env := map[string]string{}
	for _, line := range lines {
		if name, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			env[name] = value
		}
	}
	return env
}

func TestUnitsStartTheProgramsRight(t *testing.T) {
	t.Parallel()
	for _, name := range units {
		lines := unit(t, name)
		args := strings.Fields(values(lines, "ExecStart")[0])
		u := use{where: name, program: strings.TrimPrefix(args[0], programsAt+"/"), args: args[1:],
			env: assignments(values(lines, "Environment")), shared: assignments(unit(t, "vizstop.env"))}
		if file := values(lines, "EnvironmentFile"); len(file) != 1 || file[0] != "/etc/vizstop/vizstop.env" {
			t.Errorf("%s: EnvironmentFile %q", name, file)
		}
		u.check(t)

		loaded := map[string]bool{}
		for _, credential := range values(lines, "LoadCredential") {
			id, _, _ := strings.Cut(credential, ":")
			loaded[id] = true
		}
		for _, word := range strings.FieldsFunc(strings.Join(lines, "\n"), func(r rune) bool { return strings.ContainsRune(" =\n", r) }) {
			if id, ok := strings.CutPrefix(word, "%d/"); ok && !loaded[id] {
				t.Errorf("%s: no LoadCredential=%s", name, id)
			}
		}
	}
}

func TestUnitOfTheWorker(t *testing.T) {
	t.Parallel()
	lines := unit(t, "vizstop-worker.service")
	seconds, err := time.ParseDuration(values(lines, "TimeoutStopSec")[0] + "s")
	if limit := shutdownTimeout(t); err != nil || seconds <= limit {
		t.Errorf("TimeoutStopSec %v, want more than %v", seconds, limit)
	}
	for key, want := range map[string]string{"Type": "notify", "WatchdogSec": "30", "DynamicUser": "yes", "ExecReload": "/bin/kill -HUP $MAINPID"} {
		if got := values(lines, key); len(got) != 1 || got[0] != want {
			t.Errorf("%s=%q, want %s", key, got, want)
		}
	}
}

// analyze runs systemd-analyze, which "make deps" installs.
func analyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("systemd is for Linux")
	}
	cmd := exec.CommandContext(t.Context(), "systemd-analyze", args...)
	cmd.Env = append(os.Environ(), "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// copyUnits puts the units into a directory, with the programs where TestMain
// has put them, and changed by edit.
func copyUnits(t *testing.T, edit func(string) string) []string {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for _, name := range units {
		content := strings.ReplaceAll(strings.Join(unit(t, name), "\n"), programsAt+"/", bin+"/")
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(edit(content)), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func TestUnitsAreValid(t *testing.T) {
	t.Parallel()
	same := func(content string) string { return content }
	if out, err := analyze(t, append([]string{"verify", "--man=no"}, copyUnits(t, same)...)...); err != nil || out != "" {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	misspelt := func(content string) string { return strings.Replace(content, "ProtectHome", "ProtectHomes", 1) }
	if out, _ := analyze(t, append([]string{"verify", "--man=no"}, copyUnits(t, misspelt)...)...); !strings.Contains(out, "ProtectHomes") {
		t.Errorf("a misspelt key passes: %s", out)
	}
}

// The exposure of each service is below 2.0 of 10.
func TestUnitsAreHardened(t *testing.T) {
	t.Parallel()
	same := func(content string) string { return content }
	for _, path := range copyUnits(t, same) {
		if out, err := analyze(t, "security", "--no-pager", "--offline=true", "--threshold=19", path); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	soft := func(content string) string {
		return strings.Replace(content, "SystemCallFilter", "X-SystemCallFilter", -1)
	}
	if out, err := analyze(t, "security", "--no-pager", "--offline=true", "--threshold=19", copyUnits(t, soft)[0]); err == nil {
		t.Errorf("a service without a filter of system calls passes:\n%s", out)
	}
}

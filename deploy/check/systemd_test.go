package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// programsAt is where the units expect the programs.
const programsAt = "/usr/local/bin"

var units = []string{"vizstop-worker.service", "vizstop-console.service"}

// dropIns are files for folders of /etc/systemd/system, by unit.
var dropIns = map[string][]string{"vizstop-console.service": {"tls.conf", "redis.conf"}}

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
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkUnit(t, name, unit(t, name))
			if all := dropIns[name]; all != nil {
				lines := unit(t, name)
				for _, dropIn := range all {
					lines = append(lines, unit(t, filepath.Join(name+".d", dropIn))...)
				}
				checkUnit(t, name+" with drop-ins", lines)
			}
		})
	}
}

func checkUnit(t *testing.T, name string, lines []string) {
	t.Helper()
	args := strings.Fields(values(lines, "ExecStart")[0])
	u := use{where: name, program: strings.TrimPrefix(args[0], programsAt+"/"), args: args[1:],
		env: assignments(values(lines, "Environment")), shared: assignments(unit(t, "vizstop.env"))}
	files := []string{"/etc/vizstop/vizstop.env"}
	if u.program != "worker" {
		files = append(files, "-/etc/vizstop/vizstop-"+u.program+".env")
	}
	if got := values(lines, "EnvironmentFile"); !slices.Equal(got, files) {
		t.Errorf("%s: EnvironmentFile %q, want %q", name, got, files)
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

func TestUnitOfTheConsole(t *testing.T) {
	t.Parallel()
	lines := unit(t, "vizstop-console.service")
	for key, want := range map[string]string{"Type": "notify", "DynamicUser": "yes", "ExecReload": "/bin/kill -HUP $MAINPID"} {
		if got := values(lines, key); len(got) != 1 || got[0] != want {
			t.Errorf("%s=%q, want %s", key, got, want)
		}
	}
	file := filepath.Join(repository, "deploy/systemd/principals.yaml")
	if out, err := run(t, nil, "console", "check", "--principals", file); err != nil || !strings.Contains(out, "principal operator: operate, all projects") {
		t.Errorf("principals.yaml: %v\n%s", err, out)
	}
}

// Prometheus of the example finds the console's metrics where the unit has them.
func TestUnitOfTheConsoleIsScraped(t *testing.T) {
	t.Parallel()
	listen := assignments(values(unit(t, "vizstop-console.service"), "Environment"))["VIZSTOP_CONSOLE_METRICS_LISTEN"]
	config := readYAML(t, filepath.Join(repository, "deploy/prometheus/prometheus.yml"))
	var targets []string
	for _, s := range list(list(config, "scrape_configs")[0], "static_configs") {
		targets = append(targets, texts(list(s, "targets"))...)
	}
	if !slices.Contains(targets, listen) {
		t.Errorf("Prometheus asks %q, and not %s", targets, listen)
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
		for _, dropIn := range dropIns[name] {
			if err := os.MkdirAll(path+".d", 0o700); err != nil {
				t.Fatal(err)
			}
			content := strings.Join(unit(t, filepath.Join(name+".d", dropIn)), "\n")
			if err := os.WriteFile(filepath.Join(path+".d", dropIn), []byte(edit(content)), 0o600); err != nil {
				t.Fatal(err)
			}
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
	for key, wrong := range map[string]string{"ProtectHome": "ProtectHomes", "LoadCredential=console-redis": "LoadsCredential=console-redis"} {
		misspelt := func(content string) string { return strings.Replace(content, key, wrong, 1) }
		word, _, _ := strings.Cut(wrong, "=")
		if out, _ := analyze(t, append([]string{"verify", "--man=no"}, copyUnits(t, misspelt)...)...); !strings.Contains(out, word) {
			t.Errorf("the misspelt key %s passes: %s", word, out)
		}
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
	for _, path := range copyUnits(t, soft) {
		if out, err := analyze(t, "security", "--no-pager", "--offline=true", "--threshold=19", path); err == nil {
			t.Errorf("a service without a filter of system calls passes:\n%s", out)
		}
	}
}

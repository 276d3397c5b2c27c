package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// "make install" puts the programs and the page that the units name where units, cron lines and README look for them.
func TestInstall(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	cmd := exec.Command("make", "-C", repository, "install", "DESTDIR="+root, "BIN="+bin)
	cmd.Env = append(os.Environ(), "MAKEFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make install: %v\n%s", err, out)
	}
	for _, program := range []string{"worker", "enqueue", "console", "simulator"} {
		out, err := exec.Command(filepath.Join(root, programsAt, program), "--version").CombinedOutput()
		if err != nil || !strings.Contains(string(out), builtVersion) {
			t.Errorf("%s: %v: %s", program, err, out)
		}
	}
	named := regexp.MustCompile(`(?m)^(?:ExecStart=|Documentation=file://)(/\S+)`)
	for _, name := range units {
		text := strings.Join(unit(t, name), "\n")
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// Before there is anything to install, it says what to do.
func TestInstallOfNothing(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	out, err := exec.Command("make", "-C", repository, "install", "DESTDIR="+root, "BIN="+root).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "run make build first") {
		t.Errorf("%v: %s", err, out)
	}
}

// The README has one form of every command: what is installed, by its name, after "make demo".
func TestReadmeHasOneForm(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "go run") {
			t.Errorf("another form: %s", line)
		}
		if cron := regexp.MustCompile(`^\d+ \d+ \* \* \*`); cron.MatchString(line) && !strings.Contains(line, " "+programsAt+"/enqueue ") {
			t.Errorf("cron's PATH is short: %s", line)
		}
	}
}

package check

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience is how long a program may take for what should be quick.
const patience = 2 * time.Minute

// repository is the root of the project, bin where TestMain has put the programs.
var (
	repository string
	bin        string
)

// builtVersion is the version that the programs of these tests are built with.
const builtVersion = "v9.8.7-check"

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

// buildAndRun builds the programs as the image does: by the Dockerfile's own
// command.
func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "vizstop-check-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	if repository, err = filepath.Abs("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	command, err := imageBuildCommand()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	build := exec.Command("bash", "-euc", strings.ReplaceAll(command, "/out/", dir+"/"))
	build.Dir = repository
	build.Env = append(os.Environ(), "TARGETOS=", "TARGETARCH=", "VERSION="+builtVersion)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n%s", command, err, out)
		return 1
	}
	return m.Run()
}

// run runs a program with nothing but env, and returns what it wrote.
func run(t *testing.T, env map[string]string, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, program), args...)
	cmd.Env = []string{}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// knowledge is what a command says of its settings.
type knowledge struct {
	flags     map[string]string // with their defaults
	variables map[string]bool
}

var (
	flagPattern     = regexp.MustCompile(`(?m)^   (--[a-z][a-z-]*)[ ,].*?(?:\(default: (.*)\))?$`)
	variablePattern = regexp.MustCompile(`\b[A-Z]+(?:_[A-Z]+)+\b`)
)

// known asks a command for its settings.
func known(t *testing.T, program, command string) knowledge {
	t.Helper()
	args := []string{"--help"}
	if command != "" {
		args = []string{command, "--help"}
	}
	help, err := run(t, nil, program, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, args, err, help)
	}
	k := knowledge{flags: map[string]string{}, variables: map[string]bool{}}
	for _, m := range flagPattern.FindAllStringSubmatch(help, -1) {
		k.flags[m[1]] = m[2]
	}
	for _, name := range variablePattern.FindAllString(help, -1) {
		k.variables[name] = true
	}
	if len(k.flags) < 5 || len(k.variables) < 3 {
		t.Fatalf("the help of %s %s is not understood: %v\n%s", program, command, k, help)
	}
	return k
}

// use is one place that starts a program.
type use struct {
	where   string
	program string // worker, enqueue, console or simulator
	args    []string
	env     map[string]string // set for this program alone
	shared  map[string]string // set for several programs: each has to know some of it
}

// command splits the arguments into a command and the rest.
func (u use) command() (string, []string) {
	if len(u.args) > 0 && !strings.HasPrefix(u.args[0], "-") {
		return u.args[0], u.args[1:]
	}
	return map[string]string{"worker": "run", "console": "run", "enqueue": "stop", "simulator": ""}[u.program], u.args
}

// check reports every flag and variable that the program does not know, and
// every value that it refuses.
func (u use) check(t *testing.T) {
	t.Helper()
	command, args := u.command()
	k := known(t, u.program, command)
	for _, arg := range args {
		flag, _, _ := strings.Cut(arg, "=")
		if _, ok := k.flags[flag]; strings.HasPrefix(arg, "-") && !ok {
			t.Errorf("%s: %s has no flag %s", u.where, u.program, flag)
		}
	}
	for name := range u.env {
		if !k.variables[name] && !slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, "$("+name+")") }) {
			t.Errorf("%s: %s has no variable %s", u.where, u.program, name)
		}
	}
	all := known(t, "worker", "run").variables
	maps.Copy(all, known(t, "enqueue", "stop").variables)
	maps.Copy(all, known(t, "console", "run").variables)
	for name := range u.shared {
		if !all[name] {
			t.Errorf("%s: no program has a variable %s", u.where, name)
		}
	}
	if !t.Failed() {
		u.try(t)
	}
}

// try starts the program as told, but for secrets, files and addresses. It must
// get as far as the Redis that isn't there, and complain of nothing else.
func (u use) try(t *testing.T) {
	t.Helper()
	env := maps.Clone(u.shared)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, u.env)
	file := filepath.Join(t.TempDir(), "stand-in")
	if err := os.WriteFile(file, []byte("keep-*\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name := range env {
		if strings.HasSuffix(name, "_FILE") {
			env[name] = file
		}
	}
	if env["VIZSTOP_SCHEDULES"] != "" {
		env["VIZSTOP_SCHEDULES"] = filepath.Join(repository, "deploy/systemd/schedules.yaml")
	}
	if env["VIZSTOP_CONSOLE_PRINCIPALS"] != "" {
		env["VIZSTOP_CONSOLE_PRINCIPALS"] = filepath.Join(repository, "docs/principals.example.yaml")
	}
	if env["VIZSTOP_CONSOLE_WEB_CONFIG_FILE"] != "" {
		env["VIZSTOP_CONSOLE_WEB_CONFIG_FILE"] = webConfig(t, "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n")
	}
	var args []string
	for _, arg := range u.args {
		switch {
		case strings.HasPrefix(arg, "--protect="):
			arg = "--protect=" + file
		case len(args) > 0 && args[len(args)-1] == "--protect":
			arg = file
		}
		for name, value := range env {
			arg = strings.ReplaceAll(arg, "$("+name+")", value)
		}
		args = append(args, arg)
	}
	var want string
	if u.program == "simulator" {
		args = append(args, "--jobs=-1")
		want = "simulator: --jobs: -1 is not between 0 and 1000000\n"
	} else {
		env["VIZSTOP_REDIS"], env["MODELARTS_ENDPOINT"] = "redis://127.0.0.1:1", simulate(t, env["HW_PROJECT_ID"])
		env["VIZSTOP_LOG_LEVEL"] = "error" // no warnings
		want = map[string]string{"worker": "worker: ", "console": "console: ", "enqueue": "enqueue: nothing was enqueued: "}[u.program] + "--redis (VIZSTOP_REDIS): no Redis at 127.0.0.1:1: is it running? set --redis or VIZSTOP_REDIS\n"
	}
	if out, err := run(t, env, u.program, args...); err == nil || out != want {
		t.Errorf("%s: %s %q says %v\n%s\nwant %s", u.where, u.program, args, err, out, want)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"worker", "enqueue", "console", "simulator"} {
		out, err := run(t, nil, program, "--version")
		if want := program + " version " + builtVersion + "\n"; err != nil || out != want {
			t.Errorf("%s --version: %q, %v; want %q", program, out, err, want)
		}
	}
}

// A name or value that a program does not know is found.
func TestUnknownSettingsAreFound(t *testing.T) {
	t.Parallel()
	k := known(t, "worker", "run")
	if got := k.flags["--shutdown-timeout"]; got != "20s" {
		t.Errorf("default of --shutdown-timeout read as %q", got)
	}
	for _, name := range []string{"VIZSTOP_REDIS", "HW_SECRET_KEY_FILE", "HW_USER_NAME", "VIZSTOP_NOTIFY_SECRET_FILE"} {
		if !k.variables[name] {
			t.Errorf("worker run --help does not show %s", name)
		}
	}
	for _, name := range []string{"VIZSTOP_REDIS_FILE", "HW_SECRET", "VIZSTOP_PROTECT"} {
		if k.variables[name] {
			t.Errorf("worker run --help shows %s", name)
		}
	}
}

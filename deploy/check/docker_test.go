package check

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// instruction is one of a Dockerfile's.
type instruction struct {
	name, rest string
	stage      string // the name of the stage it is in
}

// dockerfile reads the instructions of the project's Dockerfile.
func dockerfile() ([]instruction, error) {
	text, err := os.ReadFile(filepath.Join(repository, "deploy/docker/Dockerfile"))
	if err != nil {
		return nil, err
	}
	var all []instruction
	stage := ""
	joined := strings.ReplaceAll(regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(string(text), ""), "\\\n", " ")
	for line := range strings.Lines(joined) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" {
			continue
		}
		if _, as, ok := strings.Cut(rest, " AS "); name == "FROM" && ok {
			stage = as
		}
		all = append(all, instruction{name, strings.Join(strings.Fields(rest), " "), stage})
	}
	return all, nil
}

var mountPattern = regexp.MustCompile(`--mount=\S+ `)

// imageBuildCommand is the command by which the image builds the programs.
func imageBuildCommand() (string, error) {
	all, err := dockerfile()
	if err != nil {
		return "", err
	}
	for _, i := range all {
		if i.name == "RUN" && strings.Contains(i.rest, "go build") {
			return mountPattern.ReplaceAllString(i.rest, ""), nil
		}
	}
	return "", fmt.Errorf("deploy/docker/Dockerfile has no go build")
}

// of is what a stage's instruction of that name says, or "".
func of(all []instruction, stage, name string) string {
	for _, i := range slices.Backward(all) {
		if i.stage == stage && i.name == name {
			return i.rest
		}
	}
	return ""
}

func words(t *testing.T, array string) []string {
	t.Helper()
	var list []string
	if err := json.Unmarshal([]byte(array), &list); err != nil {
		t.Fatalf("%s is not in exec form: %v", array, err)
	}
	return list
}

// entrypoint is what the image's stage starts.
func entrypoint(t *testing.T, stage string) []string {
	t.Helper()
	all, err := dockerfile()
	if err != nil {
		t.Fatal(err)
	}
	return words(t, of(all, stage, "ENTRYPOINT"))
}

func TestImage(t *testing.T) {
	t.Parallel()
	all, err := dockerfile()
	if err != nil {
		t.Fatal(err)
	}
	if last := all[len(all)-1].stage; last != "vizstop" {
		t.Errorf("the image without a target is %q", last)
	}
	if from := of(all, "base", "FROM"); from != "scratch AS base" {
		t.Errorf("the images come from %s: no shell, no packages", from)
	}
	if user := of(all, "base", "USER"); !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user) {
		t.Errorf("USER %s: Kubernetes' runAsNonRoot needs a number other than 0", user)
	}
	for stage, program := range map[string]string{"vizstop": "worker", "simulator": "simulator"} {
		if got := words(t, of(all, stage, "ENTRYPOINT")); !slices.Equal(got, []string{"/" + program}) {
			t.Errorf("%s starts %q", stage, got)
		}
		use{where: "image " + stage, program: program, args: words(t, of(all, stage, "CMD")),
			env: map[string]string{"HW_ACCESS_KEY": "AK", "HW_SECRET_KEY": "SK"}}.check(t)
		port := of(all, stage, "EXPOSE")
		listen := known(t, program, map[string]string{"worker": "run"}[program]).flags["--listen"]
		if !strings.HasSuffix(listen, ":"+port) {
			t.Errorf("%s exposes %s; %s listens on %s", stage, port, program, listen)
		}
	}
	_, check, _ := strings.Cut(of(all, "vizstop", "HEALTHCHECK"), "CMD ")
	checkHealth(t, "image", words(t, check))
}

// checkHealth runs a container's health check against no worker: it must say so,
// and nothing else.
func checkHealth(t *testing.T, where string, command []string) {
	t.Helper()
	if len(command) < 2 || command[0] != "/worker" || command[1] != "health" {
		t.Errorf("%s: the health check is %q", where, command)
		return
	}
	args := append(slices.Clone(command[1:]), "--listen", "127.0.0.1:1")
	if out, err := run(t, nil, "worker", args...); err == nil || !strings.HasPrefix(out, "worker: no worker answers: ") {
		t.Errorf("%s: worker %q: %v\n%s", where, args, err, out)
	}
}

var goVersionPattern = regexp.MustCompile(`(?m)^(?:ARG GO_VERSION=|RELEASE_GO +\?= go)(.*)$`)

// The image and the release are built with the same Go, one that go.mod allows.
func TestGoVersion(t *testing.T) {
	t.Parallel()
	var versions []string
	for _, file := range []string{"deploy/docker/Dockerfile", "Makefile"} {
		text, err := os.ReadFile(filepath.Join(repository, file))
		if err != nil {
			t.Fatal(err)
		}
		if m := goVersionPattern.FindSubmatch(text); m != nil {
			versions = append(versions, string(m[1]))
		}
	}
	if len(versions) != 2 || versions[0] != versions[1] {
		t.Errorf("Go versions of the image and of the release: %q", versions)
	}
}

// What the build reads is in its context.
func TestDockerignore(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(repository, "deploy/docker/Dockerfile.dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"*", "!go.mod", "!go.sum", "!cmd", "!internal"} {
		if !slices.Contains(strings.Fields(string(text)), line) {
			t.Errorf("%s is missing", line)
		}
	}
}

package check

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	blockPattern = regexp.MustCompile("(?ms)^```\n(.*?)^```$")
	wordPattern  = regexp.MustCompile(`^[a-z]+$`)
)

// What docs/operations.md tells a person on call to type is something that the
// programs know.
func TestRunbookCommands(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(repository, "docs/operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, block := range blockPattern.FindAllStringSubmatch(string(page), -1) {
		for line := range strings.Lines(block[1]) {
			for _, fault := range unknownInCommand(t, line) {
				t.Errorf("%s: %s", strings.TrimSpace(line), fault)
			}
			if strings.HasPrefix(line, "enqueue ") || strings.HasPrefix(line, "worker ") {
				commands++
			}
		}
	}
	if commands < 10 {
		t.Errorf("found %d commands", commands)
	}
	for line, want := range map[string]string{
		"enqueue stops BATCH --outcomes expired": "--outcomes",
		"worker run --api-rates 20":              "--api-rates",
		"enqueue stopps BATCH":                   "stopps",
	} {
		if got := unknownInCommand(t, line); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%s: found %q, want one fault, about %s", line, got, want)
		}
	}
}

// unknownInCommand says which subcommand or flag of a line its program does not
// know. Lines of other programs have no faults.
func unknownInCommand(t *testing.T, line string) (faults []string) {
	t.Helper()
	line, _, _ = strings.Cut(line, "#")
	words := strings.Fields(line)
	for len(words) > 0 && variableSet.MatchString(words[0]) {
		words = words[1:]
	}
	if len(words) == 0 || words[0] != "enqueue" && words[0] != "worker" {
		return nil
	}
	args := []string{"--help"}
	if len(words) > 1 && wordPattern.MatchString(words[1]) {
		args = []string{words[1], "--help"}
		all, err := run(t, nil, words[0], "--help")
		if err != nil {
			t.Fatalf("%s: %v", words[0], err)
		}
		if !regexp.MustCompile(`(?m)^ +` + words[1] + `\b`).MatchString(all) {
			return []string{words[0] + " has no command " + words[1]}
		}
	}
	help, err := run(t, nil, words[0], args...)
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", words[0], args, err, help)
	}
	for _, w := range words {
		flag, _, _ := strings.Cut(w, "=")
		if strings.HasPrefix(flag, "--") && !regexp.MustCompile(`(?m)^ +`+flag+`\b`).MatchString(help) {
			faults = append(faults, strings.Join(words[:2], " ")+" has no "+flag)
		}
	}
	return faults
}

var variableSet = regexp.MustCompile(`^[A-Z_]+=`)

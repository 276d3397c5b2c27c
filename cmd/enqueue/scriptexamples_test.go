package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// examples runs what the help in stdout shows as something to type: the lines
// of its description that begin with the program's name.
func examples(ts *testscript.TestScript, w *world, _ []string) error {
	_, text, _ := strings.Cut(ts.ReadFile("stdout"), "DESCRIPTION:")
	text, _, _ = strings.Cut(text, "OPTIONS:")
	n := 0
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "enqueue ") {
			continue
		}
		n++
		ts.Logf("example: %s", line)
		if err := exits(ts, w, []string{"0", "sh", "-c", line}); err != nil {
			return err
		}
	}
	if n == 0 {
		return errors.New("the help in stdout has no example")
	}
	return nil
}

var cronLine = regexp.MustCompile(`(?m)^\d+ \d+ \* \* \* (.*)$`)

// installedAt is where "make install" puts the programs; cron's own PATH doesn't lead there.
const installedAt = "/usr/local/bin/"

// recipes runs the lines for cron in a file of the repository: with a shell and
// next to no environment. What they name below installedAt is the program of the tests.
func recipes(ts *testscript.TestScript, w *world, args []string) error {
	text, err := os.ReadFile(filepath.Join("../..", args[0]))
	if err != nil {
		return err
	}
	found := cronLine.FindAllStringSubmatch(string(text), -1)
	if len(found) == 0 {
		return errors.New("there is no line for cron in " + args[0])
	}
	for _, m := range found {
		if strings.Contains(strings.ReplaceAll(m[1], `\%`, ""), "%") {
			return errors.New("cron makes line breaks of %: " + m[1])
		}
		ts.Logf("recipe: %s", m[1])
		programs, _, _ := strings.Cut(ts.Getenv("PATH"), string(filepath.ListSeparator)) // testscript puts its own first
		err := exits(ts, w, []string{"0", "env", "-i", "HOME=" + ts.Getenv("WORK"), "PATH=/usr/bin:/bin",
			"LOGNAME=cron", "GORACE=" + ts.Getenv("GORACE"), "sh", "-c", strings.ReplaceAll(m[1], installedAt, programs+"/")})
		if err != nil {
			return err
		}
	}
	return nil
}

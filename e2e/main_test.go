package e2e

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// bin is where TestMain has put the programs.
var bin string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

// buildAndRun builds the programs once for all tests, with the race detector if
// the tests have it: then what they need is compiled already.
func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "vizstop-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	if err := readSources(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	args := []string{"build", "-buildvcs=false", "-ldflags=-w", "-o", dir + string(filepath.Separator)}
	if raceDetector {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "vizstop/cmd/worker", "vizstop/cmd/enqueue", "vizstop/cmd/simulator", "vizstop/cmd/console")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %v\n%s", cmd, err, out)
		return 1
	}
	flag.Parse()
	if !isSet("test.parallel") { // these tests mostly wait for other processes
		if err := flag.Set("test.parallel", "4"); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	chaosTable.print(os.Stdout)
	return code
}

// readSources reads the folders of the sources: go test notes what a test reads,
// but not what "go build" does, and would take old results for those of new programs.
func readSources() error {
	for _, dir := range []string{"../cmd", "../internal"} {
		if err := filepath.WalkDir(dir, func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			return err
		}
	}
	return nil
}

// isSet reports whether the command line has that flag.
func isSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

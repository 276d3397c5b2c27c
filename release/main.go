// Command release builds what is given to others: for each platform an archive
// of the programs and of what it takes to run them, a bill of materials, and the
// checksums of all. The same commit, version and Go make the same bytes, in any
// directory and on any machine.
//
//	make release VERSION=v1.2.3
package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// programs are what is built, platforms what it is built for, beside what else
// an archive has.
var (
	programs  = []string{"console", "enqueue", "simulator", "worker"}
	platforms = []string{"darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64"}
	beside    = []string{"CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "deploy", "docs"}
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

var versionPattern = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+-]*$`)

// run builds version into the folder dist, for all platforms or for those given.
func run(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: release VERSION FOLDER [GOOS/GOARCH ...]")
	}
	version, dist, targets := args[0], args[1], args[2:]
	if len(targets) == 0 {
		targets = platforms
	}
	if !versionPattern.MatchString(version) {
		return fmt.Errorf("%q is not a version such as v1.2.3", version)
	}
	made, err := commitTime()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dist, 0o755); err != nil {
		return err
	}
	var files, binaries []string
	for _, target := range targets {
		folder, err := os.MkdirTemp("", "vizstop-release-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(folder)
		built, err := build(version, target, folder)
		if err != nil {
			return err
		}
		binaries = append(binaries, built...)
		name := "vizstop_" + version + "_" + strings.ReplaceAll(target, "/", "_")
		if err := archive(filepath.Join(dist, name+".tar.gz"), name, made, built); err != nil {
			return err
		}
		files = append(files, name+".tar.gz")
	}
	bill := "vizstop_" + version + ".cdx.json"
	if err := writeBill(filepath.Join(dist, bill), version, made, binaries); err != nil {
		return err
	}
	return writeSums(dist, append(files, bill))
}

// commitTime is when the commit was made that is built. A tree that is not that
// commit is refused: nobody could build it again.
func commitTime() (time.Time, error) {
	dirty, err := output("git", "status", "--porcelain")
	if err != nil {
		return time.Time{}, err
	}
	if dirty != "" {
		return time.Time{}, fmt.Errorf("the work tree is not what was committed: commit it or put it away\n%s", dirty)
	}
	text, err := output("git", "log", "-1", "--format=%ct")
	if err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(seconds, 0).UTC(), err
}

func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%v: %w", cmd, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// build makes the programs in folder and returns their paths. Only settings
// that stand here have a say in what they hold. The commit is not stamped into
// them: how git describes it depends on which tags a clone has.
func build(version, target, folder string) ([]string, error) {
	goos, goarch, _ := strings.Cut(target, "/")
	cmd := exec.Command("go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X vizstop/internal/version.version="+version, "-o", folder+string(filepath.Separator))
	var paths []string
	for _, p := range programs {
		cmd.Args = append(cmd.Args, "./cmd/"+p)
		paths = append(paths, filepath.Join(folder, p))
	}
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"GOFLAGS", "GOEXPERIMENT", "GOFIPS140", "GODEBUG", "GOAMD64", "GOARM64"}, name)
	}), "GOENV=off", "GOWORK=off", "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch, "GOTOOLCHAIN="+runtime.Version())
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build for %s: %w", target, err)
	}
	return paths, nil
}

// writeSums writes SHA256SUMS, which "sha256sum --check" reads.
func writeSums(dist string, files []string) error {
	var sums strings.Builder
	for _, name := range slices.Sorted(slices.Values(files)) {
		content, err := os.ReadFile(filepath.Join(dist, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), name)
	}
	return os.WriteFile(filepath.Join(dist, "SHA256SUMS"), []byte(sums.String()), 0o644)
}

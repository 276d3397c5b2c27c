package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

var made = time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)

// packed packs the same two files from a directory of its own, written in the
// given order, with modes and times of their own.
func packed(t *testing.T, mode os.FileMode, names ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	members := map[string]string{}
	for i, name := range names {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("content of "+name), mode); err != nil {
			t.Fatal(err)
		}
		if at := time.Now().Add(time.Duration(i) * time.Hour); os.Chtimes(path, at, at) != nil {
			t.Fatal("no times here")
		}
		members["folder/"+name] = path
	}
	var out bytes.Buffer
	if err := pack(&out, members, made, []string{filepath.Join(dir, "worker")}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Neither the place of the files, nor their times or modes, nor the order in
// which they are found is in an archive.
func TestPackTellsNothingOfTheMachine(t *testing.T) {
	t.Parallel()
	one, other := packed(t, 0o600, "worker", "README.md"), packed(t, 0o755, "README.md", "worker")
	if !bytes.Equal(one, other) {
		t.Error("the same files make two archives")
	}
	zip, err := gzip.NewReader(bytes.NewReader(one))
	if err != nil {
		t.Fatal(err)
	}
	list := tar.NewReader(zip)
	for _, want := range []struct {
		name string
		mode int64
	}{{"folder/README.md", 0o644}, {"folder/worker", 0o755}} {
		h, err := list.Next()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(list)
		if err != nil || h.Name != want.name || h.Mode != want.mode || !h.ModTime.Equal(made) || h.Uid != 0 || h.Uname != "" ||
			string(content) != "content of "+filepath.Base(want.name) {
			t.Errorf("got %+v with %q, %v; want %+v", h, content, err, want)
		}
	}
	if _, err := list.Next(); err != io.EOF {
		t.Errorf("more than two files: %v", err)
	}
}

func TestBill(t *testing.T) {
	t.Parallel()
	parts := map[string]component{}
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Deps: []*debug.Module{
		{Path: "example.com/b/v2", Version: "v2.1.0", Sum: "h1:x="}, {Path: "example.com/a", Version: "v1.0.0", Sum: "h1:y="}}}
	for range 2 { // two programs with the same modules
		if err := collect(parts, info); err != nil {
			t.Fatal(err)
		}
	}
	for ref, name := range map[string]string{
		"pkg:golang/std@1.26.8": "std", "pkg:golang/example.com/b/v2@v2.1.0": "example.com/b/v2", "pkg:golang/example.com/a@v1.0.0": "example.com/a",
	} {
		if parts[ref].Name != name || len(parts) != 3 {
			t.Errorf("%s is %+v of %d", ref, parts[ref], len(parts))
		}
	}
	info.Deps[0].Replace = &debug.Module{Path: "../local"}
	if err := collect(parts, info); err == nil || !strings.Contains(err.Error(), "example.com/b/v2 is replaced by ../local") {
		t.Errorf("a replaced module: %v", err)
	}
}

// The bill of a real binary: this test's.
func TestWriteBill(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bill.json")
	if err := writeBill(file, "v1.2.3", made, []string{self}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b bill
	if err := json.Unmarshal(content, &b); err != nil {
		t.Fatal(err)
	}
	goVersion, _, _ := strings.Cut(strings.TrimPrefix(runtime.Version(), "go"), " ")
	if len(b.Components) == 0 || b.Components[0].Name != "std" || !strings.HasPrefix(b.Components[0].Version, goVersion) ||
		b.Metadata.Component.Version != "v1.2.3" || b.Metadata.Timestamp != "2026-11-23T04:00:00Z" {
		t.Errorf("got %+v", b)
	}
}

func TestSums(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"b", "a"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeSums(dir, []string{"b", "a"}); err != nil {
		t.Fatal(err)
	}
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	got, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if want := empty + "  a\n" + empty + "  b\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestBadVersion(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"", "../x", "v1 -X main.x=y", "-v"} {
		if err := run([]string{version, t.TempDir()}); err == nil || !strings.Contains(err.Error(), "is not a version") {
			t.Errorf("version %q: %v", version, err)
		}
	}
}

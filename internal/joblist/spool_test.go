package joblist

import (
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// temporary gives the test a directory of its own for temporary files.
func temporary(t *testing.T) string {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	return dir
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestSpoolIsReadTwice(t *testing.T) {
	dir := temporary(t)
	s, err := Spool(iotest.OneByteReader(strings.NewReader("10\n11\n")))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && entries(t, dir) != 0 {
		t.Error("the file can be found while it is open")
	}
	for range 2 {
		text, err := io.ReadAll(s)
		if err != nil || string(text) != "10\n11\n" {
			t.Errorf("read %q, %v", text, err)
		}
		if _, err := s.Seek(0, io.SeekStart); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil || entries(t, dir) != 0 {
		t.Errorf("Close: %v; %d files are left", err, entries(t, dir))
	}
}

func TestSpoolFails(t *testing.T) {
	dir := temporary(t)
	broken := errors.New("hung up")
	if _, err := Spool(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
	if _, err := spool(strings.NewReader("1234"), 3); err == nil || !strings.Contains(err.Error(), "larger than 3 bytes") {
		t.Errorf("error is %v", err)
	}
	s, err := spool(strings.NewReader("123"), 3)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if n := entries(t, dir); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

func TestSpoolWithoutPlace(t *testing.T) {
	dir := temporary(t)
	t.Setenv("TMPDIR", dir+"/none")
	t.Setenv("TMP", dir+"/none")
	if _, err := Spool(strings.NewReader("")); err == nil || !strings.HasPrefix(err.Error(), "make room for the list: ") {
		t.Errorf("error is %v", err)
	}
}

func TestSpooledFileThatCouldNotBeUnlinked(t *testing.T) {
	dir := temporary(t)
	f, err := os.CreateTemp(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	s := &spooled{File: f}
	if err := s.Close(); err != nil || entries(t, dir) != 0 {
		t.Errorf("Close: %v; %d files are left", err, entries(t, dir))
	}
}

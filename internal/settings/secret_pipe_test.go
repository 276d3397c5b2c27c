//go:build unix

package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// soon fails if f takes longer than any of these tests should.
func soon(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("still at it after 20 s")
	}
}

// A program that waited for a writer could not be ended by a first SIGTERM.
func TestSecretPipeWithoutWriter(t *testing.T) {
	t.Parallel()
	path := fifo(t)
	soon(t, func() {
		_, _, err := readSecret(path, 30*time.Millisecond)
		want := path + " is a pipe to which nothing was written: was its writer started, and does it wait for something?"
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	})
}

// A writer may fetch the secret first, and open the pipe when it has it.
func TestSecretPipeWhoseWriterComesLater(t *testing.T) {
	t.Parallel()
	path := fifo(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() {
		time.Sleep(100 * time.Millisecond)
		wrote <- os.WriteFile(path, []byte("s3cret\n"), 0)
	}()
	soon(t, func() {
		got, _, err := secret(t, map[string]string{"KEY_FILE": link})
		if err != nil || got != "s3cret" {
			t.Errorf("%q, %v", got, err)
		}
	})
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

func TestSecretPipeWhoseWriterIsSilent(t *testing.T) {
	t.Parallel()
	path := fifo(t)
	writer, err := os.OpenFile(path, os.O_RDWR, 0) // waits for no reader
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	soon(t, func() {
		_, _, err := readSecret(path, 10*time.Millisecond)
		want := path + " was not written to its end in time: is it a pipe whose writer waits for something?"
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	})
}

// A shell makes a pipe of <(vault read ...), whose writer may take its time.
func TestSecretPipe(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		defer w.Close()
		for _, part := range []string{"s3", "cret", "\n"} {
			w.WriteString(part)
		}
	}()
	soon(t, func() {
		got, warnings, err := secret(t, map[string]string{"KEY_FILE": fmt.Sprintf("/dev/fd/%d", r.Fd())})
		if err != nil || got != "s3cret" || len(warnings) > 0 {
			t.Errorf("%q, %q, %v", got, warnings, err)
		}
	})
}

// Kubernetes mounts a secret as a link to a link to a file.
func TestSecretFileMayBeALink(t *testing.T) {
	t.Parallel()
	file := write(t, "s3cret\n", 0o600)
	dir := t.TempDir()
	data, link := filepath.Join(dir, "..data"), filepath.Join(dir, "key")
	for _, pair := range [][2]string{{filepath.Dir(file), data}, {filepath.Join("..data", "key"), link}} {
		if err := os.Symlink(pair[0], pair[1]); err != nil {
			t.Fatal(err)
		}
	}
	if got, _, err := secret(t, map[string]string{"KEY_FILE": link}); err != nil || got != "s3cret" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSecretFileIsNone(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{t.TempDir(): "is a directory", "/dev/null": "is empty", "/dev/zero": "is longer than 65536 bytes"} {
		soon(t, func() {
			if _, _, err := secret(t, map[string]string{"KEY_FILE": path}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", path, err, want)
			}
		})
	}
}

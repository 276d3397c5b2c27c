package reread

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// dir is a directory whose files a test changes.
type dir struct {
	*testing.T
	path string
	n    int
}

func newDir(t *testing.T) *dir { return &dir{T: t, path: t.TempDir()} }

func (d *dir) at(name string) string { return filepath.Join(d.path, name) }

// write replaces a file, at a time of its own: two writes of a test may be too
// near for the file system's clock.
func (d *dir) write(name, text string) string {
	d.Helper()
	if err := os.WriteFile(d.at(name), []byte(text), 0o600); err != nil {
		d.Fatal(err)
	}
	d.touch(name)
	return d.at(name)
}

func (d *dir) touch(name string) {
	d.Helper()
	d.n++
	at := time.Unix(int64(1e9+d.n), 0)
	if err := os.Chtimes(d.at(name), at, at); err != nil {
		d.Fatal(err)
	}
}

func (d *dir) link(target, name string) {
	d.Helper()
	if err := os.Symlink(target, d.at(name+".new")); err != nil {
		d.Fatal(err)
	}
	if err := os.Rename(d.at(name+".new"), d.at(name)); err != nil {
		d.Fatal(err)
	}
}

// reading is a group that keeps what it has read.
type reading struct {
	Group
	reads int
	value string
	fail  error
}

func newReading(name string, files ...string) *reading {
	r := &reading{}
	r.Group = Group{Name: name, Files: files, Read: func() error {
		r.reads++
		if r.fail != nil {
			return r.fail
		}
		r.value = ""
		for _, f := range r.Files {
			text, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			r.value += string(text)
		}
		return nil
	}}
	return r
}

// logged is a logger and what it has written.
func logged() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}

func TestChangeIsReadWhenItHasSettled(t *testing.T) {
	d := newDir(t)
	key := newReading("key", d.write("ak", "1"), d.write("sk", "1"))
	log, out := logged()
	w := New(log, key.Group)
	step := func(wantReads int, wantValue string) {
		t.Helper()
		w.look(t.Context(), false)
		if key.reads != wantReads || key.value != wantValue {
			t.Fatalf("%d reads of %q, want %d of %q", key.reads, key.value, wantReads, wantValue)
		}
	}
	step(0, "")
	d.write("ak", "2")
	step(0, "") // the other half may be on its way
	d.write("sk", "2")
	step(0, "")
	step(1, "22")
	step(1, "22")
	d.touch("ak") // the same content
	step(1, "22")
	step(1, "22")
	if got := strings.Count(out.String(), "read again after a change"); got != 1 || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("logged %s", out)
	}
}

// Kubernetes puts new files into a new directory and turns a link.
func TestLinkIsTurned(t *testing.T) {
	d := newDir(t)
	for _, one := range []string{"1", "2"} {
		if err := os.Mkdir(d.at(one), 0o700); err != nil {
			t.Fatal(err)
		}
		d.write(one+"/key", one)
		at := time.Unix(1e9, 0) // both alike
		if err := os.Chtimes(d.at(one+"/key"), at, at); err != nil {
			t.Fatal(err)
		}
	}
	d.link("1", "..data")
	d.link("..data/key", "key")
	key := newReading("key", d.at("key"))
	log, _ := logged()
	w := New(log, key.Group)
	w.look(t.Context(), false)
	d.link("2", "..data")
	w.look(t.Context(), false)
	w.look(t.Context(), false)
	if key.reads != 1 || key.value != "2" {
		t.Errorf("%d reads of %q", key.reads, key.value)
	}
}

// What is refused is said once for each content, and once more when a person
// asks; what was there stays in use.
func TestRefusedChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDir(t)
		file := newReading("accounts file", d.write("accounts", "1"))
		log, out := logged()
		w := New(log, file.Group)
		refusals := func(reads, want int) {
			t.Helper()
			w.look(t.Context(), false)
			w.look(t.Context(), false)
			if got := strings.Count(out.String(), "a change was refused"); got != want || file.reads != reads {
				t.Errorf("%d refusals after %d reads, want %d after %d:\n%s", got, file.reads, want, reads, out)
			}
		}
		d.write("accounts", "2")
		file.fail = errors.New("line 1 is bad")
		refusals(1, 1)
		refusals(1, 1)
		if got := w.Refused(); len(got) != 1 || got[0] != "a change of the accounts file is refused: line 1 is bad" {
			t.Errorf("refused: %q", got)
		}
		d.touch("accounts")
		refusals(2, 1)
		time.Sleep(retryRefused)
		refusals(3, 1)
		w.look(t.Context(), true)
		refusals(4, 2)
		d.write("accounts", "3")
		refusals(5, 3)
		if file.value != "" || !strings.Contains(out.String(), `what="accounts file" error="line 1 is bad"`) {
			t.Errorf("value %q, log:\n%s", file.value, out)
		}
		file.fail = nil // what it was refused for stood elsewhere
		time.Sleep(retryRefused)
		refusals(6, 3)
		if file.value != "3" || len(w.Refused()) > 0 {
			t.Errorf("value %q", file.value)
		}
	})
}

func TestFileVanishesAndComesBack(t *testing.T) {
	d := newDir(t)
	key := newReading("key", d.write("key", "1"))
	log, out := logged()
	w := New(log, key.Group)
	look := func() { w.look(t.Context(), false) }
	if err := os.Remove(d.at("key")); err != nil {
		t.Fatal(err)
	}
	look()
	d.write("key", "2") // an editor at work
	look()
	look()
	if key.reads != 1 || key.value != "2" {
		t.Fatalf("%d reads of %q", key.reads, key.value)
	}
	if err := os.Remove(d.at("key")); err != nil {
		t.Fatal(err)
	}
	look()
	look()
	if key.reads != 2 || key.value != "" || !strings.Contains(out.String(), "a change was refused") {
		t.Errorf("%d reads of %q, log:\n%s", key.reads, key.value, out)
	}
}

// A Read may change what is watched: new groups begin, old ones end, and those
// that stay miss nothing.
func TestGroupsChange(t *testing.T) {
	d := newDir(t)
	log, _ := logged()
	stays, ends, begins := newReading("stays", d.write("a", "1")), newReading("ends", d.write("b", "1")), newReading("begins", d.write("c", "1"))
	file := newReading("accounts", d.write("accounts", "1"))
	w := New(log)
	file.Read = func() error {
		file.reads++
		w.Set(file.Group, begins.Group, stays.Group)
		return nil
	}
	w.Set(file.Group, stays.Group, ends.Group)
	for _, name := range []string{"accounts", "a", "b"} {
		d.write(name, "2")
	}
	for range 3 {
		w.look(t.Context(), false)
	}
	d.write("c", "2")
	for range 3 {
		w.look(t.Context(), false)
	}
	if got := fmt.Sprint(file.reads, stays.reads, ends.reads, begins.reads); got != "1 1 0 1" {
		t.Errorf("reads %s", got)
	}
}

// A secret may come through a pipe, which can be read once only.
func TestPipesAreLeftAlone(t *testing.T) {
	d := newDir(t)
	if err := syscall.Mkfifo(d.at("pipe"), 0o600); err != nil {
		t.Skip(err)
	}
	piped := newReading("piped", d.at("pipe"), d.write("key", "1"))
	log, out := logged()
	w := New(log, piped.Group)
	d.write("key", "2")
	for _, asked := range []bool{false, false, true} {
		w.look(t.Context(), asked)
	}
	if piped.reads != 0 || !strings.Contains(out.String(), "not a regular file") {
		t.Errorf("%d reads, log:\n%s", piped.reads, out)
	}
}

// Reading a pipe that nobody writes to would never end.
func TestFileBecomesPipe(t *testing.T) {
	d := newDir(t)
	key := newReading("key", d.write("key", "1"))
	log, out := logged()
	w := New(log, key.Group)
	if err := os.Remove(d.at("key")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(d.at("key"), 0o600); err != nil {
		t.Skip(err)
	}
	w.look(t.Context(), true)
	if key.reads != 0 || !strings.Contains(out.String(), "not a regular file any more") {
		t.Errorf("%d reads, log:\n%s", key.reads, out)
	}
	if err := os.Remove(d.at("key")); err != nil {
		t.Fatal(err)
	}
	d.write("key", "2")
	w.look(t.Context(), true)
	if key.value != "2" {
		t.Errorf("then %q", key.value)
	}
}

// Run looks each interval, and at once when it is asked to.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDir(t)
		key := newReading("key", d.write("key", "1"))
		log, _ := logged()
		ctx, cancel := context.WithCancel(t.Context())
		hup := make(chan os.Signal)
		ended := make(chan struct{})
		w := New(log, key.Group)
		go func() { w.Run(ctx, Interval, hup); close(ended) }()
		d.write("key", "2")
		time.Sleep(2*Interval + time.Nanosecond)
		synctest.Wait()
		if key.value != "2" {
			t.Errorf("after two intervals: %q", key.value)
		}
		d.write("key", "3")
		hup <- syscall.SIGHUP
		synctest.Wait()
		if key.value != "3" || key.reads != 2 {
			t.Errorf("after SIGHUP: %q, %d reads", key.value, key.reads)
		}
		hup <- syscall.SIGHUP
		cancel()
		<-ended
		if key.reads != 2 {
			t.Errorf("the same content was read again: %d reads", key.reads)
		}
	})
}

package httpapi

import (
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"vizstop/internal/console/problem"
	"vizstop/internal/ledger"
)

// Lists that are at work together have bounds, for each principal and for all.
func TestBudget(t *testing.T) {
	t.Parallel()
	b := budget{most: mostSpooled, mostOwn: ownSpooled}
	full := func(principal string) (bool, func()) {
		r, free := b.reader(principal, strings.NewReader("1"))
		_, err := io.ReadAll(r)
		p, refused := errors.AsType[*problem.Problem](err)
		if err != nil && (!refused || p.Type != problem.TooManyRequests || p.RetryAfter <= 0) {
			t.Errorf("error is %v", err)
		}
		return refused, free
	}
	_, nothing := b.reader("ann", strings.NewReader(""))
	nothing() // the first body is empty
	b.own = map[string]int64{"ann": ownSpooled - 1}
	b.all = ownSpooled - 1
	refused, free := full("ann")
	if refused {
		t.Error("the last byte has no room")
	}
	if refused, _ := full("ann"); !refused {
		t.Error("ann has more than her part")
	}
	if refused, free := full("bob"); refused {
		t.Error("bob waits for ann")
	} else {
		free()
	}
	free()
	if refused, free := full("ann"); refused {
		t.Error("what was given back is lost")
	} else {
		free()
	}
	b.all = mostSpooled
	if refused, _ := full("bob"); !refused {
		t.Error("all have more than there is")
	}
	if b.all != mostSpooled || b.own["ann"] != ownSpooled-1 || len(b.own) != 1 {
		t.Errorf("left are %d, %v", b.all, b.own)
	}
}

// Results are found by nobody else, and leave nothing behind when the console is killed.
func TestResultsAreUnlinked(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	s := results{all: true}
	for range maxItems + 1 {
		s.add("p", ledger.Opening{JobID: "1", StopID: "s", Result: ledger.Opened})
	}
	left := func() int {
		all, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if runtime.GOOS != "windows" && left() != 0 {
		t.Error("the file can be found while it is open")
	}
	var out strings.Builder
	if err := s.copyTo(&out); err != nil || strings.Count(out.String(), "\n") != maxItems+1 {
		t.Errorf("%d lines, %v", strings.Count(out.String(), "\n"), err)
	}
	if s.close(); left() != 0 {
		t.Error("the file is left")
	}
}

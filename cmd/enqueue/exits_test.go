package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"vizstop/internal/control"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
	"vizstop/internal/report"
	"vizstop/internal/undo"
)

// evil is text that takes over a terminal, forges lines and columns, and is a
// formula to a spreadsheet.
const evil = "=cmd|' /C calc'!A0\x1b[2J\x1b]0;title\a\r\nforged\tcolumn\u009b2J\u202e\u2066\x00\x7f\xff"

// wantTame fails if what was written has more lines than want, or anything in
// it that a terminal obeys.
func wantTame(t *testing.T, what, text string, want int) {
	t.Helper()
	if n := strings.Count(text, "\n"); n != want {
		t.Errorf("%s: %d lines, want %d:\n%q", what, n, want, text)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf) }); i >= 0 {
		t.Errorf("%s: %q came through in %q", what, text[i:i+1], text)
	}
	if !strings.Contains(text, "forged") {
		t.Errorf("%s: the text is missing in %q", what, text)
	}
}

func TestWhatIsPrintedIsTame(t *testing.T) {
	t.Parallel()
	stop := &ledger.Stop{ID: "s", ProjectID: project, JobID: "10", Batch: "b", State: ledger.Rejected, Reason: evil, RequestID: evil,
		Status: evil, Labels: map[string]string{"a" + evil: evil}}
	list := func(yield func(*ledger.Stop, error) bool) { yield(stop, nil) }
	for name, c := range map[string]struct {
		cmd  stopsCmd
		want int // lines
	}{"table": {stopsCmd{}, 2}, "CSV": {stopsCmd{csv: true}, 2}, "JSON": {stopsCmd{json: true}, 28}} {
		var out bytes.Buffer
		c.cmd.streams = streams{out: &out, err: &out}
		if err := c.cmd.write(list); err != nil {
			t.Fatal(err)
		}
		wantTame(t, name, out.String(), c.want)
		if !c.cmd.csv {
			continue
		}
		records, err := csv.NewReader(&out).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for i, field := range records[1] {
			if field != "" && strings.ContainsAny(field[:1], "=+-@\t\r") {
				t.Errorf("column %d is a formula: %q", i+1, field)
			}
		}
	}

	stop.Note(ledger.HistoryStep{Call: ledger.HistoryStop, Answer: evil, Status: evil, RequestID: evil})
	var shown bytes.Buffer
	if err := writeHistory(&shown, stop); err != nil {
		t.Fatal(err)
	}
	wantTame(t, "history", shown.String(), 4)

	summary := &report.Summary{Batch: "b", ProjectID: project, Requester: evil, Reason: evil, Labels: stop.Labels,
		InFlight: map[string]int{}, Outcomes: map[string]int{}}
	var out bytes.Buffer
	if err := writeSummaries(&out, []*report.Summary{summary}); err != nil {
		t.Fatal(err)
	}
	wantTame(t, "summary", out.String(), 4)

	out.Reset()
	u := undoCmd{streams: streams{out: &out}}
	if err := u.print(&undo.Report{Jobs: []undo.Job{{ProjectID: project, JobID: "10", Result: "failed", Reason: evil}}}); err != nil {
		t.Fatal(err)
	}
	wantTame(t, "undo", out.String(), 7)

	out.Reset()
	c := stopCmd{now: time.Now, streams: streams{out: &out, err: &out}}
	c.print(&answer{Batch: "b", Invalid: 1, InvalidNames: []control.BadName{{Place: "list line 1", Reason: evil}}})
	wantTame(t, "invalid names", out.String(), 5)

	out.Reset()
	conclude(errors.New("one\n  "+evil), false, &out)
	wantTame(t, "error", out.String(), 3)
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "enqueue: ") {
			t.Errorf("the error has a line of its own: %q", line)
		}
	}

	wantTame(t, "pause", release.Hold{Reason: release.Paused, By: evil, Detail: evil, Since: time.Now()}.String(), 0)
	wantTame(t, "hold", release.Hold{Reason: release.Credentials, Detail: evil, Since: time.Now()}.String(), 0)
}

// Nobody can ask for something under a name, or for a reason, that does more
// than be read.
func TestUnfitTextsAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--reason", evil}, {"--requester", evil}, {"--label", "a=" + evil}, {"--label", evil + "=a"},
		{"--reason", "a\u202eb"}, {"--requester", "a\u009bb"}, {"--reason", strings.Repeat("x", 257)}, {"--batch", evil}, {"--batch", "a}:b"}} {
		var out bytes.Buffer
		err := run(t.Context(), append(append([]string{"stop", "--project", project}, args...), "10"),
			func(string) string { return "" }, strings.NewReader(""), &out, &out)
		if err == nil || !strings.Contains(err.Error(), args[0]) || out.Len() > 0 {
			t.Errorf("%q: %v, wrote %q", args, err, &out)
		}
	}
}

// A program that a signal has ended says so; what else was canceled is not called that.
func TestConcludeTellsOfASignal(t *testing.T) {
	for ended, want := range map[bool]string{true: "enqueue: look at it: interrupted\n", false: "enqueue: look at it: context canceled\n"} {
		var out bytes.Buffer
		conclude(fmt.Errorf("look at it: %w", context.Canceled), ended, &out)
		if out.String() != want {
			t.Errorf("ended by a signal %t: %q, want %q", ended, out.String(), want)
		}
	}
}

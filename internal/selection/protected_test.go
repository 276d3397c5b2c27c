package selection

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode"
	"vizstop/internal/jobs"
	v1 "vizstop/internal/modelarts/v1"
)

func protect(t *testing.T, text string, now time.Time) *Protected {
	t.Helper()
	p, err := ParseProtected(strings.NewReader(text), "keep.txt", now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProtected(t *testing.T) {
	p := protect(t, "\ufeff4711 # the demo\r\n\r\n# a comment\n  board-*\nloss#comment\nlate-? until 2026-12-24 # holidays\n01100\n000", now)
	for _, tt := range []struct {
		id, name string
		want     bool
	}{
		{"4711", "x", true}, {"471", "x", false}, {"1", "4711", true}, {"1", "board-", true}, {"board-7", "x", false},
		{"1", "loss", true}, {"1", "late-1", true}, {"1", "late-12", false}, {"", "", false},
		{"1100", "x", true}, {"1", "01100", true}, {"110", "x", false},
	} {
		if _, got := p.Protects(tt.id, tt.name); got != tt.want {
			t.Errorf("%s %q is protected: %v", tt.id, tt.name, got)
		}
	}
	if p.Expired() != nil {
		t.Errorf("expired: %q", p.Expired())
	}
}

func TestNothingIsProtected(t *testing.T) {
	var none *Protected
	for _, p := range []*Protected{none, protect(t, "", now)} {
		if line, ok := p.Protects("1", "a"); ok || line != "" || p.Expired() != nil || p.Unmatched() != nil {
			t.Errorf("%+v protects something: %q", p, line)
		}
	}
}

// Each line that names a job is noted, of every job of the list, and the first one is told.
func TestUnmatchedLines(t *testing.T) {
	p := protect(t, "4711\nboard-*\nlost-*\n4712\nboard-1\n4711\n99 until 2020-01-01", now)
	const running = v1.StatusRunning
	jobs := []jobs.Job{ago("4711", "x", running, time.Hour), ago("1", "board-1", v1.StatusKilled, time.Hour)}
	choose(t, Rule{Names: []string{"nothing"}, Protect: p}, jobs...)
	if got := p.Unmatched(); !slices.Equal(got, []string{"keep.txt line 3: lost-*", "keep.txt line 4: 4712"}) {
		t.Errorf("unmatched are %q", got)
	}
	if line, ok := p.Protects("1", "board-1"); !ok || line != "keep.txt line 2: board-*" {
		t.Errorf("protected by %q, %v", line, ok)
	}
}

func TestProtectionExpires(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	const text = "a until 2026-11-23\nb until 2026-11-23T20:00:00+01:00\nc\n"
	const lineA, lineB = "keep.txt line 1: a (until 2026-11-23)", "keep.txt line 2: b (until 2026-11-23T20:00:00+01:00)"
	for _, tt := range []struct {
		now     time.Time
		expired []string
	}{
		{time.Date(2026, 11, 23, 19, 59, 59, 0, berlin), nil},
		{time.Date(2026, 11, 23, 20, 0, 0, 0, berlin), []string{lineB}},
		{time.Date(2026, 11, 23, 23, 59, 59, 0, berlin), []string{lineB}},
		{time.Date(2026, 11, 24, 0, 0, 0, 0, berlin), []string{lineA, lineB}},
		{time.Date(2026, 11, 23, 23, 0, 0, 0, time.UTC), []string{lineB}}, // the day lasts in UTC
	} {
		p := protect(t, text, tt.now)
		if !slices.Equal(p.Expired(), tt.expired) {
			t.Errorf("%v: expired %q", tt.now, p.Expired())
		}
		for name, want := range map[string]bool{"a": len(tt.expired) < 2, "b": len(tt.expired) < 1, "c": true} {
			if _, got := p.Protects("1", name); got != want {
				t.Errorf("%v: %s is protected: %v", tt.now, name, got)
			}
		}
	}
}

func TestBadProtectLines(t *testing.T) {
	const (
		form = "the line is not of the form: ID or GLOB [until YYYY-MM-DD] [# comment]"
		date = "the time is not a date such as 2026-12-24, or a time such as 2026-12-24T18:00:00+01:00"
		none = " is in none: a glob is made of letters, digits, _, -, ., *, ?, [a-z], [^a-z]"
	)
	for line, want := range map[string]string{
		"a[":                       "the entry is not a glob such as nightly-* or run-[0-9]?: is a bracket open or empty?",
		"12,13":                    "the entry can match no name, as ','" + none,
		"HW_SECRET_KEY=S3CRET":     "the entry can match no name, as '='" + none,
		"12 13":                    form,
		"12 till 2026-12-24":       form,
		"12 until":                 form,
		"12 until 2026-12-24 noon": form,
		"12 until 2026-02-30 # x":  date,
		"12 until 24.12.2026":      date,
	} {
		p, err := ParseProtected(strings.NewReader("ok\n"+line+"\n"), "keep.txt", now)
		if want = "keep.txt line 2: " + want; p != nil || err == nil || err.Error() != want {
			t.Errorf("%q: %v\nwant %s", line, err, want)
		}
	}
}

func TestProtectFileIsBad(t *testing.T) {
	_, err := ParseProtected(strings.NewReader(strings.Repeat("a b\n", 9)), "keep.txt", now)
	if err == nil || strings.Count(err.Error(), "\n") != 4 || !strings.Contains(err.Error(), "keep.txt line 5: ") {
		t.Errorf("faults are %v", err)
	}
	_, err = ParseProtected(strings.NewReader("a\n"+strings.Repeat("b", 5000)), "keep.txt", now)
	if err == nil || err.Error() != "keep.txt line 2 is longer than 4096 bytes" {
		t.Errorf("error is %v", err)
	}
	_, err = ParseProtected(strings.NewReader("\xff\xfe1\x002\x00\n"), "keep.txt", now)
	if err == nil || !strings.HasPrefix(err.Error(), "keep.txt line 1: ") {
		t.Errorf("UTF-16: %v", err)
	}
	broken := errors.New("disk on fire")
	if _, err := ParseProtected(iotest.ErrReader(broken), "keep.txt", now); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
}

func FuzzProtected(f *testing.F) {
	f.Add("4711 # the demo\nboard-* until 2026-12-24\r\n\ufeffx until 2026-11-23T20:00:00+01:00")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseProtected(strings.NewReader(text), "keep.txt", now)
		if (p == nil) == (err == nil) {
			t.Fatalf("got %+v and %v", p, err)
		}
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") { // one line each
				if strings.ContainsFunc(line, unicode.IsControl) {
					t.Fatalf("the error is %q", err)
				}
			}
			return
		}
		p.Protects("1", "name")
	})
}

package report

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"

	"vizstop/internal/estimate"
	"vizstop/internal/plain"
)

// Sight is how a batch stands at one moment of a wait.
type Sight struct {
	Done, Total int       // stops with an outcome, and all of them
	End         time.Time // about when the last one will have its outcome; zero: that can't be told
	Why         []string  // what keeps the batch from moving, one line each
}

// Progress shows a wait to people.
type Progress interface {
	Show(Sight)
	Close()
}

// NewProgress returns a bar for a terminal, plain lines for anything else, and
// nothing at all if quiet.
func NewProgress(w io.Writer, terminal, quiet bool) Progress {
	switch {
	case quiet:
		return silent{}
	case terminal:
		return &bar{w: w}
	default:
		return &lines{w: w}
	}
}

type silent struct{}

func (silent) Show(Sight) {}
func (silent) Close()     {}

type bar struct {
	w    io.Writer
	bar  *progressbar.ProgressBar
	text string
	told []string
}

func (b *bar) Show(s Sight) {
	if b.bar == nil {
		b.text = "ended"
		b.bar = progressbar.NewOptions(s.Total,
			progressbar.OptionSetWriter(b.w),
			progressbar.OptionSetDescription(b.text),
			progressbar.OptionShowCount(),
			progressbar.OptionSetWidth(40),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionThrottle(50*time.Millisecond))
	}
	// A terminal that went away is no reason to stop waiting.
	if !slices.Equal(s.Why, b.told) {
		_ = b.bar.Clear()
		writeLines(b.w, s.Why)
		b.told = s.Why
	}
	text := "ended"
	if !s.End.IsZero() {
		text += ", all at about " + estimate.Clock(s.End, time.Now())
	}
	if text != b.text {
		b.bar.Describe(text)
		b.text = text
	}
	_ = b.bar.Set(s.Done)
}

func (b *bar) Close() { fmt.Fprintln(b.w) }

// lines writes a line whenever something has changed, at most every 2 seconds.
type lines struct {
	w    io.Writer
	last time.Time
	done int
	told []string
}

func (l *lines) Show(s Sight) {
	if !slices.Equal(s.Why, l.told) {
		writeLines(l.w, s.Why)
		l.told = s.Why
	}
	if l.last.IsZero() || s.Done != l.done && (time.Since(l.last) >= 2*time.Second || s.Done == s.Total) {
		fmt.Fprintf(l.w, "%s of %s stops have an outcome%s\n", estimate.Count(s.Done), estimate.Count(s.Total), s.expected())
		l.last, l.done = time.Now(), s.Done
	}
}

func (l *lines) Close() {}

func (s *Sight) expected() string {
	if s.End.IsZero() {
		return ""
	}
	return "; " + ExpectedEnd(s.End, time.Now())
}

// ExpectedEnd says when a batch is expected to end.
func ExpectedEnd(end, now time.Time) string {
	return "expected end at about " + estimate.Clock(end, now)
}

// maxWhy bounds one reason, in characters.
const maxWhy = 1024

func writeLines(w io.Writer, texts []string) {
	for _, text := range texts {
		fmt.Fprintln(w, plain.Line(text, maxWhy))
	}
}

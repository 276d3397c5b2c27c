package pages

import (
	"fmt"
	"html/template"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"vizstop/internal/console/snapshot"
	"vizstop/internal/estimate"
	"vizstop/internal/ledger"
	"vizstop/internal/plain"
	"vizstop/internal/release"
	"vizstop/internal/scheduler"
)

func (p *pages) funcs() template.FuncMap {
	return template.FuncMap{
		"url": p.site.URL, "static": p.staticURL, "batchURL": p.batchURL, "jobURL": p.jobURL, "actURL": p.actURL, "runbook": p.runbook,
		"text": text, "count": estimate.Count, "stamp": stamp, "clock": clock, "machine": machine, "span": span, "hours": hours, "rate": rateWords,
		"ago":   func(now, t time.Time) string { return span(max(0, now.Sub(t))) },
		"in":    func(now, t time.Time) string { return span(max(0, t.Sub(now))) },
		"class": class, "mark": mark, "say": say, "plural": plural, "percent": percent, "labels": labels,
		"add": func(a, b int) int { return a + b }, "sub": func(a, b int) int { return a - b },
		"undone": snapshot.UndoneAt, "failed": failed, "givenup": givenUp, "canceled": func(b *snapshot.Batch) int { return b.Counts()[ledger.Canceled] }, "standing": standing, "thin": thin, "thick": thick, "rows": newRows, "holdsOf": newHolds, "linksOf": linksOf, "tick": tickClass,
		"limit": limitWords, "batchOf": batchOf,
		"millis": func(t time.Time) int { return t.Nanosecond() / int(time.Millisecond) }, "address": with, "sentence": sentence, "tidy": tidy, "brief": brief,
	}
}

// mostText bounds a text from outside, in characters.
const mostText = 512

// text makes text from outside fit to be shown.
func text(s any) string { return plain.Line(fmt.Sprint(s), mostText) }

// mostBrief bounds a text in a list, in characters: all of it is on a page of its own.
const mostBrief = 100

func brief(s string) string { return plain.Line(s, mostBrief) }

// stamp is a time for people, in UTC.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// clock is the time of day, with the day if that is another one.
func clock(now, t time.Time) string {
	switch {
	case t.IsZero():
		return "–"
	case now.UTC().Format(time.DateOnly) == t.UTC().Format(time.DateOnly):
		return t.UTC().Format(time.TimeOnly)
	}
	return stamp(t)
}

// moments are times as programs write them.
var moments = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)`)

// tidy has the times in a text as pages have them.
func tidy(s string) string {
	return moments.ReplaceAllStringFunc(s, func(found string) string {
		t, err := time.Parse(time.RFC3339, found)
		if err != nil {
			return found
		}
		return stamp(t)
	})
}

func machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// span is a length of time in one or two units.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 10*time.Second:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// hours are job-hours. What is not certain is told as what it is between.
func hours(h snapshot.Hours) string {
	one := func(v float64) string {
		if v >= 100 {
			return estimate.Count(int(math.Round(v)))
		}
		return fmt.Sprintf("%.1f", v)
	}
	if h.Exact() || one(h.Least) == one(h.Most) {
		return one(h.Most)
	}
	return one(h.Least) + " to " + one(h.Most)
}

// rateWords is a rate of calls a second.
func rateWords(r float64) string {
	if math.IsInf(r, 1) || r <= 0 {
		return "no limit"
	}
	return fmt.Sprintf("%.3g/s", r)
}

// class is the class of a state in the style sheet: good, bad or busy.
func class(s ledger.State) string {
	switch {
	case !s.Ended():
		return "busy"
	case s.Good():
		return "good"
	case s == ledger.Canceled:
		return "quiet"
	}
	return "bad"
}

// mark is a sign beside the colour of a class.
func mark(class string) string {
	switch class {
	case "good":
		return "✓"
	case "bad":
		return "✕"
	case "warn":
		return "!"
	case "busy":
		return "◔"
	}
	return "–"
}

// say is a state in words.
func say(s any) string { return strings.ReplaceAll(fmt.Sprint(s), "_", " ") }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return estimate.Count(n) + " " + many
}

// percent is a part of a whole from 0 to 100, rounded down: all is all only when it is.
func percent(part, whole int) int {
	if whole <= 0 {
		return 0
	}
	return part * 100 / whole
}

// labels are a batch's own, in order.
func labels(all map[string]string) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, text(name)+"="+text(all[name]))
	}
	return list
}

// sentence is words of an error as a sentence.
func sentence(s string) string {
	s = plain.Line(s, 1000)
	first, size := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[size:]
	if s != "" && !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}

// holdView is a hold for people.
type holdView struct {
	release.Hold
	What, Why, Ends string
	Heading         string // of the runbook
}

// headings are the alerts of docs/operations.md that say what to do about a hold.
var headings = map[release.Reason]string{
	release.Paused: "vizstoppausedtoolong", release.QueuePaused: "vizstoppausedtoolong", release.Throttled: "vizstopthrottled",
	release.Credentials: "vizstopcredentialsrefused", release.Permission: "vizstopcallsrefused", release.NoAPI: "vizstopcallsrefused",
	release.Outage: "vizstopapioutage", release.WindowLimit: "vizstoplimitholds", release.BatchLimit: "vizstoplimitholds", release.BadOutcomes: "vizstoplimitholds",
}

func newHold(h release.Hold, now time.Time) holdView {
	v := holdView{Hold: h, Heading: headings[h.Reason]}
	calls := "Calls"
	if h.Reason == release.Paused || h.ByLimit() {
		calls = "Stop calls"
	}
	switch h.Scope {
	case release.ScopeFleet:
		v.What = "All " + strings.ToLower(calls)
	case release.ScopeCredential:
		v.What = calls + " of account " + text(h.Account)
	case release.ScopeBatch:
		v.What = "Batch " + text(h.Batch)
	default:
		v.What = calls + " of project " + text(h.ProjectID)
	}
	detail := tidy(text(h.Detail))
	tries := fmt.Sprintf("It ends when a call succeeds: %s failed so far, the next try is at %s.", plural(h.Probes, "try", "tries"), clock(now, h.Until))
	switch h.Reason {
	case release.Paused:
		v.Why, v.Ends = "paused by "+text(h.By), "It ends when somebody resumes."
		if detail != "" {
			v.Why += ": " + detail
		}
	case release.QueuePaused:
		v.Why, v.Ends = "the queue is paused in asynq", "It ends when somebody unpauses the queue there."
	case release.Throttled:
		v.Why, v.Ends = "ModelArts answered 429: too many calls", "It ends by itself at "+clock(now, h.Until)+"."
	case release.WindowLimit:
		v.Why, v.Ends = "the window limit: "+detail, "The next ones can go out at "+clock(now, h.Until)+", or when somebody allows more."
	case release.BatchLimit, release.BadOutcomes:
		v.Why, v.Ends = "a limit: "+detail, "It ends when somebody allows the batch, or cancels it."
	case release.Credentials:
		v.Why, v.Ends = "ModelArts refuses the credentials: "+detail, tries
	case release.Permission:
		v.Why, v.Ends = "ModelArts refuses the calls: "+detail, tries
	case release.NoAPI:
		v.Why, v.Ends = "the endpoint does not offer the API: "+detail, tries
	default:
		v.Why, v.Ends = "ModelArts does not answer well: "+detail, tries
	}
	return v
}

// shownHolds is how many holds a page lists.
const shownHolds = 50

// holdList is holds for people.
type holdList struct {
	Shown []holdView
	More  int
	Now   time.Time
	May   bool // act
	All   bool // on all projects
}

// holdLinks are the links of a hold.
type holdLinks struct {
	holdView
	May, All bool
}

func linksOf(h holdView, may, all bool) holdLinks { return holdLinks{h, may, all} }

func newHolds(holds []release.Hold, now time.Time, may, all bool) holdList {
	list := holdList{Now: now, May: may, All: all, More: max(0, len(holds)-shownHolds)}
	for _, h := range holds[:min(len(holds), shownHolds)] {
		list.Shown = append(list.Shown, newHold(h, now))
	}
	return list
}

// failed is how many stops of a batch ended badly, those that were canceled not counted.
func failed(b *snapshot.Batch) int { return b.Bad() - b.Counts()[ledger.Canceled] }

// givenUp is how many jobs may still run although nobody goes on trying to stop them.
func givenUp(b *snapshot.Batch) int { return ledger.GivenUp(b.Counts()) }

// badge is a word and the class of its colour and sign.
type badge struct{ Word, Class string }

// standing is a batch in a word.
func standing(now time.Time, b *snapshot.Batch) badge {
	switch {
	case b.Held != "":
		return badge{"held: " + holdWord(release.Reason(b.Held)), "warn"}
	case b.Stands != "":
		return badge{"held: " + holdWord(b.Stands), "warn"}
	case !b.Waits.IsZero():
		return badge{"waits until " + until(now, b.Waits), "quiet"}
	case b.InFlight() > 0:
		return badge{"in flight", "busy"}
	case b.Restarted() && failed(b) > 0:
		return badge{"stopped, then restarted; with failures", "bad"}
	case b.Restarted():
		return badge{"stopped, then restarted", "quiet"}
	case failed(b) > 0:
		return badge{"ended, with failures", "bad"}
	case b.Counts()[ledger.Canceled] > 0:
		return badge{"ended, some canceled", "quiet"}
	}
	return badge{"ended well", "good"}
}

// holdWord is the reason of a hold in a word or two.
func holdWord(r release.Reason) string {
	switch r {
	case release.QueuePaused:
		return string(release.Paused)
	case release.NoAPI:
		return "no API"
	case release.WindowLimit, release.BatchLimit, release.BadOutcomes:
		return "a limit"
	}
	return say(r)
}

// until is a time to come to the minute, with the day if that is another one.
func until(now, t time.Time) string {
	if now.UTC().Format(time.DateOnly) == t.UTC().Format(time.DateOnly) {
		return t.UTC().Format("15:04")
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// progress is the bar of a batch.
type progress struct {
	Thin     bool
	Segments []segment
}

func thin(b *snapshot.Batch) progress   { return progress{true, segments(b)} }
func thick(segments []segment) progress { return progress{false, segments} }

// batchRows are lines of a table of batches.
type batchRows struct {
	Now     time.Time
	Batches []snapshot.Batch
}

func newRows(now time.Time, batches []snapshot.Batch) batchRows { return batchRows{now, batches} }

// tickClass is the class of a tick's outcome.
func tickClass(r scheduler.Result) string {
	switch r.Outcome {
	case scheduler.Done:
		if r.Well() {
			return "good"
		}
		return "warn"
	case scheduler.Partial:
		return "warn"
	case scheduler.Suspended, scheduler.Canceled:
		return "quiet"
	}
	return "bad"
}

// limitWords is a limit, or what is left of it.
func limitWords(n int) string {
	if n < 0 {
		return "no limit"
	}
	return estimate.Count(n)
}

// batchOf is the batch that an action was done to; "" if that was something else.
func batchOf(scope string) string {
	id, ok := strings.CutPrefix(scope, "batch ")
	if !ok || ledger.ValidateBatch(id) != nil {
		return ""
	}
	return id
}

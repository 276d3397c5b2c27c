package schedules

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"vizstop/internal/jobs"
	"vizstop/internal/plain"
	"vizstop/internal/selection"
	"vizstop/internal/yamlfile"
)

// Bounds of the file and of what it says.
const (
	maxSchedules   = 200
	maxTimes       = 48 // of a schedule, a day
	maxDays        = 1000
	maxRevision    = 1 << 53
	defaultCatchUp = time.Hour
	leastCatchUp   = time.Minute
	mostCatchUp    = 7 * 24 * time.Hour
	leastDeadline  = time.Minute
	mostDeadline   = 30 * 24 * time.Hour
	mostSpread     = 24 * time.Hour
	leastAge       = time.Minute
	mostAge        = 100 * 365 * 24 * time.Hour
	mostLimit      = 10_000_000
)

var nameForm = yamlfile.Matching(`^[a-z][a-z0-9_-]{0,31}$`, "1 to 32 small letters, digits, '-' or '_', a letter first")

const (
	wantAt       = `a time of day such as "20:00", from 00:00 to 23:59`
	wantDays     = "days such as mon, tue-thu or mon-fri"
	wantDate     = "a date such as 2026-12-24, or several as 2026-10-01..2026-10-07"
	wantZone     = "a time zone such as Asia/Shanghai, Europe/Berlin or UTC"
	wantProject  = "a project id: 1 to 64 letters, digits, '_' or '-', such as 0123456789abcdef0123456789abcdef"
	wantAccount  = "the name of an account of the accounts file, or a glob such as team-*"
	wantStatus   = "a status such as running"
	wantGlob     = "a job's name, or a glob for names such as nightly-*"
	wantExclude  = "a job's id, or a glob for names such as keep-*"
	wantProtect  = "the path of a file of ids and globs, from the folder of this file on"
	wantAge      = "whole seconds from 1m on with their unit, such as 8h or 90m"
	wantDeadline = "whole seconds from 1m to 720h with their unit, such as 2h, or leave it out: then the batch gets what it needs"
	wantSpread   = "whole seconds from 1s to 24h with their unit, such as 10m"
	wantCatchUp  = "whole seconds from 1m to 168h with their unit, such as 1h"
	wantText     = "1 to 256 characters on one line"
	wantURL      = "a URL such as https://example.com/hook, without user and password"
)

// words are what faults of a schedules file say.
var words = yamlfile.Words{
	Empty:   `write "revision: 1" and a list of schedules, below "schedules:"`,
	Second:  "write all schedules into one list",
	Secrets: "it is not needed here: workers have their credentials from variables; if others could read this file, replace the secret",
}

// Load reads the schedules file at path, which must be a regular file, and the files
// of protected jobs that it names. Statuses are those that a job can have. The error is
// a *yamlfile.Error if the file could be read and its content is wrong.
func Load(path string, statuses []jobs.Status) (*File, error) {
	data, err := yamlfile.Load(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data, statuses)
}

// Parse reads the content of a schedules file at path. Its errors are of type
// *yamlfile.Error and tell all faults at once.
func Parse(path string, data []byte, statuses []jobs.Status) (*File, error) {
	p := parser{Reader: yamlfile.New(path, words), folder: filepath.Dir(path), statuses: statuses}
	f := p.file(p.Document(data))
	if err := p.Failed(); err != nil {
		return nil, err
	}
	f.Hash = fmt.Sprintf("%x", sha256.Sum256(data))[:12]
	return f, nil
}

// parser turns a document into schedules.
type parser struct {
	*yamlfile.Reader
	folder   string // where relative paths begin
	statuses []jobs.Status

	skip, extra map[Date]bool // of the file
}

func (p *parser) file(n *yaml.Node) *File {
	found := p.Fields(n, "the file", []string{"revision", "schedules"}, []string{"skip_days", "extra_days"})
	f := &File{}
	p.Whole(found["revision"], &f.Revision, 1, maxRevision, "a whole number from 1 on, which is raised with each change")
	p.skip, p.extra = p.dates(found["skip_days"], "skip_days"), p.dates(found["extra_days"], "extra_days")
	p.apart(found["extra_days"], p.skip, p.extra)
	names := map[string]*yaml.Node{}
	all := p.Items(found["schedules"], "schedules", "- name: evening")
	if len(all) > maxSchedules {
		p.Fault(all[maxSchedules].Line, all[maxSchedules].Column, "there are more than %d schedules: let one schedule choose more jobs", maxSchedules)
		all = all[:maxSchedules]
	}
	for _, one := range all {
		if s := p.schedule(one, names); s != nil {
			f.Schedules = append(f.Schedules, s)
		}
	}
	return f
}

func (p *parser) schedule(n *yaml.Node, names map[string]*yaml.Node) *Schedule {
	found := p.Fields(n, "a schedule", []string{"name", "at", "timezone", "rule"}, []string{"days", "skip_days", "extra_days",
		"deadline", "spread", "catch_up", "batch_limit", "batch_share", "shadow", "reason", "notify"})
	if found == nil {
		return nil
	}
	s := &Schedule{Name: p.Text(found["name"], nameForm), CatchUp: defaultCatchUp, Timing: p.timing(found), Rule: p.rule(found["rule"])}
	switch first := names[s.Name]; {
	case s.Name == "":
	case first != nil:
		p.Fault(found["name"].Line, found["name"].Column, "the schedule %q stands in line %d already: give each a name of its own", s.Name, first.Line)
	default:
		names[s.Name] = found["name"]
	}
	p.Duration(found["deadline"], &s.Deadline, leastDeadline, mostDeadline, wantDeadline)
	p.Duration(found["spread"], &s.Spread, time.Second, mostSpread, wantSpread)
	p.Duration(found["catch_up"], &s.CatchUp, leastCatchUp, mostCatchUp, wantCatchUp)
	p.limits(s, found["batch_limit"], found["batch_share"])
	p.Truth(found["shadow"], &s.Shadow)
	s.Reason = p.line(found["reason"])
	s.Notify = p.url(found["notify"])
	return s
}

func (p *parser) timing(found map[string]*yaml.Node) Timing {
	t := Timing{Days: EveryDay, Location: p.zone(found["timezone"]), Skip: p.skip, Extra: p.extra}
	p.each(found["at"], "at", "- \"20:00\"", wantAt, func(n *yaml.Node, text string) {
		at, ok := timeOfDay(text)
		switch {
		case !ok:
			p.Fault(n.Line, n.Column, "%s is not valid: write %s", yamlfile.Quoted(text), wantAt)
		case slices.Contains(t.At, at):
			p.Fault(n.Line, n.Column, "%s stands here twice: leave one", at)
		default:
			t.At = append(t.At, at)
		}
	}, "!!str", "!!int") // 2000 is a number to YAML, and 20:00 is to some
	slices.Sort(t.At)
	if len(t.At) > maxTimes {
		p.Fault(found["at"].Line, found["at"].Column, "there are %d times a day, more than %d: leave some out", len(t.At), maxTimes)
	}
	if n := found["days"]; n != nil {
		t.Days = 0
		p.each(n, "days", "- mon-fri", wantDays, func(n *yaml.Node, text string) {
			days, ok := weekdays(text)
			if !ok {
				p.Fault(n.Line, n.Column, "%s is not valid: write %s", yamlfile.Quoted(text), wantDays)
			}
			t.Days |= days
		}, "!!str")
	}
	if n := found["skip_days"]; n != nil {
		t.Skip = p.dates(n, "skip_days")
	}
	if n := found["extra_days"]; n != nil {
		t.Extra = p.dates(n, "extra_days")
	}
	if found["skip_days"] != nil || found["extra_days"] != nil {
		at := found["extra_days"]
		if at == nil {
			at = found["skip_days"]
		}
		p.apart(at, t.Skip, t.Extra)
	}
	return t
}

// apart refuses a day that is both skipped and extra.
func (p *parser) apart(n *yaml.Node, skip, extra map[Date]bool) {
	for _, d := range sorted(extra) {
		if skip[d] {
			p.Fault(n.Line, n.Column, "%s is in skip_days and in extra_days: leave one", d)
		}
	}
}

var timePattern = regexp.MustCompile(`^([01]?[0-9]|2[0-3]):([0-5][0-9])$`)

func timeOfDay(text string) (TimeOfDay, bool) {
	m := timePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	hour, _ := strconv.Atoi(m[1])
	minute, _ := strconv.Atoi(m[2])
	return TimeOfDay(60*hour + minute), true
}

// weekdays reads a day or a range of days, which may go over the end of the week.
func weekdays(text string) (days Weekdays, ok bool) {
	from, to, isRange := strings.Cut(strings.ToLower(text), "-")
	if !isRange {
		to = from
	}
	first, last := slices.Index(dayNames, strings.TrimSpace(from)), slices.Index(dayNames, strings.TrimSpace(to))
	if first < 0 || last < 0 {
		return 0, false
	}
	for i := first; ; i = (i + 1) % len(dayNames) {
		days |= 1 << weekday(i)
		if i == last {
			return days, true
		}
	}
}

// dates are single days and ranges of days; an empty list is none.
func (p *parser) dates(n *yaml.Node, what string) map[Date]bool {
	if n == nil || n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		return nil
	}
	all := map[Date]bool{}
	p.each(n, what, "- 2026-12-24", wantDate, func(n *yaml.Node, text string) {
		first, last, isRange := strings.Cut(text, "..")
		if !isRange {
			last = first
		}
		from, err := date(first)
		to, errTo := date(last)
		switch {
		case err != nil || errTo != nil:
			p.Fault(n.Line, n.Column, "%s is not valid: write %s", yamlfile.Quoted(text), wantDate)
			return
		case to.Before(from):
			p.Fault(n.Line, n.Column, "%s ends before it begins: write %s", yamlfile.Quoted(text), wantDate)
			return
		}
		for d := from; !d.After(to) && len(all) <= maxDays; d = d.AddDate(0, 0, 1) {
			all[dateOf(d)] = true
		}
	}, "!!str", "!!timestamp")
	if len(all) > maxDays {
		p.Fault(n.Line, n.Column, "%s has more than %d days: leave out those that are over", what, maxDays)
	}
	return all
}

func date(text string) (time.Time, error) {
	d, err := time.Parse(time.DateOnly, strings.TrimSpace(text))
	if err == nil && (d.Year() < 2000 || d.Year() > 2200) {
		err = fmt.Errorf("the year %d is out of range", d.Year())
	}
	return d, err
}

func sorted(days map[Date]bool) []Date {
	var all []Date
	for d := range days {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b Date) int { return a.naive().Compare(b.naive()) })
	return all
}

func (p *parser) zone(n *yaml.Node) *time.Location {
	name, ok := p.Scalar(n, wantZone, "!!str")
	if !ok {
		return time.UTC
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" { // that would be each worker's own
		p.Fault(n.Line, n.Column, "%s is not a time zone that is known: write %s", yamlfile.Quoted(name), wantZone)
		return time.UTC
	}
	return zone
}

func (p *parser) rule(n *yaml.Node) Rule {
	found := p.Fields(n, "a rule", nil, []string{"project", "account", "all_projects", "all", "status", "name", "older_than", "exclude", "protect",
		"limit", "order"})
	r := Rule{Order: selection.Oldest}
	if found == nil {
		return r
	}
	p.where(&r, n, found)
	p.Truth(found["all"], &r.All)
	p.each(found["status"], "status", "- running", wantStatus, func(n *yaml.Node, text string) {
		names, err := selection.ParseStatuses(text, p.statuses)
		p.wrong(n, err)
		r.Statuses = append(r.Statuses, names...)
	}, "!!str", "!!int")
	r.Names = p.globs(found["name"], "name", wantGlob)
	p.Duration(found["older_than"], &r.OlderThan, leastAge, mostAge, wantAge)
	r.Exclude = p.globs(found["exclude"], "exclude", wantExclude)
	p.protect(&r, found["protect"])
	p.Whole(found["limit"], &r.Limit, 1, mostLimit, "how many jobs of a project are stopped at most, from 1 on; leave it out for no limit")
	if order := p.OneOf(found["order"], selection.Oldest, selection.Newest); order != "" {
		r.Order = order
	}
	anyName := found["name"] == nil || slices.ContainsFunc(r.Names, func(glob string) bool { return strings.Trim(glob, "*?") == "" })
	if anyName && !r.All && p.anyStatus(r.Statuses, found["status"]) && found["older_than"] == nil {
		p.Fault(n.Line, n.Column, `the rule matches every job: write "all: true" if that is meant, or add status, name or older_than`)
	}
	return r
}

// anyStatus reports whether no job that can be stopped is kept out by its status: the rule
// has none, or all of one generation of the API. v1 has numbers for codes, v2 words.
func (p *parser) anyStatus(names []string, n *yaml.Node) bool {
	if n == nil {
		return true
	}
	known, missing := map[bool]bool{}, map[bool]bool{}
	for _, s := range p.statuses {
		if s.State == jobs.Active {
			_, err := strconv.Atoi(s.Code)
			known[err == nil] = true
			missing[err == nil] = missing[err == nil] || !slices.Contains(names, s.Name)
		}
	}
	return known[true] && !missing[true] || known[false] && !missing[false]
}

// where reads which projects a rule is for.
func (p *parser) where(r *Rule, n *yaml.Node, found map[string]*yaml.Node) {
	p.each(found["project"], "project", "- 0123456789abcdef0123456789abcdef", wantProject, func(n *yaml.Node, id string) {
		switch {
		case jobs.ValidateID("project", id) != nil:
			p.Fault(n.Line, n.Column, "%s is not valid: write %s", yamlfile.Quoted(id), wantProject)
		case slices.Contains(r.Projects, id):
			p.Fault(n.Line, n.Column, "the project stands here twice: leave one")
		default:
			r.Projects = append(r.Projects, id)
		}
	}, "!!str", "!!int", "!!float") // an id of digits, or of digits and an e, is a number to YAML
	p.each(found["account"], "account", "- team-a", wantAccount, func(n *yaml.Node, glob string) {
		if _, err := filepath.Match(glob, ""); err != nil || glob == "" {
			p.Fault(n.Line, n.Column, "%s is not valid: write %s", yamlfile.Quoted(glob), wantAccount)
		}
		r.Accounts = append(r.Accounts, glob)
	}, "!!str")
	p.Truth(found["all_projects"], &r.AllProjects)
	named := 0
	for _, one := range []bool{found["project"] != nil, found["account"] != nil, r.AllProjects} {
		if one {
			named++
		}
	}
	switch {
	case named == 0:
		p.Fault(n.Line, n.Column, `the rule names no project: add project, account or "all_projects: true"`)
	case named > 1:
		p.Fault(n.Line, n.Column, "project, account and all_projects exclude each other: leave one")
	}
}

func (p *parser) globs(n *yaml.Node, what, want string) (globs []string) {
	p.each(n, what, "- nightly-*", want, func(n *yaml.Node, glob string) {
		p.wrong(n, selection.CheckGlob(glob))
		globs = append(globs, glob)
	}, "!!str", "!!int", "!!float")
	return globs
}

func (p *parser) protect(r *Rule, n *yaml.Node) {
	path, ok := p.Scalar(n, wantProtect, "!!str")
	if !ok {
		return
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.folder, path)
	}
	if _, err := readProtected(path, time.Now()); err != nil {
		p.Fault(n.Line, n.Column, "the protected jobs can't be read: %s: write %s", plain.Line(err.Error(), 400), wantProtect)
	}
	r.Protect = path
}

// readProtected reads a file of protected jobs, which must be a regular file: opening
// a pipe would wait for its writer.
func readProtected(path string, now time.Time) (*selection.Protected, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return selection.ReadProtected(path, now)
}

// each calls do with a value, or with each of a list of them.
func (p *parser) each(n *yaml.Node, what, example, want string, do func(n *yaml.Node, text string), types ...string) {
	all := []*yaml.Node{n}
	if n != nil && n.Kind == yaml.SequenceNode {
		all = p.Items(n, what, example)
	}
	for _, one := range all {
		if text, ok := p.Scalar(one, want, types...); ok {
			do(one, text)
		}
	}
}

// wrong notes an error of a value.
func (p *parser) wrong(n *yaml.Node, err error) {
	if err != nil {
		p.Fault(n.Line, n.Column, "%s", plain.Line(err.Error(), 400))
	}
}

// isNone reports whether a value is the word that takes a limit away.
func isNone(n *yaml.Node) bool {
	return n != nil && n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Value == "none"
}

// limits reads how much a tick may stop.
func (p *parser) limits(s *Schedule, limit, share *yaml.Node) {
	if s.BatchLimit = NoLimit; !isNone(limit) {
		s.BatchLimit = 0
		p.Whole(limit, &s.BatchLimit, 1, mostLimit, "how many stops a tick may ask for, from 1 on, or none")
	}
	if s.BatchShare = NoLimit; !isNone(share) {
		s.BatchShare = 0
		p.Number(share, &s.BatchShare, 0.01, 100, "a percentage of the running jobs from 0.01 to 100, or none")
	}
}

// line is a text that the ledger can keep.
func (p *parser) line(n *yaml.Node) string {
	text, ok := p.Scalar(n, wantText, "!!str")
	if ok && (text == "" || len(text) > 256 || !plain.Fits(text)) {
		p.Fault(n.Line, n.Column, "%s is not valid: write %s", yamlfile.Quoted(text), wantText)
	}
	return text
}

func (p *parser) url(n *yaml.Node) string {
	text, ok := p.Scalar(n, wantURL, "!!str")
	if !ok {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		p.Fault(n.Line, n.Column, "this is not a URL that a report can be posted to: write %s", wantURL) // it may hold a password
		return ""
	}
	return text
}

package check

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"vizstop/internal/plain"
)

// mostLine and mostCell bound one line and one text of a table, in characters.
const (
	mostLine = 4096
	mostCell = 128
)

// Write writes the report for people.
func (r *Report) Write(out io.Writer) error {
	for _, line := range r.identities() {
		fmt.Fprintln(out, plain.Line(line, mostLine))
	}
	if err := r.writeProjects(out); err != nil {
		return err
	}
	fmt.Fprintln(out, plain.Line(r.Redis.line(), mostLine))
	if r.Workers.Alive != nil {
		fmt.Fprintln(out, r.Workers.line())
	}
	if r.Workers.Alive != nil || r.refuses {
		fmt.Fprintln(out, r.holdsLine())
	}
	for _, line := range r.remarks() {
		fmt.Fprintln(out, plain.Line(line, mostLine))
	}
	_, err := fmt.Fprintln(out, r.verdict())
	return err
}

// identities tell, by account, who we are.
func (r *Report) identities() (lines []string) {
	for _, p := range r.Projects {
		line := fmt.Sprintf("account %s: %s", p.Account, p.Identity)
		if !slices.Contains(lines, line) { // a password and an agency have one for each IAM endpoint
			lines = append(lines, line)
		}
	}
	return lines
}

func (r *Report) writeProjects(out io.Writer) error {
	if len(r.Projects) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		for i := range cells {
			cells[i] = plain.Line(cells[i], mostCell)
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	row("account", "region", "project", "api", "offered", "list", "get", "running", "clock", "result")
	for _, p := range r.Projects {
		for _, g := range p.Generations {
			if g.Offered == No && len(g.Failures) == 0 {
				continue // the other one is what the project has
			}
			row(p.Account, p.Region, cmp.Or(p.Name, p.ID), g.Name, string(g.Offered), string(g.List), string(g.Get), g.running(),
				difference(g.ClockDifference), g.state())
		}
	}
	return t.Flush()
}

func (g *Generation) running() string {
	switch {
	case g.Running == nil:
		return "-"
	case !g.CountedAll:
		return fmt.Sprintf("%d or more", *g.Running)
	}
	return fmt.Sprint(*g.Running)
}

// state is the last column of a line.
func (g *Generation) state() string {
	if len(g.Failures) > 0 {
		return "FAILED"
	}
	return "ok"
}

// difference is a difference of clocks, such as +2s.
func difference(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	return fmt.Sprintf("%+gs", *seconds)
}

func (r *Redis) line() string {
	if !r.Reachable {
		if len(r.Failures) > 0 {
			return "redis " + r.URL + ": FAILED"
		}
		return "redis " + r.URL + ": " + strings.Join(r.Notes, "; ")
	}
	words := map[Answer]string{Yes: "fit", No: "not fit: FAILED", Unknown: "no sign that it is not fit"}[r.Fit]
	return fmt.Sprintf("redis %s: answers, %s, clock %s", r.URL, words, difference(r.ClockDifference))
}

func (w *Workers) line() string {
	switch {
	case len(w.Failures) > 0:
		return "workers: none alive: FAILED"
	case *w.Alive == 0:
		return "workers: none alive"
	}
	return fmt.Sprintf("workers: %d alive", *w.Alive)
}

func (r *Report) holdsLine() string {
	switch {
	case r.Holds == nil:
		return "holds: not known"
	case r.holdsFailed():
		return fmt.Sprintf("holds: %d: FAILED", len(r.Holds))
	case len(r.Holds) == 0:
		return "holds: none"
	}
	return fmt.Sprintf("holds: %d", len(r.Holds))
}

// remarks are what failed and what else there is to know. What several projects of a
// region have in common is said once.
func (r *Report) remarks() (lines []string) {
	type remark struct{ place, text string }
	var order []remark
	projects := map[remark][]string{}
	for _, p := range r.Projects {
		for _, g := range p.Generations {
			for i, text := range slices.Concat(g.Failures, g.Notes) {
				word := "failed"
				if i >= len(g.Failures) {
					word = "note"
				}
				one := remark{fmt.Sprintf("%s: account %s, region %s, %s", word, p.Account, p.Region, g.Name), text}
				if projects[one] == nil {
					order = append(order, one)
				}
				projects[one] = append(projects[one], cmp.Or(p.Name, p.ID))
			}
		}
	}
	for _, one := range order {
		names := projects[one]
		if more := len(names) - mostNamed; more > 0 {
			names = append(names[:mostNamed:mostNamed], fmt.Sprintf("%d more", more))
		}
		lines = append(lines, fmt.Sprintf("%s, project %s: %s", one.place, strings.Join(names, ", "), one.text))
	}
	for _, text := range slices.Concat(r.Failures, r.Redis.Failures, r.Workers.Failures) {
		lines = append(lines, "failed: "+text)
	}
	for _, h := range r.Holds {
		word := "note: "
		if h.Failed {
			word = "failed: "
		}
		lines = append(lines, word+h.Words)
	}
	if r.Redis.Reachable {
		for _, text := range r.Redis.Notes {
			lines = append(lines, "note: redis: "+text)
		}
	}
	for _, text := range slices.Concat(r.Workers.Notes, r.Notes) {
		lines = append(lines, "note: "+text)
	}
	return lines
}

func (r *Report) verdict() string {
	if r.OK {
		return "nothing failed"
	}
	failed := 0
	for _, p := range r.Projects {
		if p.failed() {
			failed++
		}
	}
	names := r.others()
	if failed > 0 {
		names = append([]string{fmt.Sprintf("%d of %d projects", failed, len(r.Projects))}, names...)
	}
	return strings.Join(names, ", ") + " failed"
}

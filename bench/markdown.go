package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// markdown is RESULTS.md, whole.
func (r *results) markdown() string {
	var b strings.Builder
	b.WriteString("# Results\n\nWritten by `make bench` from `results.json`; do not edit. Numbers are medians, with " +
		"least to most in parentheses where there was more than one round. Everybody runs on one machine, with the " +
		"simulated API and Redis on it too: ratios within a round are the claim, times " +
		"are this machine's.\n\n")
	b.WriteString("| measure | work | goal | measured | |\n|---|---|---|---|---|\n")
	for _, m := range measures() {
		got := r.Measurements[m.name]
		if got == nil {
			continue
		}
		for _, g := range got.Goals {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", g.What, got.Work, g.limit(), g.value(), emphasis(g))
		}
	}
	for _, m := range measures() {
		if got := r.Measurements[m.name]; got != nil {
			got.section(&b)
		}
	}
	b.WriteString("\n## Again\n\n`make bench` measures everything, `bin/bench -only NAME -rounds N` one measure (")
	names := []string{}
	for _, m := range measures() {
		names = append(names, "`"+m.name+"`")
	}
	b.WriteString(strings.Join(names, ", ") + "), `make bench-go` the hot pieces with allocations per operation.\n")
	return b.String()
}

func emphasis(g goal) string {
	if g.met() {
		return "met"
	}
	return "**missed**"
}

// section is one measurement: how, what came out, at what cost.
func (m *measurement) section(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n%s. %s\n\n", m.Title, capital(m.Work), m.How)
	header, line := "| |", "|---|"
	for _, c := range m.Columns {
		header, line = header+" "+strings.TrimSpace(c.Title+", "+c.Unit)+" |", line+"---|"
		if c.Unit == "" {
			header = strings.Replace(header, c.Title+", |", c.Title+" |", 1)
		}
	}
	fmt.Fprintf(b, "%s\n%s\n", header, line)
	for _, r := range m.Rows {
		fmt.Fprintf(b, "| %s |", r.Name)
		for _, cell := range r.Cells {
			fmt.Fprintf(b, " %s |", spread(cell))
		}
		b.WriteString("\n")
	}
	m.costs(b)
	for _, p := range m.Plots {
		fmt.Fprintf(b, "\n![%s](plots/%s.svg)\n", p.Title, p.File)
	}
	fmt.Fprintf(b, "\n<sub>%s, in %s, load %s afterwards; %s.</sub>\n", m.Date, m.Took, m.Machine.Load, m.Machine)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// costs is the table of what each side has used.
func (m *measurement) costs(b *strings.Builder) {
	programs := map[string]bool{}
	for _, runs := range m.Runs {
		for _, r := range runs {
			for name := range r.CPU {
				programs[name] = true
			}
		}
	}
	names := slices.Sorted(maps.Keys(programs))
	if len(names) == 0 {
		return
	}
	b.WriteString("\n| processor time, s |")
	for _, name := range names {
		fmt.Fprintf(b, " %s |", name)
	}
	b.WriteString(" Redis commands | API calls |\n|---|" + strings.Repeat("---|", len(names)+2) + "\n")
	for _, r := range m.Rows {
		runs := m.Runs[r.Name]
		if len(runs) == 0 {
			continue
		}
		fmt.Fprintf(b, "| %s |", r.Name)
		for _, name := range names {
			fmt.Fprintf(b, " %s |", spread(over(runs, func(r *sideRun) float64 { return r.CPU[name] })))
		}
		fmt.Fprintf(b, " %s | %s |\n", spread(over(runs, (*sideRun).redisCommands)),
			spread(over(runs, func(r *sideRun) float64 { return r.calls(0) })))
	}
}

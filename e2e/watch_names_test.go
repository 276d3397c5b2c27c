package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// panelQuery is one query of a dashboard.
type panelQuery struct{ where, expr, legend string }

// dashboardQueries are those of every panel, and of the variables.
func dashboardQueries(t *testing.T) (all []panelQuery) {
	t.Helper()
	files, err := filepath.Glob("../deploy/grafana/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d struct {
			Templating struct {
				List []struct{ Name, Definition string }
			}
			Panels []struct {
				Title   string
				Targets []struct{ Expr, LegendFormat string }
			}
		}
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		name := filepath.Base(file)
		for _, v := range d.Templating.List {
			if m := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`).FindStringSubmatch(v.Definition); m != nil {
				all = append(all, panelQuery{name + ": variable " + v.Name, "group by (" + m[2] + ") (" + m[1] + ")", ""})
			}
		}
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				all = append(all, panelQuery{name + ": " + p.Title, q.Expr, q.LegendFormat})
			}
		}
	}
	return all
}

// filledIn puts values where Grafana does.
func filledIn(query, job string) string {
	return strings.NewReplacer("$__rate_interval", "30s", "$__range", "5m", "$job", job, "$instance", ".*").Replace(query)
}

// tryDashboards runs every query until it has something to show.
func tryDashboards(t *testing.T, p *prometheusServer, job string) {
	for _, q := range dashboardQueries(t) {
		if !strings.HasSuffix(q.where, "variable job") && !strings.HasSuffix(q.where, "variable instance") {
			for _, s := range namesIn(q.expr).selectors {
				text, recorded := s.String(), strings.Contains(s.metric, ":")
				if !strings.Contains(text, `job=~"$job"`) || !recorded && !strings.Contains(text, `instance=~"$instance"`) {
					t.Errorf("%s: %s doesn't heed the dashboard's variables", q.where, text)
				}
			}
		}
		query := filledIn(q.expr, job)
		await(t, q.where+": something to show for "+query, func() bool {
			values, problem := p.values(query)
			if problem != "" {
				t.Fatalf("%s: %s: %s", q.where, query, problem)
			}
			return len(values) > 0
		})
	}
}

// tryNames holds every name in rules and dashboards against what Prometheus has
// seen of workers.
func tryNames(t *testing.T, p *prometheusServer, job string) {
	check := func(where, expr, legend string) {
		for _, problem := range unknownNames(p, filledIn(expr, job), legend) {
			t.Errorf("%s: %s", where, problem)
		}
	}
	rules := p.rules()
	late := []string{"vizstop_oldest_stop_timestamp_seconds", "vizstop_schedule_next_tick_timestamp_seconds"} // all others are there from the start
	for _, r := range rules {
		if r.Type == "recording" {
			late = append(late, r.Name)
		}
	}
	for _, name := range late {
		await(t, name, func() bool { return len(p.series(name)) > 0 })
	}
	for _, r := range rules {
		check(r.Name, r.Query, "")
	}
	for _, q := range dashboardQueries(t) {
		check(q.where, q.expr, q.legend)
	}
	for expr, want := range map[string]string{
		`rate(vizstop_stop_outcome_total[5m])`:                                           "vizstop_stop_outcome_total{}",
		`sum(vizstop_stop_outcomes_total{outcom="stopped"})`:                             `vizstop_stop_outcomes_total{outcom="stopped"}`,
		`vizstop_stop_outcomes_total{outcome=~"gone|stoped"}`:                            `vizstop_stop_outcomes_total{outcome=~"stoped"}`,
		`vizstop_stop_outcomes_total{outcom!="gone"}`:                                    `vizstop_stop_outcomes_total{outcom!=""}`,
		`sum by (job, outcom) (vizstop_stop_outcomes_total)`:                             "label outcom",
		`vizstop_redis_up / on (instanse) vizstop_build_info`:                            "label instanse",
		`up + histogram_quantile(0.5, sum by (le) (rate(vizstop_stop_poll_bucket[5m])))`: "vizstop_stop_poll_bucket{}",
	} {
		if got := unknownNames(p, expr, ""); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: found %q, want one fault, about %s", expr, got, want)
		}
	}
}

var legendPattern = regexp.MustCompile(`\{\{(\w+)\}\}`)

// unknownNames says which metrics, labels and values of an expression and of
// its legend no worker has.
func unknownNames(p *prometheusServer, expr, legend string) (problems []string) {
	n := namesIn(expr)
	known := map[string]bool{}
	for _, s := range n.selectors {
		for _, d := range s.demands() {
			series := p.series(d.String())
			if len(series) == 0 {
				problems = append(problems, fmt.Sprintf("%s matches nothing that was scraped", d))
			}
			for _, labels := range series {
				for name := range labels {
					known[name] = true
				}
			}
		}
	}
	if len(problems) > 0 {
		return problems
	}
	for _, m := range legendPattern.FindAllStringSubmatch(legend, -1) {
		n.labels = append(n.labels, m[1])
	}
	for _, label := range n.labels {
		if !known[label] {
			problems = append(problems, fmt.Sprintf("label %s is on no series of %s", label, expr))
		}
	}
	return problems
}

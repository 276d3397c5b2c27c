// Package rules holds tests only: those of the rules beside it that need no
// running Prometheus. e2e tries them against one.
package rules

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"
)

// promtool runs promtool with files that match a pattern.
func promtool(t *testing.T, pattern string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is not installed: run `make deps`")
	}
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	if out, err := exec.Command(path, append(args, files...)...).CombinedOutput(); err != nil {
		t.Errorf("promtool %q: %v\n%s", args, err, out)
	}
}

func TestRules(t *testing.T) { promtool(t, "*_test.yml", "test", "rules") }

func TestConfig(t *testing.T) { promtool(t, "prometheus.yml", "check", "config") }

type rule struct {
	Record, Alert       string
	Labels, Annotations map[string]string
}

// rules are the recording and alerting rules beside this file.
func rules(t *testing.T) (all []rule) {
	t.Helper()
	for _, file := range []string{"vizstop.rules.yml", "vizstop.alerts.yml"} {
		var content struct {
			Groups []struct{ Rules []rule }
		}
		read(t, file, &content)
		for _, g := range content.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// Every alert has a test in which it fires and one in which it doesn't, every
// recording rule one that asks for it.
func TestEveryRuleIsTested(t *testing.T) {
	type tests struct {
		Tests []struct {
			Alerts []struct {
				Name string `yaml:"alertname"`
				Exp  []struct {
					Labels map[string]string `yaml:"exp_labels"`
				} `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
			Queries []struct{ Expr string } `yaml:"promql_expr_test"`
		}
	}
	var alerts, records tests
	read(t, "vizstop.alerts_test.yml", &alerts)
	read(t, "vizstop.rules_test.yml", &records)
	fires, quiet, asked := map[string]bool{}, map[string]bool{}, ""
	for _, test := range alerts.Tests {
		for _, a := range test.Alerts {
			quiet[a.Name] = quiet[a.Name] || len(a.Exp) == 0
			for _, e := range a.Exp {
				fires[a.Name+e.Labels["burn"]] = true
			}
		}
	}
	for _, test := range records.Tests {
		for _, q := range test.Queries {
			asked += q.Expr + "\n"
		}
	}
	for _, r := range rules(t) {
		switch {
		case r.Record != "" && !strings.Contains(asked, r.Record+","):
			t.Errorf("%s has no test", r.Record)
		case r.Alert != "" && !fires[r.Alert+r.Labels["burn"]]:
			t.Errorf("%s %s: no test in which it fires", r.Alert, r.Labels["burn"])
		case r.Alert != "" && !quiet[r.Alert]:
			t.Errorf("%s: no test in which it doesn't fire", r.Alert)
		}
	}
}

// Who is woken up by an alert finds what it means and what to do.
func TestEveryAlertHasARunbook(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, s := range regexp.MustCompile(`(?m)^### `).Split(string(page), -1)[1:] {
		name, text, _ := strings.Cut(s, "\n")
		text, _, _ = strings.Cut(text, "\n## ")
		sections[name] = text
	}
	alerts := map[string]bool{}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		alerts[r.Alert] = true
		if s := r.Labels["severity"]; !slices.Contains([]string{"critical", "warning"}, s) {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		for _, a := range []string{"summary", "description"} {
			if strings.TrimSpace(r.Annotations[a]) == "" {
				t.Errorf("%s: no %s", r.Alert, a)
			}
		}
		if got, want := r.Annotations["runbook_url"], "docs/operations.md#"+strings.ToLower(r.Alert); got != want {
			t.Errorf("%s: runbook_url %q, want %q", r.Alert, got, want)
		}
		for _, part := range []string{"**Means.**", "**Look.**", "**Do.**", "\n```\n"} {
			if !strings.Contains(sections[r.Alert], part) {
				t.Errorf("the runbook of %s in docs/operations.md has no %q", r.Alert, part)
			}
		}
	}
	for name := range sections {
		if strings.HasPrefix(name, "Vizstop") && !alerts[name] {
			t.Errorf("docs/operations.md explains %s, and there is no such alert", name)
		}
	}
}

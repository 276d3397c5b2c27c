package check

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the PrometheusRule anew from deploy/prometheus")

const ruleFile = "deploy/kubernetes/components/monitoring/prometheusrule.yaml"

const ruleHead = `# Made from deploy/prometheus/vizstop.{rules,alerts}.yml by "make manifests". Don't change it here.
`

// The rules of the Prometheus Operator are those of deploy/prometheus, word for
// word. kustomize can't make them of plain rule files, so "make manifests" does.
func TestPrometheusRule(t *testing.T) {
	target := filepath.Join(repository, ruleFile)
	groups := []any{}
	for _, name := range []string{"vizstop.rules.yml", "vizstop.alerts.yml"} {
		file := filepath.Join(repository, "deploy/prometheus", name)
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var rules struct {
			Groups []any `json:"groups"`
		}
		if err := yaml.UnmarshalStrict(content, &rules); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		groups = append(groups, rules.Groups...)
	}
	rule := map[string]any{
		"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule",
		"metadata": map[string]any{"name": "vizstop", "labels": map[string]any{"app.kubernetes.io/name": "vizstop"}},
		"spec":     map[string]any{"groups": groups},
	}
	if *update {
		content, err := yaml.Marshal(rule)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, append([]byte(ruleHead), content...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(target)
	if err != nil {
		t.Fatalf("%v: run make manifests", err)
	}
	var got map[string]any
	if err := yaml.Unmarshal(content, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, rule) || !strings.HasPrefix(string(content), ruleHead) {
		t.Errorf("%s is not what deploy/prometheus says: run make manifests", ruleFile)
	}
	kustomization := readYAML(t, filepath.Join(filepath.Dir(target), "kustomization.yaml"))
	if !slices.Contains(texts(list(kustomization, "resources")), filepath.Base(target)) {
		t.Errorf("%s is not among the resources of its kustomization.yaml", ruleFile)
	}
}

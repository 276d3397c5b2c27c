package e2e

import (
	"slices"
	"testing"
)

func TestNamesInAnExpression(t *testing.T) {
	t.Parallel()
	got := namesIn(`histogram_quantile(0.5, sum by (le, kind) (rate(a_bucket{job=~"x|y", le=~"300(\\.0)?"}[5m])))
  / on (job) group_left (version) b unless 1e-6 * max_over_time(c:d{e!="}"}[1d] offset 5m) > bool (2 < +Inf)`)
	if want := []string{"le", "kind", "job", "version"}; !slices.Equal(got.labels, want) {
		t.Errorf("labels %q, want %q", got.labels, want)
	}
	var selectors, demands []string
	for _, s := range got.selectors {
		selectors = append(selectors, s.String())
		for _, d := range s.demands() {
			demands = append(demands, d.String())
		}
	}
	if want := []string{`a_bucket{job=~"x|y", le=~"300(\\.0)?"}`, `b{}`, `c:d{e!="}"}`}; !slices.Equal(selectors, want) {
		t.Errorf("selectors %q, want %q", selectors, want)
	}
	want := []string{`a_bucket{job=~"x", le=~"300(\\.0)?"}`, `a_bucket{job=~"y", le=~"300(\\.0)?"}`, `b{}`, `c:d{e!=""}`}
	if !slices.Equal(demands, want) {
		t.Errorf("demands %q, want %q", demands, want)
	}
}

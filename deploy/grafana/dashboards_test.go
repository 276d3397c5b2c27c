// Package dashboards holds tests only: whether the dashboards beside it are what
// Grafana imports and people can read. e2e runs their queries.
package dashboards

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

type source struct{ Type, UID string }

type dashboard struct {
	UID, Title, Description string
	SchemaVersion           int
	Links                   []struct{ URL string }
	Templating              struct {
		List []struct {
			Name, Type string
			Datasource source
		}
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  grid
	Datasource               source
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Options                  struct{ YAxis struct{ Unit string } }
	Targets                  []target
}

type grid struct{ X, Y, W, H int }

func (g grid) overlaps(o grid) bool {
	return g.X < o.X+o.W && o.X < g.X+g.W && g.Y < o.Y+o.H && o.Y < g.Y+g.H
}

type target struct {
	RefID, Expr, LegendFormat, Format string
	Datasource                        source
	Instant, Range                    bool
}

var chosen = source{Type: "prometheus", UID: "${datasource}"}

// dashboards reads every dashboard by its file's name.
func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob("dashboards/*.json")
	if err != nil || len(files) != 2 {
		t.Fatalf("dashboards: %q, %v; want two", files, err)
	}
	all := map[string]dashboard{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[filepath.Base(file)] = d
	}
	return all
}

func TestDashboards(t *testing.T) {
	all := dashboards(t)
	uids := map[string]string{}
	for file, d := range all {
		if d.UID == "" || d.Title == "" || d.Description == "" || d.SchemaVersion != 39 || uids[d.UID] != "" {
			t.Errorf("%s: uid %q (also of %q), title %q, description %q, schema version %d", file, d.UID, uids[d.UID], d.Title, d.Description, d.SchemaVersion)
		}
		uids[d.UID] = file
		var variables []string
		for _, v := range d.Templating.List {
			variables = append(variables, v.Name)
			if v.Type == "query" && v.Datasource != chosen {
				t.Errorf("%s: variable %s asks %v, want %v", file, v.Name, v.Datasource, chosen)
			}
		}
		if want := []string{"datasource", "job", "instance", "console"}; !slices.Equal(variables, want) {
			t.Errorf("%s: variables %q, want %q", file, variables, want)
		}
	}
	for file, d := range all {
		for _, link := range d.Links {
			if link.URL == "${console}/" { // a variable says where it is
				continue
			}
			if uid, ok := strings.CutPrefix(link.URL, "/d/"); !ok || uids[uid] == "" {
				t.Errorf("%s: a link to %s, where no dashboard is", file, link.URL)
			}
		}
	}
}

func TestPanels(t *testing.T) {
	for file, d := range dashboards(t) {
		ids := map[int]bool{}
		for i, p := range d.Panels {
			if ids[p.ID] || p.Title == "" || p.GridPos.W < 1 || p.GridPos.H < 1 || p.GridPos.X < 0 || p.GridPos.X+p.GridPos.W > 24 {
				t.Errorf("%s: panel %d %q at %+v: id twice, no title, or outside of the grid", file, p.ID, p.Title, p.GridPos)
			}
			ids[p.ID] = true
			for _, other := range d.Panels[:i] {
				if p.GridPos.overlaps(other.GridPos) {
					t.Errorf("%s: %q lies on %q", file, p.Title, other.Title)
				}
			}
			if p.Type != "row" {
				checkPanel(t, file+": "+p.Title, p)
			}
		}
	}
}

func checkPanel(t *testing.T, name string, p panel) {
	if !strings.HasSuffix(p.Description, ".") || p.FieldConfig.Defaults.Unit == "" || p.Datasource != chosen || len(p.Targets) == 0 {
		t.Errorf("%s: description %q, unit %q, data source %v, %d queries", name, p.Description, p.FieldConfig.Defaults.Unit, p.Datasource, len(p.Targets))
	}
	if p.Type == "heatmap" && p.Options.YAxis.Unit == "" {
		t.Errorf("%s: the axis has no unit", name)
	}
	refs := map[string]bool{}
	for _, q := range p.Targets {
		if refs[q.RefID] || q.RefID == "" || q.LegendFormat == "" || q.Datasource != chosen || q.Instant == q.Range {
			t.Errorf("%s: query %+v: refId, legend, data source, or whether it is instant", name, q)
		}
		refs[q.RefID] = true
		if (p.Type == "heatmap") != (q.Format == "heatmap") {
			t.Errorf("%s: format %q", name, q.Format)
		}
		checkWindows(t, name, q)
	}
}

// checkWindows wants rates over Grafana's own window, which follows the zoom
// and the scrape interval, and totals over the time shown.
func checkWindows(t *testing.T, name string, q target) {
	for _, m := range regexp.MustCompile(`\[([^\]]*)\]`).FindAllStringSubmatch(q.Expr, -1) {
		want := "$__rate_interval"
		if q.Instant {
			want = "$__range"
		}
		if m[1] != want {
			t.Errorf("%s: window %s in %s, want %s", name, m[1], q.Expr, want)
		}
	}
}

package schedules

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v4"

	"vizstop/internal/schematest"
	"vizstop/internal/settings"
	"vizstop/internal/yamlfile"
)

const example = "../../docs/schedules.example.yaml"

var wantLine = regexp.MustCompile(`(?m)^# want (.*)\n`)

func parse(t testing.TB, text string) *File {
	t.Helper()
	f, err := Parse("schedules.yaml", []byte(text), settings.Statuses())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func archive(t *testing.T) []txtar.File {
	t.Helper()
	all, err := txtar.ParseFile("testdata/bad.txtar")
	if err != nil {
		t.Fatal(err)
	}
	return all.Files
}

// Every fault is told, with its place and what to write; and no secret.
func TestBadFiles(t *testing.T) {
	for _, bad := range archive(t) {
		t.Run(bad.Name, func(t *testing.T) {
			_, err := Parse("testdata/schedules.yaml", bad.Data, settings.Statuses())
			e, ok := errors.AsType[*yamlfile.Error](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			var left []string
			for _, m := range wantLine.FindAllSubmatch(bad.Data, -1) {
				left = append(left, string(m[1]))
			}
			for _, f := range e.Faults {
				got := fmt.Sprintf("%d:%d: %s", f.Line, f.Column, f.Text)
				i := slices.IndexFunc(left, func(want string) bool { return strings.HasPrefix(got, want) })
				if i < 0 {
					t.Errorf("not wanted: %s\n%s", got, f.Source)
					continue
				}
				left = slices.Delete(left, i, i+1)
			}
			for _, want := range left {
				t.Errorf("missing: %s", want)
			}
			if strings.Contains(e.Error(), "hunter2") {
				t.Errorf("a secret is shown in:\n%s", e)
			}
		})
	}
}

// The line of a fault is shown as it stands, unless it may hold a secret.
func TestSourceIsShownAsItStands(t *testing.T) {
	for line, want := range map[string]string{
		`name: "[!~]*"`:   `name: "[!~]*"`,
		`name: &a x`:      `name: &a x`,
		`name: [!x tmp]`:  `name: [!x tmp]`,
		`name: *hunter2`:  `name: *` + "*******",
		`name: !hunter2x`: `name: !` + "********",
	} {
		_, err := Parse("schedules.yaml", []byte("revision: 1\nschedules: [{rule: {\n"+line+"\n}}]"), settings.Statuses())
		e, ok := errors.AsType[*yamlfile.Error](err)
		if !ok {
			t.Fatalf("%s: %v", line, err)
		}
		if i := slices.IndexFunc(e.Faults, func(f yamlfile.Fault) bool { return f.Line == 3 }); i < 0 || !strings.HasPrefix(e.Faults[i].Source, "     3 | "+want+"\n") {
			t.Errorf("%s is shown as\n%v", line, err)
		}
	}
}

func TestExample(t *testing.T) {
	f, err := Load(example, settings.Statuses())
	if err != nil {
		t.Fatal(err)
	}
	evening, weekend, idle := f.Find("evening"), f.Find("weekend"), f.Find("idle-v2")
	if f.Revision != 1 || len(f.Schedules) != 3 || f.Find("none") != nil || len(f.Hash) != 12 {
		t.Fatalf("read %+v", f)
	}
	if got := evening.Timing.String(); got != "20:00, mon-fri, Asia/Shanghai" {
		t.Errorf("evening is at %s", got)
	}
	if len(evening.Skip) != 8 || !evening.Extra[Date{2026, 10, 10}] || evening.CatchUp != time.Hour || evening.BatchShare != 90 || evening.BatchLimit != 0 {
		t.Errorf("evening is %+v", evening)
	}
	if evening.Protect != "../../docs/protected.example.txt" || evening.OlderThan != 8*time.Hour {
		t.Errorf("its rule is %+v", evening.Rule)
	}
	if got := weekend.Timing.String(); got != "08:00 and 20:00, sat, sun, Europe/Berlin" || len(weekend.Skip) != 0 || len(weekend.Extra) != 1 {
		t.Errorf("weekend is at %s, without %v, and on %v", got, weekend.Skip, weekend.Extra)
	}
	if weekend.BatchLimit != 500 || weekend.Deadline != 2*time.Hour || weekend.Spread != 10*time.Minute || weekend.Order != "newest" || !weekend.All {
		t.Errorf("weekend is %+v", weekend)
	}
	if !idle.Shadow || idle.Days != EveryDay || len(idle.Statuses) != 2 {
		t.Errorf("idle-v2 is %+v", idle)
	}
}

func TestLimitsTakenAway(t *testing.T) {
	f := parse(t, "revision: 3\nschedules: [{name: a, at: 9:05, timezone: UTC, days: [sat-mon, wed], batch_limit: none, batch_share: none, rule: {project: [123, 12e5], all: true, name: '*'}}]")
	s := f.Schedules[0]
	if s.BatchLimit != NoLimit || s.BatchShare != NoLimit || s.At[0].String() != "09:05" || s.Days.String() != "mon, wed, sat, sun" {
		t.Errorf("read %+v %s", s, s.Days)
	}
	if !slices.Equal(s.Projects, []string{"123", "12e5"}) {
		t.Errorf("projects are %q", s.Projects)
	}
}

// The file of protected jobs is read at each tick, with the zone's dates.
func TestProtectedIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(dir+"/keep.txt", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a until 2026-12-24")
	f, err := Parse(dir+"/schedules.yaml", []byte("revision: 1\nschedules: [{name: a, at: 9:05, timezone: Asia/Shanghai, rule: {project: p, all: true, protect: keep.txt}}]"), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := f.Schedules[0]
	for now, want := range map[string]bool{"2026-12-24T15:59:59Z": true, "2026-12-24T16:00:00Z": false} {
		at, _ := time.Parse(time.RFC3339, now)
		rule, err := s.Selection(at, s.Location)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := rule.Protect.Protects("1", "a"); got != want {
			t.Errorf("at %s the job is protected: %v", now, got)
		}
	}
	write("a until never")
	if _, err := s.Selection(time.Now(), s.Location); err == nil {
		t.Error("a bad file of protected jobs was taken")
	}
}

func TestBatchID(t *testing.T) {
	tick := time.Date(2026, 11, 26, 20, 0, 0, 0, time.FixedZone("", 8*3600))
	if got := BatchID("evening", tick); got != "sched-evening-20261126T120000Z" {
		t.Errorf("the batch is %s", got)
	}
	if n := len(BatchID(strings.Repeat("a", 32), tick)); n > 64 {
		t.Errorf("a batch id may have 64 characters, not %d", n)
	}
}

// plainly is YAML as an editor has it: dates are texts.
func plainly(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return plainly(n.Content[0])
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plainly(n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		all := []any{}
		for _, one := range n.Content {
			all = append(all, plainly(one))
		}
		return all
	}
	var v any
	if n.Tag == "!!timestamp" || n.Decode(&v) != nil {
		return n.Value
	}
	if i, ok := v.(int); ok {
		return float64(i)
	}
	return v
}

func fits(t *testing.T, schema schematest.Schema, text []byte) error {
	t.Helper()
	var n yaml.Node
	if err := yaml.Load(text, &n); err != nil {
		return err
	}
	return schema.Check("#", plainly(&n))
}

func readSchema(t *testing.T) schematest.Schema {
	t.Helper()
	schema, err := schematest.Read("../../docs/schedules.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// The schema refuses what Parse refuses, but for what only a program can see, and
// takes what Parse takes.
func TestSchemaAgreesWithParse(t *testing.T) {
	schema := readSchema(t)
	for _, bad := range archive(t) {
		if err := fits(t, schema, bad.Data); (err == nil) != bytes.Contains(bad.Data, []byte("# schema: fits\n")) {
			t.Errorf("%s: the schema says %v", bad.Name, err)
		}
	}
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	if err := fits(t, schema, text); err != nil {
		t.Errorf("the schema says %v of the example", err)
	}
}

// Parse and the schema know the same fields at every level.
func TestSchemaKnowsTheFields(t *testing.T) {
	schema := readSchema(t)
	_, err := Parse("schedules.yaml", []byte("x: 1\nschedules: [{x: 1, rule: {x: 1}}]"), nil)
	e, ok := errors.AsType[*yamlfile.Error](err)
	if !ok {
		t.Fatal(err)
	}
	known := regexp.MustCompile(`^(\w+ \w+) has no field "x": write (.*)$`)
	got := map[string][]string{}
	for _, f := range e.Faults {
		if m := known.FindStringSubmatch(f.Text); m != nil {
			got[m[1]] = strings.Split(strings.ReplaceAll(m[2], " or ", ", "), ", ")
		}
	}
	for what, path := range map[string][]string{"the file": {}, "a schedule": {"$defs", "schedule"}, "a rule": {"$defs", "rule"}} {
		want := slices.Sorted(maps.Keys(schema.At(append(path, "properties")...)))
		slices.Sort(got[what])
		if !slices.Equal(got[what], want) {
			t.Errorf("%s: Parse knows %q, the schema %q", what, got[what], want)
		}
	}
}

// The README's recipe is a file that is right, and so are those of deploy.
func TestRecipes(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	recipe := regexp.MustCompile("(?s)```yaml\n(revision: .*?)```").FindSubmatch(readme)
	if recipe == nil {
		t.Fatal("the README has no schedules file")
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/protected.txt", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Parse(dir+"/schedules.yaml", recipe[1], settings.Statuses())
	if err != nil {
		t.Fatal(err)
	}
	if s := f.Find("evening"); s == nil || s.OlderThan != 8*time.Hour || s.Protect == "" {
		t.Errorf("the recipe is %+v", s)
	}
	for _, folder := range []string{"systemd", "compose", "kubernetes/base", "kubernetes/overlays/example"} {
		if _, err := Load("../../deploy/"+folder+"/schedules.yaml", settings.Statuses()); err != nil {
			t.Error(err)
		}
	}
}

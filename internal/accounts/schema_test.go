package accounts

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"vizstop/internal/schematest"
)

func readSchema(t *testing.T) schematest.Schema {
	t.Helper()
	schema, err := schematest.Read("../../docs/accounts.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// fits reports whether a file fits the schema, as an editor would say.
func fits(schema schematest.Schema, text []byte) error {
	var v any
	if err := yaml.Load(text, &v); err != nil {
		return err
	}
	asJSON, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var decoded any
	if err := json.Unmarshal(asJSON, &decoded); err != nil {
		return err
	}
	return schema.Check("#", decoded)
}

// The schema refuses what Parse refuses, but for what only a program can see,
// and takes what Parse takes.
func TestSchemaAgreesWithParse(t *testing.T) {
	schema := readSchema(t)
	for _, bad := range badFiles(t) {
		if err := fits(schema, bad.text); (err == nil) != bad.fits {
			t.Errorf("%s: the schema says %v", bad.name, err)
		}
	}
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	for _, good := range []string{string(text), manyProjects(10)} {
		if err := fits(schema, []byte(good)); err != nil {
			t.Errorf("the schema says %v of\n%.300s", err, good)
		}
	}
}

// Parse and the schema know the same fields at every level.
func TestSchemaKnowsTheFields(t *testing.T) {
	schema := readSchema(t)
	e := faultsOf(t, []byte(`x: 1
accounts:
- x: 1
  credentials: {x: 1}
  regions: [{x: 1, projects: [{x: 1}]}]
- agency: {x: 1}
`))
	known := regexp.MustCompile(`^(\w+ ?\w*) has no field "x": write (.*)$`)
	got := map[string][]string{}
	for _, f := range e.Faults {
		if m := known.FindStringSubmatch(f.Text); m != nil {
			got[m[1]] = strings.Split(strings.ReplaceAll(m[2], " or ", ", "), ", ")
		}
	}
	for what, path := range map[string][]string{
		"the file": {}, "an account": {"$defs", "account"}, "credentials": {"$defs", "credentials"},
		"an agency": {"$defs", "agency"}, "a region": {"$defs", "region"}, "a project": {"$defs", "project"},
	} {
		want := slices.Sorted(maps.Keys(schema.At(append(path, "properties")...)))
		slices.Sort(got[what])
		if !slices.Equal(got[what], want) {
			t.Errorf("%s: Parse knows %q, the schema %q", what, got[what], want)
		}
		if schema.At(path...)["additionalProperties"] != false {
			t.Errorf("%s is open in the schema", what)
		}
	}
}

package principals

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"vizstop/internal/schematest"
	"vizstop/internal/yamlfile"
)

const example = "../../docs/principals.example.yaml"

// hashN is a hash that no token has.
func hashN(n int) string { return fmt.Sprintf("sha256:%064x", n) }

func TestExample(t *testing.T) {
	t.Parallel()
	f, err := Load(example)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range f.All() {
		got = append(got, fmt.Sprintf("%s %s %d projects, certificate %t, expires %d", p.Name, p.Role, len(p.Projects), p.Certificate, max(0, p.Expires.Unix())))
	}
	want := []string{
		"alice operate 0 projects, certificate false, expires 0",
		"nightly-training ask 2 projects, certificate false, expires 0",
		fmt.Sprintf("auditor read 0 projects, certificate false, expires %d", time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC).Unix()),
		"prometheus read 0 projects, certificate true, expires 0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if len(f.byHash) != 4 {
		t.Errorf("%d tokens", len(f.byHash))
	}
}

// badFiles are refused with these faults, as "line:column: beginning". fits marks what the JSON Schema cannot refuse.
var badFiles = []struct {
	name, text string
	want       []string
	fits       bool
}{
	{"empty", "", []string{`1:1: the file is empty: write a list of principals, below "principals:"`}, false},
	{"unknown field", "principals: [{name: a, role: read, certificate: true, rolle: x}]\n", []string{`1:55: a principal has no field "rolle": write name, role,`}, false},
	{"unknown role", "principals:\n- {name: a, role: admin, certificate: true}\n", []string{`2:19: "admin" is not valid: write read, ask or operate`}, false},
	{"no role", "principals:\n- {name: a, certificate: true}\n", []string{`2:3: a principal needs role: add it`}, false},
	{"no way in", "principals:\n- {name: a, role: read}\n", []string{`2:3: the principal has no way in: add token_hash, what "console token NAME" prints`}, false},
	{"no certificate", "principals:\n- {name: a, role: read, certificate: false}\n", []string{`2:3: the principal has no way in`}, false},
	{"two of a name", "principals:\n- {name: a, role: read, certificate: true}\n- {name: a, role: ask, certificate: true}\n",
		[]string{`3:10: the name stands in line 2 already`}, true},
	{"same token", "principals:\n- {name: a, role: read, token_hash: \"" + hashN(1) + "\"}\n- name: b\n  role: ask\n  token_hash: [\"" + hashN(1) + "\"]\n",
		[]string{`5:16: the same token stands in line 2 already`}, true},
	{"five tokens", "principals:\n- name: a\n  role: read\n  token_hash: [\"" + strings.Join([]string{hashN(1), hashN(2), hashN(3), hashN(4), hashN(5)}, `", "`) + "\"]\n",
		[]string{`4:15: these are more than 4 tokens`}, true},
	{"no hash", "principals:\n- {name: a, role: read, token_hash: hunter2hunter2}\n", []string{`2:37: this is no hash of a token: write what "console token NAME" prints`}, false},
	{"capital hash", "principals:\n- {name: a, role: read, token_hash: \"sha256:" + strings.Repeat("A", 64) + "\"}\n", []string{`2:37: this is no hash of a token`}, false},
	{"forging name", "principals:\n- {name: \"a\\nlevel=ERROR\", role: read, certificate: true}\n", []string{`2:10: "a`}, false},
	{"name with a colon", "principals:\n- {name: \"a:b\", role: read, certificate: true}\n", []string{`2:10: "a:b" is not valid`}, false},
	{"right to left", "principals:\n- {name: \"a\\u202eb\", role: read, certificate: true}\n", []string{`2:10: "a`}, false},
	{"everybody's name", "principals:\n- {name: local, role: read, certificate: true}\n", []string{`2:10: the name "local" is everybody's`}, true},
	{"bad project", "principals:\n- {name: a, role: read, certificate: true, projects: [a/b]}\n", []string{`2:55: "a/b" is not valid: write a project id`}, false},
	{"no projects", "principals:\n- {name: a, role: read, certificate: true, projects: []}\n", []string{`2:54: projects is empty`}, false},
	{"project twice", "principals:\n- {name: a, role: read, certificate: true, projects: [p, p]}\n", []string{`2:58: the project stands in this list twice`}, true},
	{"bad day", "principals:\n- {name: a, role: read, certificate: true, expires: 2027-02-30}\n", []string{`2:53: "2027-02-30" is not valid: write a day such as`}, true},
	{"bad time", "principals:\n- {name: a, role: read, certificate: true, expires: tomorrow}\n", []string{`2:53: "tomorrow" is not valid`}, false},
	{"all at once", "principals:\n- {name: \"\", role: x, token_hash: y, projects: [\" \"]}\n", []string{`2:10: `, `2:20: `, `2:35: `, `2:49: `}, false},
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	schema, err := schematest.Read("../../docs/principals.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range badFiles {
		_, err := Parse("principals.yaml", []byte(bad.text))
		e, ok := errors.AsType[*yamlfile.Error](err)
		if !ok {
			t.Errorf("%s: %v", bad.name, err)
			continue
		}
		var got []string
		for _, f := range e.Faults {
			got = append(got, fmt.Sprintf("%d:%d: %s", f.Line, f.Column, f.Text))
		}
		if !slices.EqualFunc(got, bad.want, strings.HasPrefix) {
			t.Errorf("%s: got %q, want %q", bad.name, got, bad.want)
		}
		if err := fits(schema, bad.text); (err == nil) != bad.fits {
			t.Errorf("%s: the schema says %v", bad.name, err)
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), strings.Repeat("A", 16)) {
			t.Errorf("%s: the error shows what may be a secret: %v", bad.name, err)
		}
	}
}

// Wherever a token was put, no error shows it.
func TestErrorsShowNoToken(t *testing.T) {
	t.Parallel()
	token, _ := NewToken()
	for _, text := range []string{
		"TOKEN", "- TOKEN", "principals: TOKEN", "principals: [TOKEN]", "principals: [{name: TOKEN}]", "principals: [{TOKEN: a}]",
		"principals: [{name: a, role: TOKEN}]", "principals: [{name: a, role: read, token: TOKEN}]", "principals: [{name: a, role: read, token_hash: TOKEN}]",
		"principals: [{name: a, role: read, token_hash: [TOKEN]}]", "principals: [{name: a, role: read, token_hash: {TOKEN: x}}]",
		"principals: [{name: a, role: read, certificate: TOKEN}]", "principals: [{name: a, role: read, projects: [TOKEN]}]",
		"principals: [{name: a, role: read, expires: TOKEN}]", "principals: [*TOKEN]", "principals: [!TOKEN a]", "principals: [\"TOKEN", "principals: [{name: 'a TOKEN', role: read}]",
		"principals:\n- name: a\n  role: read\n  tokn_hash: TOKEN\n",
	} {
		_, err := Parse("principals.yaml", []byte(strings.ReplaceAll(text, "TOKEN", token)))
		if err == nil {
			t.Errorf("%s: no fault", text)
		} else if strings.Contains(err.Error(), token[4:14]) {
			t.Errorf("%s: the error shows the token: %v", text, err)
		}
	}
}

func fits(schema schematest.Schema, text string) error {
	var v any
	if err := yaml.Load([]byte(text), &v); err != nil {
		return err
	}
	asJSON, err := json.Marshal(v)
	if err != nil {
		return err
	}
	asJSON = regexp.MustCompile(`"(\d{4}-\d{2}-\d{2})T00:00:00Z"`).ReplaceAll(asJSON, []byte(`"$1"`)) // the library makes a time of a day
	var decoded any
	if err := json.Unmarshal(asJSON, &decoded); err != nil {
		return err
	}
	return schema.Check("#", decoded)
}

// The schema takes the example, and knows the same fields.
func TestSchema(t *testing.T) {
	t.Parallel()
	schema, err := schematest.Read("../../docs/principals.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	if err := fits(schema, string(text)); err != nil {
		t.Errorf("the schema says %v of the example", err)
	}
	_, err = Parse("x", []byte("principals: [{x: 1}]"))
	m := regexp.MustCompile(`no field "x": write (.*)\n`).FindStringSubmatch(err.Error())
	if m == nil {
		t.Fatalf("the error is %v", err)
	}
	got := strings.Split(strings.ReplaceAll(m[1], " or ", ", "), ", ")
	slices.Sort(got)
	if want := slices.Sorted(maps.Keys(schema.At("$defs", "principal", "properties"))); !slices.Equal(got, want) {
		t.Errorf("Parse knows %q, the schema %q", got, want)
	}
}

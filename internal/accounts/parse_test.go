package accounts

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"vizstop/internal/plain"
	"vizstop/internal/yamlfile"
)

const example = "../../docs/accounts.example.yaml"

// badFile is a file that is refused.
type badFile struct {
	name  string
	text  []byte
	wants []string // "line:column: text", whole or its beginning
	fits  bool     // the schema cannot refuse it
}

var wantLine = regexp.MustCompile(`(?m)^# want (.*)\n`)

func badFiles(t testing.TB) []badFile {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/bad.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var all []badFile
	for _, f := range archive.Files {
		bad := badFile{name: f.Name, fits: bytes.Contains(f.Data, []byte("# schema: fits\n"))}
		for _, m := range wantLine.FindAllSubmatch(f.Data, -1) {
			bad.wants = append(bad.wants, string(m[1]))
		}
		bad.text = bytes.Replace(f.Data, []byte("DEEP"), bytes.Repeat([]byte("["), 20000), 1)
		all = append(all, bad)
	}
	return all
}

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("accounts.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func faultsOf(t *testing.T, text []byte) *yamlfile.Error {
	t.Helper()
	f, err := Parse("accounts.yaml", text)
	e, ok := errors.AsType[*yamlfile.Error](err)
	if !ok || f != nil {
		t.Fatalf("got %v, %v; want an *yamlfile.Error", f, err)
	}
	return e
}

// Every fault is told, with its place, what to write and its line; and no secret.
func TestBadFiles(t *testing.T) {
	for _, bad := range badFiles(t) {
		t.Run(bad.name, func(t *testing.T) {
			e := faultsOf(t, bad.text)
			left := slices.Clone(bad.wants)
			for _, f := range e.Faults {
				got := fmt.Sprintf("%d:%d: %s", f.Line, f.Column, f.Text)
				i := -1
				for j, want := range left {
					if strings.HasPrefix(got, want) {
						i = j
					}
				}
				if i < 0 {
					t.Errorf("not wanted: %s\n%s", got, f.Source)
					continue
				}
				left = append(left[:i], left[i+1:]...)
			}
			for _, want := range left {
				t.Errorf("missing: %s", want)
			}
			for _, secret := range []string{"hunter2", "pa55", "QTWAOYTT", "abcdefghij0123456789"} {
				if strings.Contains(e.Error(), secret) {
					t.Errorf("%s is shown in:\n%s", secret, e)
				}
			}
			for i, f := range e.Faults {
				if i > 0 && (e.Faults[i-1].Line > f.Line || e.Faults[i-1].Line == f.Line && e.Faults[i-1].Column > f.Column) {
					t.Errorf("fault %d is out of order:\n%s", i, e)
				}
			}
		})
	}
}

func TestBadBytes(t *testing.T) {
	for text, want := range map[string]string{
		"":                           `1:1: the file is empty`,
		"\ufeffaccounts: []":         `1:1: the file starts with a byte order mark: save it as UTF-8 without one`,
		"\xff\xfea\x00":              `1:1: the file starts with a byte order mark`,
		"# ok\nä: \xff":              `2:4: this byte is not UTF-8: save the file as UTF-8`,
		"# ok\r\nab\x00":             `2:3: the character U+0000 does not belong into the file: take it out`,
		"a\rb":                       `1:2: the character U+000D`,
		"a\u2028b":                   `1:2: the character U+2028`,
		strings.Repeat("#", 1<<20+1): `1:1: the file is longer than 1048576 bytes: is it the right one?`,
	} {
		f := faultsOf(t, []byte(text)).Faults
		if got := fmt.Sprintf("%d:%d: %s", f[0].Line, f[0].Column, f[0].Text); len(f) != 1 || !strings.HasPrefix(got, want) {
			t.Errorf("%.20q: %s, want %s", text, got, want)
		}
	}
}

// The error is what a person reads: file, place, words, the line and a mark.
func TestErrorShowsTheLine(t *testing.T) {
	e := faultsOf(t, []byte("accounts:\r\n  - name: ä b\r\n    credentials: {prefix: A}\r\n    regions: [{name: r, projects: [p]}]\r\n"))
	want := "accounts.yaml:2:11: \"ä b\" is not valid: write 1 to 32 small letters, digits, '-' or '_', a letter first\n" +
		"     2 | - name: ä b\n" +
		"       | --------^"
	if e.Error() != want {
		t.Errorf("got\n%s\nwant\n%s", e, want)
	}
}

// The mark is below the place as a terminal shows it: whatever indents the line, however wide its characters are, and
// although programs leave one of several spaces.
func TestErrorOnATerminal(t *testing.T) {
	e := faultsOf(t, []byte("accounts:\n  - name: a\n    credentials: {prefix: A}\n    regions:\n          - {name: r,   projects: [{name: 中文, id: 9 b}]}\n"))
	lines := plain.Lines(e.Error(), 200)
	want := []string{"     5 | - {name: r, projects: [{name: 中文, id: 9 b}]}", "       | ----------------------------------------^"}
	if len(lines) != 3 || !slices.Equal(lines[1:], want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// A long line is shown around the place, and of many faults the first.
func TestErrorIsBounded(t *testing.T) {
	text := "accounts: [{name: a, credentials: {prefix: A}, regions: [{name: r, projects: [" + strings.Repeat(`"x y",`, 2000) + "]}]}]"
	e := faultsOf(t, []byte(text))
	if len(e.Faults) != 2000 {
		t.Errorf("%d faults", len(e.Faults))
	}
	shown := e.Error()
	if len(shown) > 10000 || !strings.HasSuffix(shown, "\naccounts.yaml: 1980 more faults") {
		t.Errorf("%d bytes, end %q", len(shown), shown[len(shown)-100:])
	}
	lines := strings.Split(shown, "\n")
	at := strings.IndexByte(lines[5], '^')
	if lines[4][at:at+5] != `"x y"` {
		t.Errorf("the mark is not below the place:\n%s\n%s", lines[4], lines[5])
	}
}

// The example that people copy is right, and says what this test says.
func TestExample(t *testing.T) {
	f, err := Load(example)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range f.Projects() {
		got = append(got, fmt.Sprintf("%s %s %s/%s %s %v %v %s %s", p.ID[:2], p.Name, p.Account.Name, p.Region.Name, p.API, p.Rate, p.TensorboardTraining,
			p.Region.Endpoint, p.Region.IAMEndpoint))
	}
	want := []string{
		"01  team-a/cn-north-4 v1 0 false https://modelarts.cn-north-4.myhuaweicloud.com https://iam.cn-north-4.myhuaweicloud.com",
		"12 recommendations team-a/cn-north-4 v1 0 false https://modelarts.cn-north-4.myhuaweicloud.com https://iam.cn-north-4.myhuaweicloud.com",
		"23  team-a/cn-east-3 v1 20 false https://modelarts.cn-east-3.myhuaweicloud.com https://iam.cn-east-3.myhuaweicloud.com",
		"34  team-b/cn-north-4 probe 0 true https://modelarts.cn-north-4.myhuaweicloud.com https://iam.cn-north-4.myhuaweicloud.com",
		"45  europe/eu-de v1 0 false https://modelarts.eu-de.otc.t-systems.com https://iam.eu-de.otc.t-systems.com",
		"56  sandbox/cn-north-4 v1 0 false https://modelarts.cn-north-4.myhuaweicloud.com https://iam.cn-north-4.myhuaweicloud.com",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	all := f.Accounts()
	agency := all[1].Agency
	if len(all) != 4 || !all[3].Shadow || all[0].Shadow || all[0].Prefix != "TEAM_A" || all[0].Agency != nil || all[1].Prefix != "" ||
		agency.Name != "vizstop" || agency.Domain != "company-b" || agency.Through != all[0] || agency.Duration != time.Hour {
		t.Errorf("accounts %+v, agency %+v", all, agency)
	}
}

// An account is a shadow account by its own word alone.
func TestShadowIsOfAnAccount(t *testing.T) {
	f := parse(t, `accounts:
- {name: a, credentials: {prefix: A}, shadow: true, regions: [{name: r, projects: [p]}]}
- {name: b, agency: {name: x, domain: y, through: a}, regions: [{name: r, projects: [q]}]}
- {name: c, credentials: {prefix: C}, shadow: false, regions: [{name: r, projects: [s]}]}
`)
	for id, want := range map[string]bool{"p": true, "q": false, "s": false} {
		if p, ok := f.Project(id); !ok || p.Account.Shadow != want {
			t.Errorf("project %s: %v, want %v", id, p.Account.Shadow, want)
		}
	}
}

// What the narrower level says goes before the wider, wherever it stands.
func TestOptionsAreInherited(t *testing.T) {
	f := parse(t, `accounts:
- regions:
  - projects: [a, {id: b, api: v1, rate: 3, tensorboard_training: false}]
    name: r
    api: probe
    rate: 2
  - {name: s, projects: [c], cloud: example.com, endpoint: "http://127.0.0.1:8080/x"}
  api: v2
  rate: 1.5
  tensorboard_training: true
  cloud: example.org
  credentials: {prefix: A}
  name: a
`)
	for id, want := range map[string]string{
		"a": "{probe 2 true} https://modelarts.r.example.org https://iam.r.example.org",
		"b": "{v1 3 false} https://modelarts.r.example.org https://iam.r.example.org",
		"c": "{v2 1.5 true} http://127.0.0.1:8080/x https://iam.s.example.com",
	} {
		p, ok := f.Project(id)
		if got := fmt.Sprint(p.Options, " ", p.Region.Endpoint, " ", p.Region.IAMEndpoint); !ok || got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	if p, ok := f.Project("d"); ok {
		t.Errorf("an unknown project: %+v", p)
	}
	if f.Open() {
		t.Error("a file is open to any project")
	}
}

// YAML takes some ids for numbers. They stay as they are written.
func TestIDsAreTakenAsWritten(t *testing.T) {
	ids := []string{"00000000000000000000000000000012", "1e10", "12345678901234567890123456789012", "0x1f", "0b1", "1234567890123456e789012345678901", "123_456"}
	f := parse(t, "accounts: [{name: a, credentials: {prefix: A}, regions: [{name: r, projects: ["+strings.Join(ids, ", ")+"]}]}]")
	for i, p := range f.Projects() {
		if p.ID != ids[i] {
			t.Errorf("%s became %s", ids[i], p.ID)
		}
		if _, ok := f.Project(ids[i]); !ok {
			t.Errorf("%s is not found", ids[i])
		}
	}
}

func TestAgenciesMayBeChained(t *testing.T) {
	f := parse(t, `accounts:
- {name: c, agency: {name: x, domain: z, through: b, duration: 24h}, regions: [{name: r, projects: [p]}]}
- {name: b, agency: {name: x, domain: y, through: a, duration: 15m}}
- {name: a, credentials: {prefix: A}}
`)
	p, _ := f.Project("p")
	b := p.Account.Agency.Through
	if b.Name != "b" || b.Agency.Through.Prefix != "A" || b.Agency.Duration != 15*time.Minute || len(b.Regions) != 0 {
		t.Errorf("the chain is %+v", p.Account.Agency)
	}
}

// What the caller gets back is the caller's.
func TestListsAreCopies(t *testing.T) {
	f := parse(t, "accounts: [{name: a, credentials: {prefix: A}, regions: [{name: r, projects: [p]}]}]")
	f.Accounts()[0], f.Projects()[0] = nil, Project{}
	if p, _ := f.Project("p"); f.Accounts()[0] == nil || p.ID != "p" || f.Projects()[0].ID != "p" {
		t.Error("a caller has changed the file")
	}
}

// A project that nobody has is named with the file to add it to.
func TestFind(t *testing.T) {
	f := parse(t, "accounts: [{name: a, credentials: {prefix: A}, regions: [{name: r, projects: [p]}]}]")
	if p, err := f.Find("p"); err != nil || p.ID != "p" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := f.Find("other"); err == nil || err.Error() != "project other is in no account of accounts.yaml: add it there, or check the id" {
		t.Error(err)
	}
}

func TestSingle(t *testing.T) {
	f := Single("HW", Region{Name: "cn-north-4", Endpoint: "http://127.0.0.1:8080"}, Options{Rate: 50})
	p, ok := f.Project("any")
	want := Region{Name: "cn-north-4", Cloud: DefaultCloud, Endpoint: "http://127.0.0.1:8080", IAMEndpoint: "https://iam.cn-north-4.myhuaweicloud.com"}
	if !ok || p.ID != "any" || p.Account.Name != "default" || p.Account.Prefix != "HW" || *p.Region != want || p.Options != (Options{API: V1, Rate: 50}) {
		t.Errorf("got %+v, %+v, %v", p, p.Region, ok)
	}
	if !f.Open() || len(f.Projects()) != 0 || len(f.Accounts()) != 1 || f.Accounts()[0] != p.Account {
		t.Errorf("got %+v", f)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Load("/dev/null"); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a device: %v", err)
	}
	if _, err := Load(dir); err == nil {
		t.Error("a directory was read")
	}
	path := filepath.Join(dir, "a.yaml")
	if err := os.WriteFile(path, []byte("accounts: 7"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), path+":1:11: accounts is a list") {
		t.Errorf("got %v", err)
	}
}

// manyProjects is a file of the size that the package is made for.
func manyProjects(n int) string {
	var b strings.Builder
	b.WriteString("accounts:\n- name: a\n  credentials: {prefix: A}\n  regions:\n  - name: r\n    projects:\n")
	for i := range n {
		fmt.Fprintf(&b, "    - {id: %032x, name: project %d}\n", i, i)
	}
	return b.String()
}

func TestManyProjects(t *testing.T) {
	f := parse(t, manyProjects(10000))
	if p, ok := f.Project(fmt.Sprintf("%032x", 9999)); !ok || p.Name != "project 9999" {
		t.Errorf("got %+v, %v", p, ok)
	}
}

func BenchmarkParse(b *testing.B) {
	text := []byte(manyProjects(10000))
	for b.Loop() {
		if _, err := Parse("x", text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProject(b *testing.B) {
	f, err := Parse("x", []byte(manyProjects(10000)))
	if err != nil {
		b.Fatal(err)
	}
	id := fmt.Sprintf("%032x", 5000)
	for b.Loop() {
		f.Project(id)
	}
}

// Whatever a file holds: it is refused in words that can be shown, or what it
// says can be looked up.
func FuzzParse(f *testing.F) {
	for _, bad := range badFiles(f) {
		if len(bad.text) < 10000 {
			f.Add(bad.text)
		}
	}
	text, err := os.ReadFile(example)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse("accounts.yaml", text)
		if err != nil {
			e, ok := errors.AsType[*yamlfile.Error](err)
			if !ok || file != nil || len(e.Faults) == 0 {
				t.Fatalf("%v, %#v", file, err)
			}
			for _, one := range e.Faults {
				if one.Line < 1 || one.Column < 1 || one.Text == "" || strings.Count(one.Source, "\n") > 1 {
					t.Errorf("fault %+v", one)
				}
			}
			return
		}
		for _, p := range file.Projects() {
			if found, ok := file.Project(p.ID); !ok || found.Account != p.Account || p.Account.Name == "" || p.Region.Endpoint == "" {
				t.Errorf("project %+v, found as %+v", p, found)
			}
			for a, n := p.Account, 0; a.Agency != nil; a, n = a.Agency.Through, n+1 {
				if n > len(text) {
					t.Fatal("a ring was not refused")
				}
			}
		}
	})
}

package joblist

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"vizstop/internal/jobs"
)

const (
	projectA = "0123456789abcdef0123456789abcdef"
	projectB = "fedcba9876543210fedcba9876543210"
)

// outcome is all that reading a list gives: items as project/job with their
// labels, and errors, which a bad line begins with "bad " and an end with "end ".
func outcome(r io.Reader, opts Options) []string {
	var got []string
	for item, err := range Read(r, opts) {
		var lineErr *LineError
		switch {
		case errors.As(err, &lineErr):
			got = append(got, "bad "+err.Error())
		case err != nil:
			got = append(got, "end "+err.Error())
		default:
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s/%s %s", item.ProjectID, item.JobID, labels(item))))
		}
	}
	return got
}

func labels(item Item) string {
	if item.Labels == nil {
		return ""
	}
	return strings.TrimPrefix(fmt.Sprint(item.Labels), "map")
}

func expect(t *testing.T, text string, opts Options, want ...string) {
	t.Helper()
	opts.Name = "list"
	got := outcome(strings.NewReader(text), opts)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%.80q gives\n  %s\nwant\n  %s", text, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestFormatsAreToldApart(t *testing.T) {
	p := Options{Project: "p"}
	for text, want := range map[string]string{
		"12\n":                             "p/12",
		"12":                               "p/12",
		"12 # a, b":                        "p/12",
		"# job_id,x\n\n12\r\n":             "p/12",
		"\ufeff12\n":                       "p/12",
		"job_id\n12\n":                     "p/12",
		"\"job_id\"\n12\n":                 "p/12",
		"\ufeffJob_ID , x\r\n12,\r\n":      "p/12",
		"project_id,job_id\nq,12\n":        "q/12",
		`{"job_id":12}`:                    "p/12",
		"\n# hello\n  {\"job_id\":\"12\"}": "p/12",
	} {
		expect(t, text, p, want)
	}
}

func TestFormatIsForced(t *testing.T) {
	expect(t, "job_id\n12\n", Options{Format: "ids", Project: "p"}, "bad list line 1: names columns, not a job", "p/12")
	expect(t, "12\n", Options{Format: "csv", Project: "p"},
		`end list line 1: the header of the CSV has no column job_id, only "12"`+oneID)
	expect(t, "12\n", Options{Format: "jsonl", Project: "p"}, "bad list line 1: is not a JSON object")
	expect(t, "12\n", Options{Format: "auto", Project: "p"}, "p/12")
	expect(t, "12\n", Options{Format: "xml", Project: "p"}, `end "xml" is none of the formats auto, ids, csv, jsonl`)
}

func TestEmptyLists(t *testing.T) {
	for _, text := range []string{"", "\n\n", "# nothing\n", "\ufeff", "\ufeff\r\n# x"} {
		for _, format := range Formats() {
			expect(t, text, Options{Format: format})
		}
	}
	expect(t, "job_id,project_id\n", Options{})
}

func TestProjectIsMissing(t *testing.T) {
	expect(t, "12\n", Options{}, "end list line 1: ids alone name no project, so the project of all jobs must be given")
	expect(t, "x,job_id\n1,2\n", Options{},
		"end list line 1: there is no column project_id, so the project of all jobs must be given")
	expect(t, "project_id,job_id\n,1\nq,2\n", Options{},
		"bad list line 2: there is no project_id, and no project was given for all jobs", "q/2")
	expect(t, `{"job_id":1}`+"\n"+`{"job_id":2,"project_id":"q"}`, Options{},
		"bad list line 1: there is no project_id, and no project was given for all jobs", "q/2")
	expect(t, "project_id,job_id\n,1\nq,2\n", Options{Project: "p"}, "p/1", "q/2")
}

func TestBadLinesAreNamedAndPassedOver(t *testing.T) {
	const rule = ` is not valid: it must be 1 to 64 letters, digits, '_' or '-', starting with a letter or digit`
	p := Options{Project: "p"}
	expect(t, "10\n../11\n\n-\n12 13\n14\n", p,
		"p/10",
		`bad list line 2: job id "../11"`+rule,
		`bad list line 4: job id "-"`+rule,
		`bad list line 5: job id "12 13"`+rule,
		"p/14")
	expect(t, "project_id,job_id\np/q,1\n", Options{}, `bad list line 2: project id "p/q"`+rule)
	const none = `, which programs write for a value that is missing`
	expect(t, "null\nNone\n10\n", p,
		`bad list line 1: the job id is "null"`+none, `bad list line 2: the job id is "None"`+none, "p/10")
	expect(t, "project_id,job_id\nnull,1\nNA,2\n", Options{},
		`bad list line 2: the project id is "null"`+none, `bad list line 3: the project id is "NA"`+none)
	expect(t, "NA\nNaT\n<NA>\n10\nNaN\n", p, `bad list line 1: the job id is "NA"`+none, `bad list line 2: the job id is "NaT"`+none,
		`bad list line 3: job id "<NA>"`+rule, "p/10", `bad list line 5: the job id is "NaN"`+none)
	const truth = `, which programs write for yes or no`
	for _, word := range []string{"true", "True", "TRUE", "false", "False"} {
		expect(t, word+"\n10\n", p, `bad list line 1: the job id is "`+word+`"`+truth, "p/10")
	}
	expect(t, `{"job_id":"true"}`+"\n"+`{"job_id":"NA"}`+"\n", p, `bad list line 1: the job id is "true"`+truth, `bad list line 2: the job id is "NA"`+none)
	expect(t, "na\nnat\ntruly\nfalse-1\n", p, "p/na", "p/nat", "p/truly", "p/false-1") // names of jobs, perhaps
}

func TestPlaces(t *testing.T) {
	text := "\n# comment\njob_id\n\n10\n# more\n11\n"
	var places []string
	for item, err := range Read(strings.NewReader(text), Options{Name: "jobs.csv", Project: "p"}) {
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, item.Place)
	}
	if got := strings.Join(places, "; "); got != "jobs.csv line 5; jobs.csv line 7" {
		t.Errorf("places are %s", got)
	}
}

func TestReadStopsWhenAskedTo(t *testing.T) {
	r := io.MultiReader(strings.NewReader("10\n"), iotest.ErrReader(errors.New("read on")))
	for _, err := range Read(iotest.OneByteReader(r), Options{Project: "p"}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
}

func TestUnreadable(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, text := range []string{"", "10\n", "job_id\n10\n1", `{"job_id":1}` + "\n"} {
		r := io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken))
		var last error
		for _, err := range Read(r, Options{Name: "list", Project: "p"}) {
			if last != nil {
				t.Fatalf("%q: reading went on after %v", text, last)
			}
			last = err
		}
		if !errors.Is(last, broken) || last.Error() != "read list: disk on fire" {
			t.Errorf("%q: ended with %v", text, last)
		}
	}
}

// endless is n times the same line.
func endless(n int, line string) io.Reader {
	return &repeated{left: n, line: line}
}

type repeated struct {
	left int
	line string
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := 0
	for r.left > 0 && n+len(r.line) <= len(p) {
		n += copy(p[n:], r.line)
		r.left--
	}
	return n, nil
}

func TestMemoryIsBounded(t *testing.T) {
	const lines = 5_000
	var before, after runtime.MemStats
	for _, line := range []string{"1234567\n", "1234567,value\n", `{"job_id":1234567,"key":"value"}` + "\n"} {
		header := ""
		if strings.Contains(line, ",v") {
			header = "job_id,key\n"
		}
		runtime.GC()
		runtime.ReadMemStats(&before)
		n := 0
		var seen Seen
		for item, err := range Read(io.MultiReader(strings.NewReader(header), endless(lines, line)), Options{Project: projectA}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			seen.Add(item.ProjectID, item.JobID)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if n != lines || seen.Len() != 1 {
			t.Errorf("%q: %d lines and %d jobs", line, n, seen.Len())
		}
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > lines*16 {
			t.Errorf("%q: %d bytes are kept", line, grown)
		}
	}
}

func TestItemsAreValid(t *testing.T) {
	text := "project_id,job_id,team\n" + projectB + ",4211,a\n"
	for item, err := range Read(strings.NewReader(text), Options{Name: "x", Project: projectA}) {
		if err != nil || jobs.ValidateID("job", item.JobID) != nil || item.ProjectID != projectB || item.Labels["team"] != "a" {
			t.Errorf("item is %+v, %v", item, err)
		}
	}
}

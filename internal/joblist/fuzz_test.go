package joblist

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
	"vizstop/internal/jobs"
)

// check reads text in a format and fails if anything that comes out breaks a
// promise.
func check(t *testing.T, text, format string) {
	n := 0
	ended := false
	for item, err := range Read(strings.NewReader(text), Options{Name: "list", Format: format, Project: "p"}) {
		if ended {
			t.Fatal("something follows the end")
		}
		n++
		if err != nil {
			_, isLine := errors.AsType[*LineError](err)
			ended = !isLine
			if strings.ContainsFunc(err.Error(), unicode.IsControl) || len(err.Error()) > 1200 {
				t.Fatalf("the error is %q", err)
			}
			continue
		}
		checkItem(t, item)
	}
	if lines := strings.Count(text, "\n") + 1; n > lines {
		t.Fatalf("%d elements of %d lines", n, lines)
	}
}

func checkItem(t *testing.T, item Item) {
	if jobs.ValidateID("job", item.JobID) != nil || jobs.ValidateID("project", item.ProjectID) != nil {
		t.Fatalf("the ids of %+v are not valid", item)
	}
	if !strings.HasPrefix(item.Place, "list line ") || len(item.Labels) > maxLabels {
		t.Fatalf("item is %+v", item)
	}
	for key, value := range item.Labels {
		for _, text := range []string{key, value} {
			if text == "" || len(text) > maxLabel || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
				t.Fatalf("label %q is %q", key, value)
			}
		}
	}
}

func FuzzIDs(f *testing.F) {
	f.Add("10\n11 # nightly\r\n\n# comment\n../x\n")
	f.Add("\ufeff10")
	f.Add("\xff\xfe1\x00")
	f.Fuzz(func(t *testing.T, text string) { check(t, text, "ids") })
}

func FuzzCSV(f *testing.F) {
	f.Add("Project_ID,job_id,team\nq,12,\"a \"\"b\"\", c\"\n,13,\n#14,15\n")
	f.Add("job_id\n12\n\"13\n14\n")
	f.Add("a,job_id\n#x,1\n\"#y\",2\n1,2,3\nx\"y,3\n")
	f.Fuzz(func(t *testing.T, text string) { check(t, text, "csv") })
}

func FuzzJSONLines(f *testing.F) {
	f.Add(`{"project_id":"q","job_id":12,"a":1.5,"b":true,"c":null,"d":[{}]}` + "\n" + `{"job_id":"13"}`)
	f.Add(`{"job_id":1e3}` + "\n" + `{"job_id":1,"job_id":2}` + "\n" + `{"job_id":"\u001b"} {}`)
	f.Fuzz(func(t *testing.T, text string) { check(t, text, "jsonl") })
}

func FuzzAuto(f *testing.F) {
	f.Add("10\n11\n")
	f.Add("job_id,a\n10,b\n")
	f.Add(`{"job_id":1}`)
	f.Add(`[{"job_id":1}]`)
	f.Fuzz(func(t *testing.T, text string) { check(t, text, "auto") })
}

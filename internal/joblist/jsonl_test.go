package joblist

import (
	"strings"
	"testing"
)

func TestJSONFields(t *testing.T) {
	expect(t, `{"team":"web","JOB_ID":"12","project_id":"q","n":1.50,"on":true,"off":false,"none":null,"list":[{"job_id":1}],"o":{}}
{"job_id": 18446744073709551616}
`, Options{Project: "p"}, "q/12 [n:1.50 off:false on:true team:web]", "p/18446744073709551616")
}

func TestJSONLineIsBad(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                       "there is no job_id",
		`{"job_id":null}`:          "there is no job_id",
		`{"job_id":""}`:            "there is no job_id",
		`{"job_id":true}`:          "job_id is neither text nor a number",
		`{"job_id":[1]}`:           "job_id is neither text nor a number",
		`{"job_id":1e3}`:           "job_id 1e3 is not a whole number",
		`{"job_id":-1}`:            "job_id -1 is not a whole number",
		`{"job_id":1.0}`:           "job_id 1.0 is not a whole number",
		`{"job_id":1,"Job_Id":2}`:  "job_id is there twice",
		`{"job_id":"","Job_Id":2}`: "job_id is there twice",
		`{"job_id":1,"a":1,"a":2}`: `label "a" is there twice`,
		`{"job_id":1}{"job_id":2}`: "there is more than one object on the line",
		`{"job_id":1},`:            "there is more than one object on the line",
		`{"job_id":1`:              "the JSON object does not end on its line",
		`{"job_id":`:               "the JSON object does not end on its line",
		`{`:                        "the JSON object does not end on its line",
		`12`:                       "is not a JSON object",
		`"{}"`:                     "is not a JSON object",
	} {
		expect(t, `{"job_id":7}`+"\n"+text+"\n"+`{"job_id":8}`, Options{Project: "p"}, "p/7", "bad list line 2: "+want, "p/8")
	}
}

// The decoder's own words are not ours to test.
func TestJSONIsMalformed(t *testing.T) {
	for _, text := range []string{`{"job_id":x}`, `{12:1}`, `{"project_id":1,"job_id"}`, `{"job_id":1 "a":2}`, `{"job_id":1]`} {
		got := outcome(strings.NewReader(`{"job_id":7}`+"\n"+text), Options{Name: "list", Project: "p"})
		if len(got) != 2 || !strings.HasPrefix(got[1], "bad list line 2: is not a JSON object: ") {
			t.Errorf("%s gives %q", text, got)
		}
	}
}

func TestJSONArrayGetsAdvice(t *testing.T) {
	expect(t, `[{"job_id":1}]`, Options{Project: "p"},
		"end list line 1: begins with [, but one object a line is expected (jq -c '.[]' makes lines of an array)")
}

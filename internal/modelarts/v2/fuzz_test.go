package v2_test

import (
	"encoding/json"
	"strings"
	"testing"

	"vizstop/internal/jobs"
)

// FuzzDetail reads any body as the answer of the detail call. A job comes out only of
// a JSON object that names it, and its status is a word that stands there.
func FuzzDetail(f *testing.F) {
	for _, body := range []string{detail, visualization("Terminated"), bare(`,"status":{"phase":12}`), bare(`,"status":[]`), "", "{}", "null",
		`{"metadata":{"id":"` + jobID + `"},"METADATA":{"ID":"x"},"Status":{"Phase":"Failed"}}`, errorBody(`"ModelArts.2775"`, "x")} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		job, err := fixed(t, 200, string(body)).Get(t.Context(), project, jobID)
		if (err == nil) == (job == nil) {
			t.Fatalf("%q gives %+v and %v", body, job, err)
		}
		if job != nil && job.ID != jobID {
			t.Fatalf("%q is about %q", body, job.ID)
		}
		if job != nil {
			checkJob(t, body, job)
		}
	})
}

// FuzzSearch reads any body as the answer of a search.
func FuzzSearch(f *testing.F) {
	for _, body := range []string{`{"total":2,"items":[` + detail + `,` + visualization("Terminating") + `]}`, `{"total":-1,"items":null}`,
		`{"total":"7"}`, `{"items":[{}]}`, `{"items":[null]}`, `{"items":{}}`, "", "{}", `{"items":[` + bare(`,"kind":7`) + `]}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := fixed(t, 200, string(body)).List(t.Context(), project, jobs.Query{})
		if (page == nil) == (err == nil) {
			t.Fatalf("%q gives %+v and %v", body, page, err)
		}
		if page == nil {
			return
		}
		var list struct {
			Items []json.RawMessage `json:"items"`
		}
		if err := json.Unmarshal(body, &list); err != nil || len(list.Items) != len(page.Jobs)+len(page.Others) || page.Total < 0 {
			t.Fatalf("%q lists %d jobs, read %+v", body, len(list.Items), page)
		}
		next := 0
		for _, item := range list.Items {
			if next < len(page.Jobs) && stands(item, page.Jobs[next].ID, "metadata", "id") {
				checkJob(t, item, &page.Jobs[next])
				if !stands(item, "visualization_job", "kind") {
					t.Fatalf("%q is taken for a visualization job", item)
				}
				next++
			}
		}
		if next != len(page.Jobs) {
			t.Fatalf("%q has the jobs %+v", body, page.Jobs)
		}
	})
}

// checkJob looks for the job's status in its JSON by another way.
func checkJob(t *testing.T, body []byte, job *jobs.Job) {
	t.Helper()
	if job.Duration < 0 || job.AutoStop < 0 {
		t.Fatalf("%q runs for %v, stops after %v", body, job.Duration, job.AutoStop)
	}
	if job.Status.State != jobs.Unclear && !stands(body, job.Status.Code, "status", "phase") {
		t.Fatalf("%q has status %v, which does not stand there", body, job.Status)
	}
}

// stands reports whether a text stands at a path of members, whose names match in any
// case and may come twice.
func stands(body []byte, text string, path ...string) bool {
	dec := json.NewDecoder(strings.NewReader(string(body)))
	if len(path) == 0 {
		var got any
		dec.UseNumber()
		if dec.Decode(&got) != nil {
			return false
		}
		word, _ := got.(string)
		number, _ := got.(json.Number)
		return strings.TrimSpace(word+number.String()) == text
	}
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return false
	}
	for dec.More() {
		name, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			return false
		}
		if word, ok := name.(string); ok && strings.EqualFold(word, path[0]) && stands(value, text, path[1:]...) {
			return true
		}
	}
	return false
}

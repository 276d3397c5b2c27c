package v1

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/samples"
)

// FuzzDetail reads any body as the answer of the detail call. A job comes out only
// of a body that is a JSON object, and its status is a number that stands there:
// nothing else may make a job look ended.
func FuzzDetail(f *testing.F) {
	for _, body := range samples.All {
		f.Add([]byte(body))
	}
	f.Add([]byte(`{"job_id":4211,"status":12.7}`))
	f.Add([]byte(`{"job_id":4211,"status":" 12 ","STATUS":"0x0c"}`))
	f.Add([]byte(`{"job_id":"4211","status":4294967308}`))
	f.Add([]byte(`{"is_success":false,"job_id":4211,"status":12}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		job, err := fixed(t, 200, body).Get(t.Context(), testProject, "4211")
		if (err == nil) == (job == nil) {
			t.Fatalf("%q gives %+v and %v", body, job, err)
		}
		if job != nil {
			checkJob(t, body, job)
		}
	})
}

// FuzzList reads any body as the answer of the list call.
func FuzzList(f *testing.F) {
	for _, body := range samples.All {
		f.Add([]byte(body))
	}
	f.Add([]byte(`{"jobs":[{"job_id":1,"status":1.2e1},null,{}],"job_total_count":-1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := fixed(t, 200, body).List(t.Context(), testProject, jobs.Query{})
		if (page == nil) == (err == nil) {
			t.Fatalf("%q gives %+v and %v", body, page, err)
		}
		if page == nil {
			return
		}
		if page.Total < 0 {
			t.Fatalf("%q has %d jobs", body, page.Total)
		}
		var list struct {
			Jobs []json.RawMessage `json:"jobs"`
		}
		if err := json.Unmarshal(body, &list); err != nil || len(list.Jobs) != len(page.Jobs) {
			t.Fatalf("%q lists %d jobs, read %d", body, len(list.Jobs), len(page.Jobs))
		}
		for i := range page.Jobs {
			checkJob(t, list.Jobs[i], &page.Jobs[i])
		}
	})
}

// checkJob looks for the job's status in its JSON by another way.
func checkJob(t *testing.T, body []byte, job *jobs.Job) {
	t.Helper()
	if job.Duration < 0 || job.AutoStop < 0 {
		t.Fatalf("%q runs for %v, stops after %v", body, job.Duration, job.AutoStop)
	}
	if job.Status == (jobs.Status{}) {
		return
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		t.Fatalf("%q is a job of status %v", body, job.Status)
	}
	for name, value := range members {
		number, ok := new(big.Rat).SetString(strings.Trim(string(value), "\" \t\r\n"))
		code, _ := new(big.Rat).SetString(job.Status.Code)
		if strings.EqualFold(name, "status") && ok && number.Cmp(code) == 0 {
			return
		}
	}
	t.Fatalf("%q has status %v, which does not stand there", body, job.Status)
}

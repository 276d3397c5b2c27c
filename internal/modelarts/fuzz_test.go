package modelarts

import (
	"encoding/json"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// FuzzAnswer feeds any status and body to every way of reading an answer. None
// may panic, call nonsense a success, or print more than one short line.
func FuzzAnswer(f *testing.F) {
	for _, body := range samples {
		for _, status := range []int{200, 400, 404, 502} {
			f.Add(status, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for _, operation := range Operations() {
			cl := &call{operation: operation, accept: func(a *answer) error {
				if a.problem.object {
					readPage(a)
					readJob(a)
				}
				return nil
			}}
			a := &answer{status: status, header: http.Header{}, body: body, secrets: []string{"HUSH"}}
			apiErr := judge(cl, a, nil, time.Unix(0, 0))
			if apiErr == nil {
				if status/100 != 2 || a.problem.failed {
					t.Fatalf("%d with %q is a success", status, body)
				}
				continue
			}
			if apiErr.Kind == KindOK || !slices.Contains(Kinds(), apiErr.Kind) {
				t.Fatalf("kind is %v", apiErr.Kind)
			}
			text := apiErr.Error()
			if strings.ContainsFunc(text, unicode.IsControl) || !utf8.ValidString(text) || utf8.RuneCountInString(text) > 800 {
				t.Fatalf("the error is %q", text)
			}
			if strings.Contains(apiErr.Message+apiErr.Code+apiErr.RequestID, "HUSH") {
				t.Fatalf("the error shows a secret: %q", text)
			}
		}
	})
}

// FuzzDetail reads any body as the answer of the detail call. A job comes out only
// of a body that is a JSON object, and its status is a number that stands there:
// nothing else may make a job look ended.
func FuzzDetail(f *testing.F) {
	for _, body := range samples {
		f.Add([]byte(body))
	}
	f.Add([]byte(`{"job_id":4211,"status":12.7}`))
	f.Add([]byte(`{"job_id":4211,"status":" 12 ","STATUS":"0x0c"}`))
	f.Add([]byte(`{"job_id":"4211","status":4294967308}`))
	f.Add([]byte(`{"is_success":false,"job_id":4211,"status":12}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var job *VisualizationJob
		cl := &call{operation: OperationDetail, accept: func(a *answer) (err error) {
			job, err = readJob(a)
			return err
		}}
		apiErr := judge(cl, &answer{status: 200, header: http.Header{}, body: body}, nil, time.Unix(0, 0))
		if (apiErr == nil) == (job == nil) {
			t.Fatalf("%q gives %+v and %v", body, job, apiErr)
		}
		if job != nil {
			checkJob(t, body, job)
		}
	})
}

// FuzzList reads any body as the answer of the list call.
func FuzzList(f *testing.F) {
	for _, body := range samples {
		f.Add([]byte(body))
	}
	f.Add([]byte(`{"jobs":[{"job_id":1,"status":1.2e1},null,{}],"job_total_count":-1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := readPage(&answer{body: body, problem: readProblem(body)})
		if (page == nil) == (err == nil) {
			t.Fatalf("%q gives %+v and %v", body, page, err)
		}
		if page == nil {
			return
		}
		if page.TotalCount < 0 {
			t.Fatalf("%q has %d jobs", body, page.TotalCount)
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
func checkJob(t *testing.T, body []byte, job *VisualizationJob) {
	t.Helper()
	if job.Duration < 0 || job.AutoStop < 0 {
		t.Fatalf("%q runs for %v, stops after %v", body, job.Duration, job.AutoStop)
	}
	if job.Status == StatusUnknown {
		return
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		t.Fatalf("%q is a job of status %v", body, job.Status)
	}
	for name, value := range members {
		number, ok := new(big.Rat).SetString(strings.TrimSpace(scalar(value)))
		if strings.EqualFold(name, "status") && ok && number.Cmp(big.NewRat(int64(job.Status), 1)) == 0 {
			return
		}
	}
	t.Fatalf("%q has status %v, which does not stand there", body, job.Status)
}

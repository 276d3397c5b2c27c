package modelarts

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/samples"
)

// FuzzAnswer feeds any status and body to every way of reading an answer. None
// may panic, call nonsense a success, or print more than one short line.
func FuzzAnswer(f *testing.F) {
	for _, body := range samples.All {
		for _, status := range []int{200, 400, 404, 502} {
			f.Add(status, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for _, operation := range jobs.Operations() {
			cl := &Call{Operation: operation}
			a := &Answer{Status: status, Header: http.Header{}, Body: body, secrets: []string{"HUSH"}}
			apiErr := judge(cl, a, nil, time.Unix(0, 0))
			if apiErr == nil {
				if status/100 != 2 || a.problem.failed {
					t.Fatalf("%d with %q is a success", status, body)
				}
				continue
			}
			if apiErr.Kind == jobs.KindOK || !slices.Contains(jobs.Kinds(), apiErr.Kind) {
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

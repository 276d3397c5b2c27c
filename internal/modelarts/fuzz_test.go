package modelarts

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
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
			if strings.ContainsAny(text, "\r\n\x00\x1b") || utf8.RuneCountInString(text) > 800 {
				t.Fatalf("the error is %q", text)
			}
			if strings.Contains(apiErr.Message+apiErr.Code+apiErr.RequestID, "HUSH") {
				t.Fatalf("the error shows a secret: %q", text)
			}
		}
	})
}

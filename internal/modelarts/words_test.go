package modelarts

import (
	"regexp"
	"testing"
	"vizstop/internal/jobs"
)

// goWords are words of Go, not of the API: types, values and packages.
var goWords = regexp.MustCompile(`Go (value|struct)|json:|%!|\bmodelarts\.[A-Za-z]|\*[a-z]+\.|interface ?\{|map\[`)

// Whatever an answer holds, the error about it is in words: it becomes the reason that a person reads of a stop.
func TestErrorsAreWords(t *testing.T) {
	t.Parallel()
	bodies := []string{
		``, `null`, `[]`, `7`, `"x"`, `{`, `{"error_code":7}`, `{"error_code":{"a":1},"error_msg":[1]}`, `{"error":{"code":404,"message":{}}}`,
		`{"error_code":"ModelArts.0102","error_msg":7}`, `{"is_success":"no"}`, `{"is_success":false,"error_msg":{"x":1}}`,
		`{"job_id":[],"status":{}}`, `{"job_id":"1","status":"x"}`, `{"jobs":7}`, `{"jobs":[7],"total_count":"x"}`, `<html>`, "\xff\xfe",
	}
	for _, operation := range jobs.Operations() {
		for _, status := range []int{200, 202, 204, 302, 400, 401, 403, 404, 409, 410, 418, 429, 500, 503} {
			for _, body := range bodies {
				cl := &Call{Operation: operation, Accept: func(a *Answer) error {
					if !a.IsObject() {
						return ErrNotJSON
					}
					return nil
				}}
				if err := judge(cl, &Answer{Status: status, Body: []byte(body)}, nil, newClock().Now()); err != nil && goWords.MatchString(err.Error()) {
					t.Errorf("%s, http %d, %q: %v", operation, status, body, err)
				}
			}
		}
	}
}

package problem

import (
	"net/http/httptest"
	"regexp"
	"testing"
	"time"
)

// The list is closed and whole: each type once, in the order of statuses, with a title of its own.
func TestTypes(t *testing.T) {
	t.Parallel()
	titles, types, last := map[string]bool{}, map[Type]bool{}, 0
	for _, one := range Types() {
		if types[one] || titles[one.Title()] || one.Title() == "" || one.Status() < last || one.Status() > 599 ||
			!regexp.MustCompile(`^/problems/[a-z]+(-[a-z]+)*$`).MatchString(one.URI()) {
			t.Errorf("%s: %d %q", one, one.Status(), one.Title())
		}
		types[one], titles[one.Title()], last = true, true, one.Status()
	}
	if Type("other").Status() != 500 || Type("other").Title() != Internal.Title() {
		t.Error("a type that is not of the list has a meaning of its own")
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	p := &Problem{Type: InvalidContent, Detail: "2 jobs are wrong", RetryAfter: 1500 * time.Millisecond,
		Faults: []Fault{{Pointer: "/jobs/3", Detail: "no id"}, {Line: 7, Detail: "not JSON"}}}
	w := httptest.NewRecorder()
	p.Write(w, httptest.NewRequest("PUT", "/v1/batches/a%2Fb?x=secret", nil))
	const want = `{"type":"/problems/invalid-content","title":"The body says what can't be done","status":422,"detail":"2 jobs are wrong",` +
		`"instance":"/v1/batches/a%2Fb","retry_after":2,"errors":[{"pointer":"/jobs/3","detail":"no id"},{"line":7,"detail":"not JSON"}]}` + "\n"
	if w.Code != 422 || w.Body.String() != want || w.Header().Get("Retry-After") != "2" || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

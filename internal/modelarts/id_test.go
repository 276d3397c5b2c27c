package modelarts

import (
	"net/http"
	"strings"
	"testing"
)

var badIDs = []string{
	"", "-1", "_1", "a b", "a/b", "..", ".", "a.b", "10?x=1", "10#", "10%2e", "10\n", "\x00", "工作", "10/../11",
	strings.Repeat("a", 65), strings.Repeat("<", 5000),
}

func TestValidateID(t *testing.T) {
	for _, id := range []string{"1", "4211", testProject, "0f4b2c1e-1111-4222-8333-944455566677", "A_b-9", strings.Repeat("a", 64)} {
		if err := ValidateID("job", id); err != nil {
			t.Errorf("ValidateID(%q) = %v", id, err)
		}
	}
	for _, id := range badIDs {
		err := ValidateID("job", id)
		if err == nil {
			t.Errorf("%q was taken for an id", id)
			continue
		}
		text := err.Error()
		if !strings.HasPrefix(text, "job id ") || strings.ContainsAny(text, "\n\x00") || len(text) > 400 {
			t.Errorf("the error for %q is %q", id, text)
		}
	}
}

// No request goes out with an id that could change the URL.
func TestCallsCheckIDs(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s was sent", r.Method, r.URL)
	})
	c := newClient(t, server.URL)
	for _, id := range badIDs {
		_, stop := c.StopVisualizationJob(t.Context(), testProject, id)
		_, restart := c.RestartVisualizationJob(t.Context(), id, "10")
		_, show := c.ShowVisualizationJob(t.Context(), testProject, id)
		_, list := c.ListVisualizationJobs(t.Context(), id, ListQuery{})
		for _, err := range []error{stop, restart, show, list} {
			apiErr := asAPIError(t, err)
			if apiErr.Kind != KindInvalid || apiErr.MaybeSent || apiErr.HTTPStatus != 0 {
				t.Errorf("id %q: %#v", id, apiErr)
			}
		}
	}
}

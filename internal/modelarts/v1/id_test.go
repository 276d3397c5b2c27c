package v1

import (
	"net/http"
	"testing"
	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/samples"
)

// No request goes out with an id that could change the URL.
func TestCallsCheckIDs(t *testing.T) {
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s was sent", r.Method, r.URL)
	})
	c := newAPI(t, server.URL)
	for _, id := range []string{"", "-1", "a b", "a/b", "..", "10?x=1", "10#", "10%2e", "10\n", "工作", "10/../11"} {
		_, stop := c.Stop(t.Context(), "0123456789abcdef0123456789abcdef", id)
		_, restart := c.Restart(t.Context(), id, "10")
		_, show := c.Get(t.Context(), "0123456789abcdef0123456789abcdef", id)
		_, list := c.List(t.Context(), id, jobs.Query{})
		for _, err := range []error{stop, restart, show, list} {
			apiErr := asError(t, err)
			if apiErr.Kind != jobs.KindInvalid || apiErr.MaybeSent || apiErr.HTTPStatus != 0 {
				t.Errorf("id %q: %#v", id, apiErr)
			}
		}
	}
}

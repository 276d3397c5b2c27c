package modelarts

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"vizstop/internal/modelarts/samples"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

type callKey struct{}

// Round trippers wrap the client's own transport, the last outermost, and see the
// call's context, as observers do.
func TestWithRoundTripper(t *testing.T) {
	t.Parallel()
	server := samples.Answering(t, 200, samples.Detail)
	var order []string
	wrap := func(name string) Option {
		return WithRoundTripper(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(req *http.Request) (*http.Response, error) {
				order = append(order, name+" "+req.Context().Value(callKey{}).(string))
				return next.RoundTrip(req)
			})
		})
	}
	var observed any
	c := newClient(t, server.URL, wrap("inner"), wrap("outer"), WithObserver(func(o Observation) { observed = o.Context.Value(callKey{}) }))
	if _, err := getJob(c, context.WithValue(t.Context(), callKey{}, "x"), testProject, "4211"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"outer x", "inner x"}; !slices.Equal(order, want) || observed != "x" {
		t.Errorf("round trips %v, want %v; observed in %v", order, want, observed)
	}
}

package v1

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
)

const (
	testProject = "0123456789abcdef0123456789abcdef"
	jobsPath    = "/v1/" + testProject + "/visualization-jobs"
)

func newAPI(t *testing.T, url string, opts ...modelarts.Option) *API {
	t.Helper()
	client, err := modelarts.New(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return New(client)
}

// fixedAnswer answers each request without a server.
type fixedAnswer struct {
	status int
	body   []byte
}

func (f fixedAnswer) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: f.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(f.body)), Request: req}, nil
}

// fixed is an API whose every answer is that one.
func fixed(t *testing.T, status int, body []byte) *API {
	t.Helper()
	return newAPI(t, "http://127.0.0.1", modelarts.WithHTTPClient(&http.Client{Transport: fixedAnswer{status, body}}))
}

// asError fails the test if err is not a *jobs.Error.
func asError(t *testing.T, err error) *jobs.Error {
	t.Helper()
	apiErr, ok := errors.AsType[*jobs.Error](err)
	if !ok {
		t.Fatalf("error is %#v, want a *jobs.Error", err)
	}
	return apiErr
}

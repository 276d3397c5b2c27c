package v1

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
)

const (
	testProject = "0123456789abcdef0123456789abcdef"
	jobsPath    = "/v1/" + testProject + "/visualization-jobs"
)

// serve runs handler until the test ends.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// answering serves one fixed answer to any call of the API.
func answering(t *testing.T, status int, body string, header ...string) *httptest.Server {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

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

package samples

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Serve runs handler until the test ends.
func Serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// Answering serves one fixed answer to any call. header are names and values.
func Answering(t *testing.T, status int, body string, header ...string) *httptest.Server {
	t.Helper()
	return Serve(t, func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

package modelarts

import (
	"bufio"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"vizstop/internal/jobs"
)

// raw is the address of a server that answers each request with what reply makes of
// its headers, byte by byte, and hangs up.
func raw(t *testing.T, reply func(http.Header) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					io.WriteString(conn, reply(req.Header))
				}
			}()
		}
	}()
	return l.Addr().String()
}

// net/http quotes what it can't read. An answer that repeats our token there must
// not bring it into an error.
func TestErrorsQuoteNoAnswerThatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		answer string // %s: the token
		kind   jobs.Kind
		says   string
	}{
		"status line":       {"HTTP/1.1 %s\r\n\r\n", jobs.KindUnavailable, "not valid HTTP"},
		"status code":       {"HTTP/1.1 x%s OK\r\n\r\n", jobs.KindUnavailable, "not valid HTTP"},
		"no HTTP":           {"%s\r\n\r\n", jobs.KindUnavailable, "not valid HTTP"},
		"header":            {"HTTP/1.1 200 OK\r\nX %s\r\n\r\n", jobs.KindUnavailable, "not valid HTTP"},
		"length":            {"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n", jobs.KindUnavailable, "not valid HTTP"},
		"transfer encoding": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n", jobs.KindUnavailable, "not valid HTTP"},
		"location":          {"HTTP/1.1 302 Found\r\nLocation: http://[%s\r\nContent-Length: 0\r\n\r\n", jobs.KindUnavailable, "not valid HTTP"},
		"trailer":           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX %s\r\n\r\n", jobs.KindUnavailable, "not valid HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := raw(t, func(h http.Header) string {
				return strings.Replace(c.answer, "%s", h.Get("X-Auth-Token"), 1)
			})
			client := newClient(t, "http://"+server)
			_, stop := stopJob(client, t.Context(), testProject, "10")
			_, show := getJob(client, t.Context(), testProject, "10")
			mustHide(t, stop, testToken)
			mustHide(t, show, testToken)
			if apiErr := asError(t, show); apiErr.Kind != c.kind || !strings.Contains(apiErr.Error(), c.says) {
				t.Errorf("got %v (kind %v), want %q", apiErr, apiErr.Kind, c.says)
			}
		})
	}
}

// A proxy that refuses may repeat the password that it was sent. Its status says
// enough.
func TestErrorsQuoteNoProxy(t *testing.T) {
	proxy := raw(t, func(h http.Header) string {
		return "HTTP/1.1 407 " + h.Get("Proxy-Authorization") + "\r\nContent-Length: 0\r\n\r\n"
	})
	transport := newTransport(1)
	transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", User: url.UserPassword("user", "hush"), Host: proxy})
	c := newClient(t, "https://host.example", WithHTTPClient(&http.Client{Transport: transport}))
	_, err := stopJob(c, t.Context(), testProject, "10")
	mustHide(t, err, base64.StdEncoding.EncodeToString([]byte("user:hush")))
	if apiErr := asError(t, err); apiErr.Kind != jobs.KindUnreachable || apiErr.MaybeSent ||
		!strings.Contains(err.Error(), "the proxy in HTTPS_PROXY answered 407 Proxy Authentication Required") {
		t.Errorf("got %v (kind %v, MaybeSent %v)", err, apiErr.Kind, apiErr.MaybeSent)
	}
}

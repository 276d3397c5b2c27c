package console

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"vizstop/internal/console/problem"
)

// raw sends the beginning of a request, and reads what comes until the connection ends.
func (s *served) raw(head string, more func(net.Conn)) string {
	s.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "%s\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n", head, s.tokens["asker"])
	go more(conn)
	answer, err := io.ReadAll(conn)
	if err != nil {
		s.Errorf("%s: %v after %q", head, err, answer)
	}
	return string(answer)
}

// Bodies that lie about their length, stop, trickle or are cut.
func TestBadBodies(t *testing.T) {
	t.Parallel()
	s := serve(t, options{built: func(c *Console) { c.pace = pace{pause: 50 * time.Millisecond, grace: time.Hour, rate: 1} }})
	trickles := serve(t, options{built: func(c *Console) { c.pace = pace{pause: time.Hour, grace: 50 * time.Millisecond, rate: 1 << 30} }})
	patient := serve(t, options{})
	type bad struct {
		on   *served
		head string
		send func(net.Conn)
		want string
	}
	for name, c := range map[string]bad{
		"stops": {s, "POST /v1/asks HTTP/1.1\r\nContent-Length: 100", func(c net.Conn) { fmt.Fprint(c, "\r\nabc") }, "408 Request Timeout"},
		"stops in a chunk": {s, "PUT /v1/stream HTTP/1.1\r\nTransfer-Encoding: chunked", func(c net.Conn) { fmt.Fprint(c, "\r\n10\r\nabc") },
			"408 Request Timeout"},
		"trickles": {trickles, "PUT /v1/stream HTTP/1.1\r\nContent-Length: 1000000", func(c net.Conn) {
			fmt.Fprint(c, "\r\n")
			for _, err := c.Write([]byte("x")); err == nil; _, err = c.Write([]byte("x")) {
				time.Sleep(time.Millisecond)
			}
		}, "408 Request Timeout"},
		"is cut": {patient, "POST /v1/asks HTTP/1.1\r\nContent-Length: 100", func(c net.Conn) {
			fmt.Fprint(c, "\r\nabc")
			_ = c.(*net.TCPConn).CloseWrite()
		}, "400 Bad Request"},
		"has bad chunks": {s, "POST /v1/asks HTTP/1.1\r\nTransfer-Encoding: chunked", func(c net.Conn) { fmt.Fprint(c, "\r\nnothex\r\n") }, "400 Bad Request"},
		"says that it is long": {s, "POST /v1/asks HTTP/1.1\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\nConnection: close",
			func(c net.Conn) { fmt.Fprint(c, "\r\n") }, "413 Request Entity Too Large"},
		"is long": {s, "POST /v1/asks HTTP/1.1\r\nTransfer-Encoding: chunked", func(c net.Conn) {
			fmt.Fprintf(c, "\r\n7d0\r\n%s\r\n", strings.Repeat("x", 2000))
		}, "413 Request Entity Too Large"},
		"takes all the time": {patient, "PUT /v1/soon HTTP/1.1\r\nContent-Length: 1000000", func(c net.Conn) {
			fmt.Fprint(c, "\r\n")
			for _, err := c.Write([]byte("x")); err == nil; _, err = c.Write([]byte("x")) {
				time.Sleep(time.Millisecond)
			}
		}, "503 Service Unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := c.on.raw(c.head, c.send)
			if !strings.HasPrefix(answer, "HTTP/1.1 "+c.want) || !strings.Contains(answer, problem.ContentType) {
				t.Errorf("%.300q, want %s", answer, c.want)
			}
		})
	}
	counted := map[problem.Type]float64{problem.SlowBody: 2, problem.MalformedBody: 1, problem.BodyTooLarge: 2}
	for why, want := range counted {
		if got := testutil.ToFloat64(s.console.metrics.refusals.WithLabelValues(string(why))); got != want {
			t.Errorf("%s: counted %g times, want %g", why, got, want)
		}
	}
}

// A body with two lengths is one request, and the last of its connection: a proxy may have gone by the other length.
func TestTwoLengths(t *testing.T) {
	t.Parallel()
	s := serve(t, options{})
	got := s.raw("POST /v1/asks HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked", func(c net.Conn) {
		fmt.Fprint(c, "\r\n3\r\nabc\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	})
	if strings.Count(got, "HTTP/1.1 ") != 1 || !strings.Contains(got, "Connection: close\r\n") || !strings.HasSuffix(got, "3 bytes of asker") {
		t.Errorf("%q", got)
	}
}

// A stream may be long, and slow as a whole.
func TestStream(t *testing.T) {
	t.Parallel()
	s := serve(t, options{})
	if got := s.do(call{method: "PUT", path: "/v1/stream", as: "asker", body: strings.Repeat("x", 32<<20)}); got.body != "33554432 bytes of asker" {
		t.Errorf("%d %s", got.status, got.body)
	}
	p := defaultPace()
	if p.allowed(0) != 10*time.Second || p.allowed(1<<20) != 1034*time.Second || p.allowed(1<<40) < p.allowed(1<<30) {
		t.Errorf("allowed are %v and %v", p.allowed(0), p.allowed(1<<20))
	}
}

// deadlines notes until when a request may be read.
type deadlines struct {
	*httptest.ResponseRecorder
	read []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.read = append(d.read, t)
	return nil
}

// Once all of a request has come, no read deadline is left: it would end the request while the handler works. One
// that was not read to its end keeps its deadline, for what the server throws away.
func TestReadDeadlines(t *testing.T) {
	t.Parallel()
	s := serve(t, options{})
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		none               bool
	}{
		"no body":      {"GET", "/v1/jobs/1", "", 200, true},
		"a whole body": {"POST", "/v1/asks", "abc", 200, true},
		"a long body":  {"POST", "/v1/asks", strings.Repeat("x", 2000), 413, false},
	} {
		r := httptest.NewRequest(c.method, c.path, io.MultiReader(strings.NewReader(c.body))) // of unknown length
		if c.body == "" {
			r.Body = http.NoBody
		}
		r.Host = "localhost"
		r.Header.Set("Authorization", "Bearer "+s.tokens["asker"])
		d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		s.console.ServeHTTP(d, r)
		if d.Code != c.status || len(d.read) == 0 || d.read[len(d.read)-1].IsZero() != c.none {
			t.Errorf("%s: %d, deadlines %v", name, d.Code, d.read)
		}
	}
}

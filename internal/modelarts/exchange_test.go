package modelarts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/samples"
)

// stopKind makes one stop call and returns its error's kind and MaybeSent.
func stopKind(t *testing.T, ctx context.Context, c *Client) (jobs.Kind, bool) {
	t.Helper()
	_, err := stopJob(c, ctx, testProject, "10")
	apiErr := asError(t, err)
	if strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("the error has several lines: %q", err)
	}
	return apiErr.Kind, apiErr.MaybeSent
}

func checkStop(t *testing.T, ctx context.Context, c *Client, wantKind jobs.Kind, wantSent bool) {
	t.Helper()
	if kind, sent := stopKind(t, ctx, c); kind != wantKind || sent != wantSent {
		t.Errorf("kind %v, MaybeSent %v; want %v, %v", kind, sent, wantKind, wantSent)
	}
}

// endingContext is a context whose deadline passes when the test says so.
type endingContext struct {
	context.Context
	done chan struct{}
}

func newEndingContext(parent context.Context) *endingContext {
	return &endingContext{parent, make(chan struct{})}
}

func (c *endingContext) end()                  { close(c.done) }
func (c *endingContext) Done() <-chan struct{} { return c.done }
func (c *endingContext) Err() error {
	select {
	case <-c.done:
		return context.DeadlineExceeded
	default:
		return c.Context.Err()
	}
}

func TestNothingListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	checkStop(t, t.Context(), newClient(t, "http://"+l.Addr().String()), jobs.KindUnreachable, false)
}

// hangUp closes the connection that r came on; hard resets it.
func hangUp(w http.ResponseWriter, hard bool) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	if hard {
		conn.(*net.TCPConn).SetLinger(0)
	}
	conn.Close()
}

// The effect may have taken place when the connection breaks after the request.
func TestConnectionBreaksAfterRequest(t *testing.T) {
	for _, hard := range []bool{false, true} {
		t.Run(fmt.Sprintf("reset=%v", hard), func(t *testing.T) {
			var calls atomic.Int32
			server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				hangUp(w, hard)
			})
			checkStop(t, t.Context(), newClient(t, server.URL), jobs.KindDisconnected, true)
			if n := calls.Load(); n != 1 {
				t.Errorf("the stop was sent %d times", n)
			}
		})
	}
}

// The same on a connection that has served before: net/http repeats a GET there,
// but must not repeat a POST.
func TestReusedConnectionBreaks(t *testing.T) {
	var stops atomic.Int32
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			stops.Add(1)
			hangUp(w, true)
			return
		}
		io.WriteString(w, samples.Detail)
	})
	c := newClient(t, server.URL)
	if _, err := getJob(c, t.Context(), testProject, "4211"); err != nil {
		t.Fatal(err)
	}
	checkStop(t, t.Context(), c, jobs.KindDisconnected, true)
	if n := stops.Load(); n != 1 {
		t.Errorf("the stop was sent %d times", n)
	}
}

func TestConnectionBreaksInsideAnswer(t *testing.T) {
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, `{"is_success":`)
	})
	checkStop(t, t.Context(), newClient(t, server.URL), jobs.KindDisconnected, true)
}

func TestAnswerBadlyCompressed(t *testing.T) {
	server := samples.Answering(t, 200, "not gzip at all", "Content-Encoding", "gzip")
	checkStop(t, t.Context(), newClient(t, server.URL), jobs.KindUnavailable, true)
}

func TestContextEndsBeforeSending(t *testing.T) {
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s was sent", r.Method, r.URL)
	})
	c := newClient(t, server.URL)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	checkStop(t, canceled, c, jobs.KindCanceled, false)
	late := newEndingContext(t.Context())
	late.end()
	checkStop(t, late, c, jobs.KindTimeout, false)
}

func TestContextEndsWhileWaiting(t *testing.T) {
	var arrived func()
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		arrived()
		<-r.Context().Done()
	})
	c := newClient(t, server.URL)

	canceled, cancel := context.WithCancel(t.Context())
	arrived = cancel
	checkStop(t, canceled, c, jobs.KindCanceled, true)

	late := newEndingContext(t.Context())
	arrived = late.end
	checkStop(t, late, c, jobs.KindTimeout, true)
}

// The peer takes the connection but no handshake happens: nothing was sent.
func TestContextEndsWhileConnecting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	late := newEndingContext(t.Context())
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		late.end()
		io.Copy(io.Discard, conn)
		conn.Close()
	}()
	checkStop(t, late, newClient(t, "https://"+l.Addr().String()), jobs.KindTimeout, false)
}

func TestContextEndsInsideAnswer(t *testing.T) {
	late := newEndingContext(t.Context())
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "{")
		w.(http.Flusher).Flush()
		late.end()
		<-r.Context().Done()
	})
	checkStop(t, late, newClient(t, server.URL), jobs.KindTimeout, true)
}

func TestAnswerSizeCap(t *testing.T) {
	whole := strings.Repeat("x", maxAnswer)
	if body, err := readAll(strings.NewReader(whole), 0); err != nil || len(body) != maxAnswer {
		t.Errorf("4 MiB: %d bytes, %v", len(body), err)
	}
	for status, want := range map[int]jobs.Kind{200: jobs.KindUnavailable, 404: jobs.KindUnavailable, 403: jobs.KindPermission} {
		server := samples.Answering(t, status, `{"is_success":true,"x":"`+whole+`"}`)
		_, err := stopJob(newClient(t, server.URL), t.Context(), testProject, "10")
		if jobs.KindOf(err) != want || !errors.Is(err, errTooLarge) {
			t.Errorf("%d with more than 4 MiB: %v", status, err)
		}
	}
}

// An answer without end is given up, not read.
func TestEndlessAnswer(t *testing.T) {
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		chunk := bytes.Repeat([]byte("x"), 1<<16)
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	checkStop(t, t.Context(), newClient(t, server.URL), jobs.KindUnavailable, true)
}

// A transport that tells nothing about its connections might have sent.
type silentTransport struct{ err error }

func (s silentTransport) RoundTrip(*http.Request) (*http.Response, error) { return nil, s.err }

func TestSilentTransport(t *testing.T) {
	cause := io.ErrUnexpectedEOF
	c := newClient(t, "https://host", WithHTTPClient(&http.Client{Transport: silentTransport{cause}}))
	_, err := stopJob(c, t.Context(), testProject, "10")
	if apiErr := asError(t, err); apiErr.Kind != jobs.KindDisconnected || !apiErr.MaybeSent || !errors.Is(err, cause) {
		t.Errorf("got %#v", apiErr)
	}
}

// A transport that gives up waiting, as one with a time limit of its own does, tells of no broken connection.
func TestTransportTimesOut(t *testing.T) {
	cause := &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}
	c := newClient(t, "https://host", WithHTTPClient(&http.Client{Transport: silentTransport{cause}}))
	checkStop(t, t.Context(), c, jobs.KindTimeout, true)
}

// A connection that is closed as it is used again says nothing about the other side's HTTP.
func TestIdleConnectionIsClosed(t *testing.T) {
	cause := errors.New("http: server closed idle connection")
	c := newClient(t, "https://host", WithHTTPClient(&http.Client{Transport: silentTransport{cause}}))
	_, err := stopJob(c, t.Context(), testProject, "10")
	if apiErr := asError(t, err); apiErr.Kind != jobs.KindDisconnected || !apiErr.MaybeSent || !errors.Is(err, cause) {
		t.Errorf("%v: got %#v", err, apiErr)
	}
}

package modelarts

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"vizstop/internal/jobs"
)

// maxAnswer is far more than a page of 100 jobs needs.
const maxAnswer = 4 << 20

var errTooLarge = errors.New("the answer is larger than 4 MiB")

func (c *Client) newRequest(ctx context.Context, cl *Call) (*http.Request, error) {
	// NoBody, not nil: it makes a POST say Content-Length: 0, which the gateway
	// demands.
	var body io.Reader = http.NoBody
	if len(cl.Body) > 0 {
		body = bytes.NewReader(cl.Body)
	}
	req, err := http.NewRequestWithContext(ctx, cl.Method, "", body)
	if err != nil {
		return nil, jobs.Unasked(cl.Operation, err)
	}
	req.URL, req.Host = cl.url, cl.url.Host // not as text that would be parsed again
	req.Header.Set("Content-Type", cl.contentType)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	return req, nil
}

// exchange sends req once and tells the observer.
func (c *Client) exchange(req *http.Request, cl *Call) *jobs.Error {
	if req.Context().Err() != nil {
		return interrupted(req.Context(), cl.Operation, false)
	}
	start := c.now()
	apiErr := c.roundTrip(req, cl)
	o := Observation{Operation: cl.Operation, Duration: c.now().Sub(start), Context: req.Context()}
	if apiErr != nil {
		o.Kind = apiErr.Kind
		if apiErr.Kind == jobs.KindCredentials {
			apiErr.Hint = cmp.Or(apiErr.Hint, c.advice)
		}
	}
	c.observe(o)
	return apiErr
}

func (c *Client) roundTrip(req *http.Request, cl *Call) *jobs.Error {
	var w wire
	resp, err := c.http.Do(w.watch(req))
	if err != nil {
		sent := w.maybeSent() && !errors.Is(err, errProxy)
		return noAnswer(req.Context(), cl.Operation, sent, withoutAnswer(err))
	}
	defer resp.Body.Close()
	body, err := readAll(resp.Body, resp.ContentLength)
	if err != nil && !errors.Is(err, errTooLarge) {
		apiErr := noAnswer(req.Context(), cl.Operation, true, withoutAnswer(err))
		apiErr.HTTPStatus = resp.StatusCode
		return apiErr
	}
	a := &Answer{Status: resp.StatusCode, Header: resp.Header, Body: body, secrets: secretsOf(req, cl)}
	return judge(cl, a, err, c.now())
}

// readAll reads to the end, so that the connection can serve again, unless there
// is too much. length is what to expect; less than 0 if that is not known.
func readAll(r io.Reader, length int64) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(int(min(max(length, 0), maxAnswer)) + bytes.MinRead)
	if _, err := buf.ReadFrom(io.LimitReader(r, maxAnswer+1)); err != nil {
		return nil, err
	}
	if buf.Len() > maxAnswer {
		return buf.Bytes()[:maxAnswer], errTooLarge
	}
	return bytes.TrimSpace(buf.Bytes()), nil
}

// interrupted is the error of a call whose context has ended.
func interrupted(ctx context.Context, operation string, maybeSent bool) *jobs.Error {
	kind := jobs.KindTimeout
	if errors.Is(ctx.Err(), context.Canceled) {
		kind = jobs.KindCanceled
	}
	return &jobs.Error{Operation: operation, Kind: kind, MaybeSent: maybeSent, Err: ctx.Err()}
}

// noAnswer is the error of a request that brought no response, or none that came
// whole and could be read; sent tells whether it may have left.
func noAnswer(ctx context.Context, operation string, sent bool, err error) *jobs.Error {
	// A login has no effect on jobs, and the call that needs it was not sent.
	maybeSent := sent && operation != jobs.OperationToken
	if ctx.Err() != nil {
		return interrupted(ctx, operation, maybeSent)
	}
	kind := jobs.KindUnreachable
	switch {
	case sent && errors.Is(err, errNotHTTP):
		kind = jobs.KindUnavailable
	case sent && timedOut(err):
		kind = jobs.KindTimeout
	case sent:
		kind = jobs.KindDisconnected
	}
	return &jobs.Error{Operation: operation, Kind: kind, MaybeSent: maybeSent, Err: err}
}

// timedOut reports whether the transport waited for an answer in vain, on a connection that held.
func timedOut(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// errNotHTTP stands for all that can be wrong with an answer below its content, such
// as its status line, a header or its compression.
var errNotHTTP = errors.New("the answer is not valid HTTP")

// closedIdle is the whole text of an error of net/http that has no name: the other side
// closed a connection in the moment in which it was used again. It happens every day.
const closedIdle = "http: server closed idle connection"

// withoutAnswer is why there is no answer, without words of the other side: net/http
// quotes what it can't read, and that may repeat our token. Only what tells of the
// connection keeps its text.
func withoutAnswer(err error) error {
	// The url.Error around it only repeats method and URL.
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	_, isNet := errors.AsType[net.Error](err)
	_, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, isTLS := errors.AsType[tls.RecordHeaderError](err)
	_, isProxy := errors.AsType[proxyError](err)
	isIdle := err.Error() == closedIdle
	if isNet || isCertificate || isTLS || isProxy || isIdle {
		return err
	}
	for _, known := range []error{io.EOF, io.ErrUnexpectedEOF, context.Canceled, http.ErrSchemeMismatch, errProxy} {
		if errors.Is(err, known) {
			return err
		}
	}
	return errNotHTTP
}

// wire watches how far a request got.
type wire struct {
	asked atomic.Bool // the transport went for a connection
	got   atomic.Bool // it got one, so bytes may have left
}

func (w *wire) watch(req *http.Request) *http.Request {
	return req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn: func(string) {
			w.asked.Store(true)
			// The transport sends a POST again only if not a byte of it had left.
			w.got.Store(false)
		},
		GotConn: func(httptrace.GotConnInfo) { w.got.Store(true) },
	}))
}

// maybeSent takes the worse case from a transport that reports nothing.
func (w *wire) maybeSent() bool { return w.got.Load() || !w.asked.Load() }

package console

import (
	"net/http"
	"time"
)

// How long a client may take to take what was written, before it is cut off.
const (
	writePause    = time.Minute     // of a principal
	strangerPause = 5 * time.Second // of anyone else: it costs nothing to open many connections and to take nothing
)

// answer notes what was answered, and cuts off a client that takes nothing.
type answer struct {
	http.ResponseWriter
	control   *http.ResponseController
	principal string // "": nobody was recognized
	began     time.Time
	status    int // 0: nothing was written
	bytes     int64
	pause     time.Duration
	until     time.Time // the deadline of writes
}

// allow gives the handler its time, and the client the pause to take what it writes.
func (a *answer) allow(handler, pause time.Duration) {
	a.pause, a.until = pause, time.Now().Add(handler+pause)
	_ = a.control.SetWriteDeadline(a.until)
}

// stopReading waits no longer for what the client sends: the server goes on to look whether it is still there, and a
// deadline would end the request.
func (a *answer) stopReading() { _ = a.control.SetReadDeadline(time.Time{}) }

// WriteHeader notes the status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write lets a stream go on as long as it is taken.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if until := time.Now().Add(a.pause); until.Sub(a.until) > time.Second {
		a.until = until
		_ = a.control.SetWriteDeadline(until)
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// secure sets what browsers are to keep to. What a web configuration file says, or a handler after this, goes
// first. The referrer goes to the console itself: without it, browsers would hide the origin of a form that is sent
// over plain HTTP, and it would be taken for another site's.
func secure(h http.Header, tls bool) {
	for name, value := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "deny",
		"Referrer-Policy":              "same-origin",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Cache-Control":                "no-store",
	} {
		if h.Get(name) == "" {
			h.Set(name, value)
		}
	}
	if tls && h.Get("Strict-Transport-Security") == "" {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

package check

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"vizstop/internal/modelarts"
	"vizstop/internal/version"
)

// Options are the client options that a check needs: they read the time in answers.
func Options(string) []modelarts.Option {
	return []modelarts.Option{modelarts.WithRoundTripper(watchClock), modelarts.WithUserAgent("vizstop/" + version.String())}
}

// clockKey is where a context keeps its *clock.
type clockKey struct{}

// clock is what answers have told about a server's clock. It is safe for concurrent use.
type clock struct{ seen atomic.Pointer[time.Duration] }

// difference is the server's clock minus ours in seconds; nil if no answer told it.
func (c *clock) difference() *float64 {
	d := c.seen.Load()
	if d == nil {
		return nil
	}
	seconds := d.Seconds()
	return &seconds
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// watchClock notes the Date of answers, which is to the second.
func watchClock(t http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		resp, err := t.RoundTrip(req)
		if err != nil {
			return resp, err
		}
		note(req.Context(), resp.Header.Get("Date"), time.Now())
		return resp, nil
	})
}

func note(ctx context.Context, date string, now time.Time) {
	c, ok := ctx.Value(clockKey{}).(*clock)
	if !ok {
		return
	}
	if server, err := http.ParseTime(date); err == nil {
		// The whole second is cut off, so the server is half a second further on average.
		d := server.Add(time.Second / 2).Sub(now).Round(time.Second)
		c.seen.Store(&d)
	}
}

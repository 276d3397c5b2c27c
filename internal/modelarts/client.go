// Package modelarts is a client for the visualization jobs of the ModelArts v1
// API: list them, show one, stop it, start it again.
//
// Every call sends one request, or two where a token that the API refused could
// be renewed. Retries, rates and timeouts are the caller's: a call lasts as long
// as its context lets it. Every error of a call is an *jobs.Error whose Kind says
// what kind of trouble it is.
//
// Source: ModelArts API reference, "Visualization Jobs", in its editions from
// 2019 to 2025. Where they contradict each other, all of them are understood.
package modelarts

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
	"vizstop/internal/jobs"
)

// Client calls the API of one endpoint. Make one with New; it is safe for use
// by many goroutines, and they should share it, because it owns the connections.
type Client struct {
	base      *url.URL
	http      *http.Client
	creds     Credentials
	advice    string // of WithAdvice
	userAgent string
	observe   func(Observation)
	now       func() time.Time
}

// New makes a client for the endpoint at baseURL, such as
// "https://modelarts.cn-north-4.myhuaweicloud.com". The URL must be https, or
// http to this machine, and may have a path but no user, query or fragment.
// Nothing is sent before the first call. Without WithCredentials requests carry
// no proof of identity.
func New(baseURL string, opts ...Option) (*Client, error) {
	o := options{
		creds:          anonymous{},
		userAgent:      "vizstop",
		maxConnections: defaultMaxConnections,
		observe:        func(Observation) {},
		now:            time.Now,
	}
	for _, opt := range opts {
		opt(&o)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	base, err := parseEndpoint("base URL", baseURL, o.plainHTTP)
	if err != nil {
		return nil, err
	}
	client, err := newHTTPClient(o.httpClient, o.maxConnections)
	if err != nil {
		return nil, err
	}
	for _, wrap := range o.wraps {
		client.Transport = wrap(client.Transport)
	}
	return &Client{
		base:      base,
		http:      client,
		creds:     o.creds,
		userAgent: o.userAgent,
		advice:    o.advice,
		observe:   o.observe,
		now:       o.now,
	}, nil
}

// do authenticates a call, sends it and judges the answer. It is sent a second
// time only if its credentials were refused and could be renewed: a refusal
// proves that the first one took no effect.
func (c *Client) do(ctx context.Context, cl *Call) error {
	for repeated := false; ; repeated = true {
		req, err := c.newRequest(ctx, cl)
		if err != nil {
			return err
		}
		if err := c.creds.authorize(ctx, c, req, cl); err != nil {
			return err
		}
		if cl.Operation == jobs.OperationStop {
			if err := jobs.Late(ctx); err != nil {
				return err
			}
		}
		apiErr := c.exchange(req, cl)
		if apiErr == nil {
			return nil
		}
		if repeated || apiErr.Kind != jobs.KindCredentials || !c.creds.renew(req, cl) {
			return apiErr
		}
	}
}

// options is what the Option functions fill in.
type options struct {
	httpClient     *http.Client
	wraps          []func(http.RoundTripper) http.RoundTripper
	creds          Credentials
	advice         string
	userAgent      string
	maxConnections int
	observe        func(Observation)
	now            func() time.Time
	plainHTTP      bool
}

func (o *options) check() error {
	switch {
	case o.creds == nil:
		return errors.New("modelarts: credentials are nil")
	case o.observe == nil:
		return errors.New("modelarts: observer is nil")
	case o.now == nil:
		return errors.New("modelarts: clock is nil")
	case o.maxConnections < 1:
		return errors.New("modelarts: max connections must be at least 1")
	case !validHeader(o.userAgent):
		return errors.New("modelarts: user agent has control characters")
	}
	return nil
}

package modelarts

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// defaultMaxConnections is room for a worker of ordinary concurrency.
const defaultMaxConnections = 32

// newHTTPClient is a copy of given, or a client of our own if that is nil, which
// never follows a redirect: a signature is for one host and path only, and a
// token must not travel to a host that an answer names.
func newHTTPClient(given *http.Client, maxConnections int) (*http.Client, error) {
	var client http.Client
	if given != nil {
		client = *given
	}
	if client.Transport == nil {
		client.Transport = newTransport(maxConnections)
	}
	if t, ok := client.Transport.(*http.Transport); ok && t.TLSClientConfig != nil {
		if v := t.TLSClientConfig.MinVersion; v != 0 && v < tls.VersionTLS12 {
			return nil, errors.New("modelarts: the HTTP client allows TLS below 1.2")
		}
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client, nil
}

// newTransport has limits for connecting only; how long an answer may take is
// for contexts to say.
func newTransport(maxConnections int) *http.Transport {
	// HTTP/2 would put all calls on one connection, where a single lost peer
	// stalls every one of them. A pool loses one call.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy: quietly(http.ProxyFromEnvironment),
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode != http.StatusOK {
				return proxyError(resp.StatusCode)
			}
			return nil
		},
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: maxConnections,
		MaxConnsPerHost:     maxConnections,
		// Shorter than the 60 s after which load balancers commonly hang up: a
		// POST that meets a closing connection is a POST of unknown effect.
		IdleConnTimeout:        45 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
		Protocols:              &protocols,
	}
}

// proxyError is the HTTP status with which a proxy refuses to connect. Its own words
// may repeat the password that it was sent.
type proxyError int

func (e proxyError) Error() string {
	return fmt.Sprintf("the proxy in HTTPS_PROXY answered %d %s", int(e), http.StatusText(int(e)))
}

// errProxy happens before a connection is looked for.
var errProxy = errors.New("the proxy URL in HTTPS_PROXY or HTTP_PROXY is not valid")

// quietly keeps a proxy's password, which net/http repeats when the proxy's URL
// is not valid, out of errors.
func quietly(proxy func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(req *http.Request) (*url.URL, error) {
		u, err := proxy(req)
		if err != nil {
			return nil, errProxy
		}
		return u, nil
	}
}

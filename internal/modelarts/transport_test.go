package modelarts

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/samples"
)

// serveTLS serves a success over TLS; its complaints about handshakes are not
// printed.
func serveTLS(t *testing.T, cfg *tls.Config) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, samples.Stop)
	}))
	server.TLS = cfg
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestTLS(t *testing.T) {
	server := serveTLS(t, nil)
	c := newClient(t, server.URL, WithHTTPClient(server.Client()))
	if _, err := stopJob(c, t.Context(), testProject, "10"); err != nil {
		t.Fatal(err)
	}
}

func TestTLSMinimum(t *testing.T) {
	server := serveTLS(t, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	transport := newTransport(1)
	transport.TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	c := newClient(t, server.URL, WithHTTPClient(&http.Client{Transport: transport}))
	_, err := stopJob(c, t.Context(), testProject, "10")
	apiErr := asError(t, err)
	if apiErr.Kind != jobs.KindUnreachable || apiErr.MaybeSent || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("got %v (kind %v, MaybeSent %v)", err, apiErr.Kind, apiErr.MaybeSent)
	}
}

func TestNewRefusesOldTLS(t *testing.T) {
	old := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS11}}}
	if _, err := New("https://host", WithHTTPClient(old)); err == nil {
		t.Error("a transport that allows TLS 1.1 was accepted")
	}
}

func TestUnknownCertificateIsUnreachable(t *testing.T) {
	server := serveTLS(t, nil)
	_, err := stopJob(newClient(t, server.URL), t.Context(), testProject, "10")
	if apiErr := asError(t, err); apiErr.Kind != jobs.KindUnreachable || apiErr.MaybeSent {
		t.Errorf("got %v (kind %v, MaybeSent %v)", err, apiErr.Kind, apiErr.MaybeSent)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s followed a redirect, token %q", r.Method, r.URL, r.Header.Get("X-Auth-Token"))
	})
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := samples.Answering(t, status, "", "Location", elsewhere.URL+jobsPath)
		c := newClient(t, server.URL, WithHTTPClient(&http.Client{}))
		_, stop := stopJob(c, t.Context(), testProject, "10")
		_, show := getJob(c, t.Context(), testProject, "10")
		for _, err := range []error{stop, show} {
			apiErr := asError(t, err)
			if apiErr.Kind != jobs.KindNoAPI || apiErr.HTTPStatus != status || apiErr.MaybeSent {
				t.Errorf("%d: %v", status, err)
			}
		}
	}
}

func TestCallersHTTPClientStaysAsItIs(t *testing.T) {
	given := &http.Client{Timeout: time.Minute}
	c := newClient(t, "https://host", WithHTTPClient(given))
	if given.Transport != nil || given.CheckRedirect != nil || given.Timeout != time.Minute {
		t.Errorf("the caller's client became %+v", given)
	}
	if c.http == given || c.http.Timeout != time.Minute {
		t.Error("the client in use is not a copy")
	}
}

func TestProxyErrorHidesPassword(t *testing.T) {
	transport := newTransport(1)
	transport.Proxy = quietly(func(*http.Request) (*url.URL, error) {
		return nil, errors.New(`invalid proxy address "http://user:hush@:x"`)
	})
	c := newClient(t, "https://host.example", WithHTTPClient(&http.Client{Transport: transport}))
	_, err := stopJob(c, t.Context(), testProject, "10")
	if !strings.Contains(err.Error(), "HTTPS_PROXY") {
		t.Errorf("got %v", err)
	}
	if apiErr := asError(t, err); apiErr.Kind != jobs.KindUnreachable || apiErr.MaybeSent {
		t.Errorf("kind %v, MaybeSent %v", apiErr.Kind, apiErr.MaybeSent)
	}
	mustHide(t, err, "hush")
}

func TestProxyIsUsed(t *testing.T) {
	proxy, err := url.Parse("http://127.0.0.1:3128")
	if err != nil {
		t.Fatal(err)
	}
	got, err := quietly(http.ProxyURL(proxy))(nil)
	if got != proxy || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

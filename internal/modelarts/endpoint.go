package modelarts

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// parseEndpoint checks an endpoint's URL; what names it in errors. The errors
// never repeat a URL that could hold a password.
func parseEndpoint(what, raw string, allowPlain bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("modelarts: %s is not a valid URL", what)
	}
	switch {
	case u.User != nil:
		return nil, fmt.Errorf("modelarts: %s must not contain a user or password", what)
	case u.RawQuery != "" || u.ForceQuery:
		return nil, fmt.Errorf("modelarts: %s must not have a query", what)
	case strings.Contains(raw, "#"):
		return nil, fmt.Errorf("modelarts: %s must not have a fragment", what)
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("modelarts: %s must start with https://", what)
	case u.Hostname() == "":
		return nil, fmt.Errorf("modelarts: %s has no host", what)
	case u.Scheme == "http" && !allowPlain && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("modelarts: %s must be https: plain http to %q would leave this machine", what, u.Host)
	}
	return u, nil
}

// below is an endpoint's URL with segments added to its path.
func below(endpoint *url.URL, segments ...string) *url.URL {
	u := endpoint.JoinPath(segments...)
	if !strings.HasPrefix(u.Path, "/") { // so it is where the endpoint has no path
		u.Path = "/" + u.Path
	}
	return u
}

// isLoopback looks at the text only: a name that merely resolves to this
// machine could resolve to another one tomorrow.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

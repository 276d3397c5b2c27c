package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// requestTimeout bounds one request, its answer included.
const requestTimeout = 10 * time.Second

// sender posts signed JSON to hosts that are allowed.
type sender struct {
	http   *http.Client
	hosts  []string
	secret func() string // a closure, so that no %v can show it
	now    func() time.Time
}

func newSender(secret string, hosts []string, now func() time.Time) *sender {
	s := &sender{hosts: hosts, secret: func() string { return secret }, now: now}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if len(hosts) == 0 {
		dialer.Control = publicOnly
	}
	s.http = &http.Client{
		Timeout:       requestTimeout,
		Transport:     &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second, MaxIdleConns: 10, MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: 30 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

// publicOnly refuses addresses of this machine and of private networks. It
// looks at what a name resolved to, so that a name can't get around it.
func publicOnly(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ip := ap.Addr().Unmap(); !public(ip) {
		return fmt.Errorf("%v is not a public address: name the host in --notify-hosts (VIZSTOP_NOTIFY_HOSTS) to allow it", ip)
	}
	return nil
}

// public reports whether ip is an address of the public Internet.
func public(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	return !slices.ContainsFunc(notPublic(), func(p netip.Prefix) bool { return p.Contains(ip) })
}

// notPublic lists what net/netip takes for global unicast although it leads
// nowhere, into a provider's network, or to an IPv4 address within an IPv6 one.
//
// Source: IANA IPv4 and IPv6 Special-Purpose Address Registries; RFC 2765 for
// ::ffff:0:0:0/96.
func notPublic() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4",
		"::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32",
		"2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
	} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// allowed says why target may not be posted to.
func (s *sender) allowed(target string) error {
	u, err := url.Parse(target)
	if err != nil || CheckURL(target) != nil {
		return errors.New("the URL is not valid")
	}
	switch {
	case len(s.hosts) == 0 && u.Scheme != "https":
		return errors.New("only https is allowed: name the host in --notify-hosts (VIZSTOP_NOTIFY_HOSTS) to allow http")
	case len(s.hosts) > 0 && !slices.Contains(s.hosts, strings.ToLower(u.Host)) && !slices.Contains(s.hosts, strings.ToLower(u.Hostname())):
		return fmt.Errorf("host %s is not one of --notify-hosts (VIZSTOP_NOTIFY_HOSTS)", u.Host)
	}
	return nil
}

// post sends v; any 2xx is success. Errors hold no more of the URL than its
// host.
func (s *sender) post(ctx context.Context, target, id string, v any) error {
	if err := s.allowed(target); err != nil {
		return err
	}
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return errors.New("the URL is not valid")
	}
	stamp := strconv.FormatInt(s.now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "vizstop")
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", stamp)
	if secret := s.secret(); secret != "" {
		req.Header.Set("webhook-signature", sign(secret, id, stamp, body))
	}
	res, err := s.http.Do(req)
	if err != nil {
		if urlErr, ok := errors.AsType[*url.Error](err); ok {
			err = urlErr.Err // without the URL
		}
		return err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // to use the connection again
	if res.StatusCode < 200 || res.StatusCode > 299 {
		// Not its own words: they go to the log.
		return fmt.Errorf("answered %s", strings.TrimSpace(strconv.Itoa(res.StatusCode)+" "+http.StatusText(res.StatusCode)))
	}
	return nil
}

// sign is the webhook-signature header of the Standard Webhooks specification.
// A secret that begins with whsec_ is base64, any other is taken as it is.
func sign(secret, id, stamp string, body []byte) string {
	key := []byte(secret)
	if encoded, ok := strings.CutPrefix(secret, "whsec_"); ok {
		if decoded, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			key = decoded
		}
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

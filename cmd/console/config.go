package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"vizstop/internal/console"
	"vizstop/internal/httpd"
	"vizstop/internal/principals"
	"vizstop/internal/settings"
)

// config is the settings of "console run", and what the files that they name say.
type config struct {
	settings.Set
	redis settings.Redis
	api   settings.API
	log   settings.Log

	listen         string
	metricsListen  string // "": on the same listener, for principals
	webConfig      string // a file
	principalsFile string
	prefix         string
	trustedOrigins []string
	hosts          []string
	actions        bool
	behindProxy    bool
	grafanaURL     string
	runbookURL     string
	requestRate    int

	web        httpd.WebConfig
	principals *principals.Directory
}

const (
	defaultListen = "127.0.0.1:9465"
	listenSetting = "--listen (VIZSTOP_CONSOLE_LISTEN)"
)

// declare declares every setting.
func (c *config) declare() {
	c.String(&c.listen, "listen", "VIZSTOP_CONSOLE_LISTEN", defaultListen, "address of the page and the API; beyond loopback only with --principals", checkAddress)
	c.String(&c.webConfig, "web-config-file", "VIZSTOP_CONSOLE_WEB_CONFIG_FILE", "",
		"web configuration file of Prometheus exporters, for TLS and client certificates; without basic_auth_users", nil)
	c.String(&c.principalsFile, "principals", "VIZSTOP_CONSOLE_PRINCIPALS", "",
		"file of principals: who may come in, and what they may do; without it everybody on this machine may look", nil)
	c.Bool(&c.actions, "actions", "VIZSTOP_CONSOLE_ACTIONS", "let principals with the role operate pause, resume, cancel, retry, undo, allow, and run or suspend schedules")
	c.String(&c.prefix, "prefix", "VIZSTOP_CONSOLE_PREFIX", "", "path below which everything is, such as /vizstop, where a proxy passes only that", c.takePrefix)
	c.Strings(&c.hosts, "host", "VIZSTOP_CONSOLE_HOST",
		"name that browsers and programs reach the console by, besides loopback names and its address; repeatable, or several by comma", checkHost)
	c.Strings(&c.trustedOrigins, "trusted-origin", "VIZSTOP_CONSOLE_TRUSTED_ORIGIN",
		"origin such as https://ops.example.com under which a proxy shows the console; repeatable, or several by comma", checkOrigin)
	c.Bool(&c.behindProxy, "behind-proxy", "VIZSTOP_CONSOLE_BEHIND_PROXY", "a proxy in front gives TLS: plain HTTP beyond loopback is no reason to warn")
	c.String(&c.metricsListen, "metrics-listen", "VIZSTOP_CONSOLE_METRICS_LISTEN", "",
		"address of /metrics, /healthz and /readyz without TLS and principals; without it, /metrics is beside the page, for principals", func(v string) error {
			if v == "" {
				return nil
			}
			return checkAddress(v)
		})
	c.String(&c.grafanaURL, "grafana-url", "VIZSTOP_CONSOLE_GRAFANA_URL", "", "where Grafana is, for links to its dashboards", c.takeURL(&c.grafanaURL))
	c.String(&c.runbookURL, "runbook-url", "VIZSTOP_CONSOLE_RUNBOOK_URL", "", "where the runbooks are, for links from what is wrong", c.takeURL(&c.runbookURL))
	c.Int(&c.requestRate, "request-rate", "VIZSTOP_CONSOLE_REQUEST_RATE", console.DefaultRate,
		"requests a second that a principal may send, twice that in a burst", 1, 1000000)
	c.redis.Declare(&c.Set, false)
	c.api.Declare(&c.Set, true)
	c.log.Declare(&c.Set)
	c.Check(c.readWebConfig)
	c.Check(c.readPrincipals)
}

func checkAddress(v string) error {
	if _, _, err := net.SplitHostPort(v); err != nil {
		return fmt.Errorf("%q is not an address such as 127.0.0.1:9465 or :9465", v)
	}
	return nil
}

var prefixForm = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

func (c *config) takePrefix(v string) error {
	c.prefix = strings.TrimSuffix(v, "/")
	if !prefixForm.MatchString(c.prefix) {
		return fmt.Errorf("%q is not a path such as /vizstop", v)
	}
	return nil
}

var hostForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)

func checkHost(v string) error {
	if _, err := netip.ParseAddr(v); err == nil || hostForm.MatchString(v) {
		return nil
	}
	return fmt.Errorf("%q is not a name such as vizstop.example.com, without port and https://", v)
}

func checkOrigin(v string) error {
	u, err := url.Parse(v)
	if err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.User == nil && http.NewCrossOriginProtection().AddTrustedOrigin(v) == nil {
		return nil
	}
	return fmt.Errorf("%q is not an origin such as https://ops.example.com, without a path", v)
}

// takeURL checks the address of another server, and takes it without a slash at its end.
func (c *config) takeURL(p *string) func(string) error {
	return func(v string) error {
		u, err := url.Parse(v)
		if v != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil) {
			return errors.New("this is not an address such as https://grafana.example.com, without user and password")
		}
		*p = strings.TrimSuffix(v, "/")
		return nil
	}
}

// readWebConfig reads the file for TLS.
func (c *config) readWebConfig() error {
	if c.webConfig == "" {
		return nil
	}
	const name = "--web-config-file (VIZSTOP_CONSOLE_WEB_CONFIG_FILE)"
	web, err := httpd.ReadWebConfig(c.webConfig)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	case web.Passwords:
		return fmt.Errorf("%s: %s has basic_auth_users, which would refuse every request with a token: take them out, and name who may come in with --principals",
			name, c.webConfig)
	}
	c.web = web
	return nil
}

// readPrincipals reads who may come in, and refuses what needs principals without any.
func (c *config) readPrincipals() error {
	d, err := principals.Open(c.principalsFile, nil)
	if err != nil {
		return fmt.Errorf("--principals (VIZSTOP_CONSOLE_PRINCIPALS): %w", err)
	}
	c.principals = d
	if d.HasFile() {
		return nil
	}
	var faults []error
	if c.beyond() {
		faults = append(faults, fmt.Errorf("%s: %s can be reached from other machines, and without principals everybody there could look: "+
			"name a file of them with --principals (VIZSTOP_CONSOLE_PRINCIPALS), or listen on 127.0.0.1", listenSetting, c.listen))
	}
	if c.actions {
		faults = append(faults, errors.New("--actions (VIZSTOP_CONSOLE_ACTIONS) needs to know who acts: name a file of principals with --principals (VIZSTOP_CONSOLE_PRINCIPALS)"))
	}
	return errors.Join(faults...)
}

// beyond reports whether other machines can reach the console. No name is looked up: of all names only localhost is
// known.
func (c *config) beyond() bool {
	host, _, err := net.SplitHostPort(c.listen)
	return err == nil && !strings.EqualFold(host, "localhost") && httpd.BeyondThisMachine(net.JoinHostPort(host, "0"))
}

// notes are what is right but should be known, one a line.
func (c *config) notes(now time.Time) (notes []string) {
	notes = c.Warnings()
	if c.beyond() && !c.web.TLS && !c.behindProxy {
		notes = append(notes, "tokens travel in clear: give the console TLS with --web-config-file (VIZSTOP_CONSOLE_WEB_CONFIG_FILE), "+
			"or say with --behind-proxy (VIZSTOP_CONSOLE_BEHIND_PROXY) that a proxy does it")
	}
	if !c.principals.HasFile() {
		return notes
	}
	all := c.principals.File().All()
	for _, p := range all {
		if p.Expired(now) {
			notes = append(notes, fmt.Sprintf("the principal %s has expired, on %s: it is refused", p.Name, p.Expires.UTC().Format(time.RFC3339)))
		}
		if p.Certificate && !c.web.Certificates {
			notes = append(notes, fmt.Sprintf("the principal %s comes with a client certificate, and none is asked for: set client_auth_type and client_ca_file in --web-config-file", p.Name))
		}
	}
	if c.actions && !slices.ContainsFunc(all, func(p *principals.Principal) bool { return p.May(principals.Operate) && !p.Expired(now) }) {
		notes = append(notes, "--actions lets nobody do anything: no principal has the role operate")
	}
	return notes
}

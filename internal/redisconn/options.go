// Package redisconn turns one URL into a connection to Redis: a single server,
// a Unix socket, a master found through Sentinels, a Redis Cluster, or the
// Redis that the worker embeds.
package redisconn

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// DefaultEmbeddedAddr is where an embedded Redis listens unless told otherwise,
// and where Options of the word "embedded" connect to. It is not Redis' own
// port, so that both can run on one machine.
const DefaultEmbeddedAddr = "127.0.0.1:6380"

// kind is how the servers of a URL are put together.
type kind int

const (
	single kind = iota
	unixSocket
	sentinel
	cluster
	embedded
)

// Options say how to reach Redis. Parse makes them; they are immutable and safe
// for concurrent use. However they are printed or logged, secrets stay out.
type Options struct {
	kind     kind
	tls      bool
	addrs    []string // host:port each; the path of a Unix socket
	db       int
	master   string // name of the master, sentinel only
	poolSize int    // per server; 0 leaves it to go-redis
	roots    *x509.CertPool
	// inProcess says that the server is in this process.
	inProcess bool
	// certificate is asked for at each handshake in which the server wants one; nil: there is none.
	certificate func() (tls.Certificate, error)
	// login is a function because fmt prints one as an address, whatever the
	// verb: so not even a struct with Options in it shows a password.
	login func() login
}

// login holds the users too, since redis://secret@host is a common slip.
type login struct {
	user, password                 string
	sentinelUser, sentinelPassword string
}

// InProcess returns options that lead to a Redis of this process at host:port,
// without a password: clients wait up to ten minutes for an answer.
func InProcess(addr string) *Options {
	return &Options{addrs: []string{addr}, inProcess: true, login: func() login { return login{} }}
}

// IsEmbedded tells whether the URL was the word "embedded".
func (o *Options) IsEmbedded() bool { return o.kind == embedded }

// WithPassword returns a copy with the password of VIZSTOP_REDIS_PASSWORD or
// of a secret file, taken as it is. It replaces a password in the URL; an empty
// one changes nothing.
func (o *Options) WithPassword(password string) *Options {
	if password == "" {
		return o
	}
	return o.withLogin(func(l *login) { l.password = password })
}

// WithSentinelPassword is WithPassword for the Sentinels, which never share
// the password of the servers that they watch.
func (o *Options) WithSentinelPassword(password string) *Options {
	if password == "" {
		return o
	}
	return o.withLogin(func(l *login) { l.sentinelPassword = password })
}

func (o *Options) withLogin(change func(*login)) *Options {
	c, l := *o, o.login()
	change(&l)
	c.login = func() login { return l }
	return &c
}

// WithPoolSize returns a copy with at most n connections to each server. It
// wins over pool_size in the URL; 0 or less changes nothing. By default there
// are 10 per CPU.
func (o *Options) WithPoolSize(n int) *Options {
	if n <= 0 {
		return o
	}
	c := *o
	c.poolSize = n
	return &c
}

// WithRootCAs returns a copy that trusts the certificates of pool instead of
// the system's. It matters to TLS only.
func (o *Options) WithRootCAs(pool *x509.CertPool) *Options {
	c := *o
	c.roots = pool
	return &c
}

// WithCertificate returns a copy that shows servers which ask for it the certificate that load returns. It is loaded
// for each connection, so one that is renewed is used from then on. It matters to TLS only.
func (o *Options) WithCertificate(load func() (tls.Certificate, error)) *Options {
	c := *o
	c.certificate = load
	return &c
}

// TLS reports whether connections are encrypted.
func (o *Options) TLS() bool { return o.tls }

// String is the URL with *** in place of each secret. Parse accepts it. Like
// the other ways to show Options it works on a copy as well.
func (o Options) String() string {
	if o.kind == embedded {
		return embeddedWord
	}
	var b strings.Builder
	l := o.login()
	b.WriteString(o.scheme() + "://" + userinfo(l.user, l.password))
	switch o.kind {
	case unixSocket:
		b.WriteString((&url.URL{Path: o.addrs[0]}).EscapedPath())
	case cluster:
		b.WriteString(o.hosts())
	default:
		b.WriteString(o.hosts() + "/" + strconv.Itoa(o.db))
	}
	b.WriteString(o.query())
	return b.String()
}

// GoString is String, so that %#v keeps the secrets too.
func (o Options) GoString() string { return o.String() }

// Format writes String whatever the verb.
func (o Options) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, o.String()) }

// LogValue is String.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }

func (o *Options) scheme() string {
	name := "redis"
	if o.tls {
		name = "rediss"
	}
	switch o.kind {
	case unixSocket:
		return "unix"
	case sentinel:
		return name + "-sentinel"
	case cluster:
		return name + "-cluster"
	}
	return name
}

// hosts writes a zone of an IPv6 address as a URL wants it.
func (o *Options) hosts() string {
	return strings.ReplaceAll(strings.Join(o.addrs, ","), "%", "%25")
}

// query shows the parameters that differ from their defaults.
func (o *Options) query() string {
	var pairs []string
	add := func(show bool, name, value string) {
		if show {
			pairs = append(pairs, name+"="+value)
		}
	}
	add(o.kind == unixSocket && o.db != 0, "db", strconv.Itoa(o.db))
	add(o.master != "", "master", escape(o.master))
	// A user without a password may be a password, as in userinfo.
	l := o.login()
	add(l.sentinelPassword != "" && l.sentinelUser != "", "sentinel_user", escape(l.sentinelUser))
	add(l.sentinelPassword != "", "sentinel_password", hidden)
	add(o.poolSize != 0, "pool_size", strconv.Itoa(o.poolSize))
	if len(pairs) == 0 {
		return ""
	}
	return "?" + strings.Join(pairs, "&")
}

// secrets are the texts that must not be shown.
func (o *Options) secrets() []string {
	l := o.login()
	all := []string{l.password, l.sentinelPassword}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

const hidden = "***"

// userinfo shows a user only next to a password: alone it may be a password
// that was put in the wrong place.
func userinfo(user, password string) string {
	if password == "" {
		return ""
	}
	return url.User(user).String() + ":" + hidden + "@"
}

// escape keeps a space from becoming a plus, which Parse takes as it is.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

package redisconn

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

const embeddedWord = "embedded"

// The errors of this file never quote what the user wrote, except for the name
// of a parameter: a slip in a URL easily makes a piece of the password look
// like a host, a port or a path. net/url quotes the whole URL, so its parser is
// not used either.
var (
	errScheme = errors.New("it must be redis://host:6379/0, rediss://host:6379/0, unix:///path/to.sock, " +
		"redis-sentinel://host1,host2/0?master=name, redis-cluster://host1,host2 or the word embedded")
	errUnescaped = errors.New("the user or password holds a / ? # or @ that must be written %2F %3F %23 or %40; " +
		"or leave the password out and set VIZSTOP_REDIS_PASSWORD")
	errPercent  = errors.New("a % must be followed by two hex digits; a % itself is written %25")
	errFragment = errors.New("a # must be written %23")
	errDatabase = errors.New("the database must be a whole number from 0, as in redis://host:6379/0")
	errMaster   = errors.New("the name of the master is missing: add ?master=name, as the Sentinels know it")
	errSocket   = errors.New("a socket must be an absolute path, as in unix:///run/redis/redis.sock")
)

// Parse reads one of
//
//	redis://[user:password@]host[:6379][/db]
//	redis-sentinel://[user:password@]host[:26379],…[/db]?master=name[&sentinel_user=…][&sentinel_password=…]
//	redis-cluster://[user:password@]host[:6379],…
//	unix://[user:password@]/path/to.sock[?db=0]
//	embedded
//
// With TLS 1.2 or later the schemes are rediss, rediss-sentinel and
// rediss-cluster, or the parameter tls=true is added. pool_size=n is
// WithPoolSize. Special characters are percent-encoded everywhere; a plus is a
// plus. Embedded options lead to DefaultEmbeddedAddr.
//
// An error is one line, says what would be right and holds no secret.
func Parse(rawURL string) (*Options, error) {
	o, err := parse(strings.TrimSpace(rawURL))
	if err != nil {
		return nil, fmt.Errorf("redis URL: %w", err)
	}
	return o, nil
}

func parse(raw string) (*Options, error) {
	var l login
	o := &Options{login: func() login { return l }}
	if raw == embeddedWord {
		o.kind, o.addrs = embedded, []string{DefaultEmbeddedAddr}
		return o, nil
	}
	scheme, rest, _ := strings.Cut(raw, "://")
	if !o.setScheme(strings.ToLower(scheme)) {
		return nil, errScheme
	}
	authority, path, query, err := o.split(rest)
	if err != nil {
		return nil, err
	}
	hosts, err := l.parse(authority)
	if err != nil {
		return nil, err
	}
	if err := o.parseServers(hosts, path); err != nil {
		return nil, err
	}
	if err := o.parseQuery(query, &l); err != nil {
		return nil, err
	}
	if o.kind == sentinel && o.master == "" {
		return nil, errMaster
	}
	return o, nil
}

func (o *Options) setScheme(name string) (known bool) {
	switch name {
	case "redis", "rediss":
		o.kind = single
	case "redis-sentinel", "rediss-sentinel":
		o.kind = sentinel
	case "redis-cluster", "rediss-cluster":
		o.kind = cluster
	case "unix":
		o.kind = unixSocket
	default:
		return false
	}
	o.tls = strings.HasPrefix(name, "rediss")
	return true
}

// split cuts what follows the scheme. An @ after the authority means that the
// password holds a character that ended the authority too early; only the path
// of a socket may hold one.
func (o *Options) split(rest string) (authority, path, query string, err error) {
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	isPath := o.kind == unixSocket && (authority == "" || strings.Contains(authority, "@"))
	if strings.Contains(tail, "@") && !isPath {
		return "", "", "", errUnescaped
	}
	if strings.Contains(tail, "#") {
		return "", "", "", errFragment
	}
	path, query, _ = strings.Cut(tail, "?")
	return authority, path, query, nil
}

// parse takes user and password off the authority and returns the hosts.
func (l *login) parse(authority string) (hosts string, err error) {
	i := strings.LastIndex(authority, "@")
	if i < 0 {
		return authority, nil
	}
	user, password, _ := strings.Cut(authority[:i], ":")
	if l.user, err = unescape(user); err != nil {
		return "", err
	}
	if l.password, err = unescape(password); err != nil {
		return "", err
	}
	return authority[i+1:], nil
}

// parseServers reads the hosts and the path, or the path of a socket.
func (o *Options) parseServers(hosts, path string) (err error) {
	if o.kind == unixSocket {
		return o.parseSocket(hosts, path)
	}
	if o.addrs, err = parseHosts(hosts, o.defaultPort()); err != nil {
		return err
	}
	if o.kind == single && len(o.addrs) > 1 {
		return errors.New("redis:// takes one host; for several use redis-sentinel:// or redis-cluster://")
	}
	if db := strings.TrimPrefix(path, "/"); db != "" {
		o.db, err = parseDB(db)
	}
	if o.kind == cluster && o.db != 0 {
		return errors.New("a Redis Cluster has database 0 only: leave the path out")
	}
	return err
}

func (o *Options) parseSocket(host, path string) error {
	path, err := unescape(path)
	if err != nil {
		return err
	}
	if host != "" || !strings.HasPrefix(path, "/") || path == "/" || strings.ContainsFunc(path, unicode.IsControl) {
		return errSocket
	}
	o.addrs = []string{path}
	return nil
}

func (o *Options) defaultPort() string {
	if o.kind == sentinel {
		return "26379"
	}
	return "6379"
}

func parseDB(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, errDatabase
	}
	return int(n), nil
}

// unescape leaves a plus as it is: only forms mean a space by it.
func unescape(s string) (string, error) {
	s, err := url.PathUnescape(s)
	if err != nil {
		return "", errPercent
	}
	return s, nil
}

package redisconn

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// maxPoolSize catches a slip: by default a Redis server takes 10000 clients.
const maxPoolSize = 10000

// parseQuery reads the parameters. It refuses those it doesn't know by name, so
// that a misspelt one is not taken for set.
func (o *Options) parseQuery(query string, l *login) error {
	if query == "" {
		return nil
	}
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		value, err := unescape(value)
		if err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("parameter %s is given twice", quotable(name))
		}
		seen[name] = true
		if err := o.setParameter(name, value, l); err != nil {
			return err
		}
	}
	return nil
}

func (o *Options) setParameter(name, value string, l *login) (err error) {
	switch name {
	case "pool_size":
		return o.setPoolSize(value)
	case "tls":
		return o.setTLS(value)
	case "db":
		if o.kind != unixSocket {
			return errors.New("parameter db is for unix:// only; elsewhere the path is the database: redis://host:6379/2")
		}
		o.db, err = parseDB(value)
		return err
	case "master", "sentinel_user", "sentinel_password":
		if o.kind != sentinel {
			return fmt.Errorf("parameter %s is for redis-sentinel:// only", name)
		}
	}
	switch name {
	case "master":
		o.master = value
	case "sentinel_user":
		l.sentinelUser = value
	case "sentinel_password":
		l.sentinelPassword = value
	default:
		return fmt.Errorf("parameter %s is unknown; known are %s", quotable(name), o.known())
	}
	return nil
}

func (o *Options) setPoolSize(value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxPoolSize {
		return fmt.Errorf("parameter pool_size must be a whole number from 1 to %d", maxPoolSize)
	}
	o.poolSize = n
	return nil
}

func (o *Options) setTLS(value string) error {
	switch {
	case o.kind == unixSocket:
		return errors.New("parameter tls is of no use to a Unix socket: leave it out")
	case value == "true":
		o.tls = true
		return nil
	case value != "false":
		return errors.New("parameter tls must be true or false")
	case o.tls:
		return errors.New("parameter tls=false contradicts the scheme: without TLS it begins with redis instead of rediss")
	}
	return nil
}

func (o *Options) known() string {
	switch o.kind {
	case unixSocket:
		return "db, pool_size"
	case sentinel:
		return "master, sentinel_user, sentinel_password, tls, pool_size"
	default:
		return "tls, pool_size"
	}
}

var parameterName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)

// quotable is name if that looks like one, else a word in its place.
func quotable(name string) string {
	if parameterName.MatchString(name) {
		return strconv.Quote(name)
	}
	return "(unreadable)"
}

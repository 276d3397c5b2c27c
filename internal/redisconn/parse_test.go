package redisconn

import (
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		url  string
		want Options
		str  string
	}{
		{"redis://h", Options{addrs: []string{"h:6379"}}, "redis://h:6379/0"},
		{" redis://127.0.0.1:6380/15\n", Options{addrs: []string{"127.0.0.1:6380"}, db: 15}, "redis://127.0.0.1:6380/15"},
		{"REDIS://my_redis.example.:1/", Options{addrs: []string{"my_redis.example.:1"}}, "redis://my_redis.example.:1/0"},
		{"redis://u:p%40%2F+ss@h", Options{addrs: []string{"h:6379"}, login: is(login{user: "u", password: "p@/+ss"})},
			"redis://u:***@h:6379/0"},
		{"redis://:p:q@r@h", Options{addrs: []string{"h:6379"}, login: is(login{password: "p:q@r"})}, "redis://:***@h:6379/0"},
		{"redis://maybe-a-secret@h", Options{addrs: []string{"h:6379"}, login: is(login{user: "maybe-a-secret"})}, "redis://h:6379/0"},
		{"redis://u%3A%0A:p@h", Options{addrs: []string{"h:6379"}, login: is(login{user: "u:\n", password: "p"})},
			"redis://u%3A%0A:***@h:6379/0"},
		{"redis://[::1]:7000/3", Options{addrs: []string{"[::1]:7000"}, db: 3}, "redis://[::1]:7000/3"},
		{"redis://[fe80:0::1%25eth0]", Options{addrs: []string{"[fe80::1%eth0]:6379"}}, "redis://[fe80::1%25eth0]:6379/0"},
		{"rediss://h/1?pool_size=7", Options{addrs: []string{"h:6379"}, db: 1, tls: true, poolSize: 7}, "rediss://h:6379/1?pool_size=7"},
		{"redis://h?tls=true", Options{addrs: []string{"h:6379"}, tls: true}, "rediss://h:6379/0"},
		{"rediss://h?tls=true", Options{addrs: []string{"h:6379"}, tls: true}, "rediss://h:6379/0"},
		{"redis://h?tls=false", Options{addrs: []string{"h:6379"}}, "redis://h:6379/0"},
		{"unix:///run/a%20b%3F@c.sock?db=2", Options{kind: unixSocket, addrs: []string{"/run/a b?@c.sock"}, db: 2},
			"unix:///run/a%20b%3F@c.sock?db=2"},
		{"unix://u:p@/run/s@", Options{kind: unixSocket, addrs: []string{"/run/s@"}, login: is(login{user: "u", password: "p"})},
			"unix://u:***@/run/s@"},
		{"redis-sentinel://u:p@h1,h2:1/4?master=my%20m&sentinel_password=s%26s+", Options{kind: sentinel, master: "my m", db: 4,
			addrs: []string{"h1:26379", "h2:1"}, login: is(login{user: "u", password: "p", sentinelPassword: "s&s+"})},
			"redis-sentinel://u:***@h1:26379,h2:1/4?master=my%20m&sentinel_password=***"},
		{"rediss-sentinel://h?sentinel_user=x&sentinel_password=y&master=m", Options{kind: sentinel, master: "m", tls: true,
			addrs: []string{"h:26379"}, login: is(login{sentinelUser: "x", sentinelPassword: "y"})},
			"rediss-sentinel://h:26379/0?master=m&sentinel_user=x&sentinel_password=***"},
		{"redis-cluster://h1,[::2]:7000", Options{kind: cluster, addrs: []string{"h1:6379", "[::2]:7000"}},
			"redis-cluster://h1:6379,[::2]:7000"},
		{"rediss-cluster://h/0", Options{kind: cluster, tls: true, addrs: []string{"h:6379"}}, "rediss-cluster://h:6379"},
		{"embedded", Options{kind: embedded, addrs: []string{DefaultEmbeddedAddr}}, "embedded"},
	} {
		if test.want.login == nil {
			test.want.login = is(login{})
		}
		got, err := Parse(test.url)
		if err != nil {
			t.Errorf("Parse(%q): %v", test.url, err)
			continue
		}
		if got.login() != test.want.login() {
			t.Errorf("Parse(%q) has login %+v, want %+v", test.url, got.login(), test.want.login())
		}
		shown := got.String()
		if shown != test.str {
			t.Errorf("Parse(%q).String() = %s, want %s", test.url, shown, test.str)
		}
		if got.IsEmbedded() != (test.url == "embedded") {
			t.Errorf("Parse(%q).IsEmbedded() = %t", test.url, got.IsEmbedded())
		}
		got.login, test.want.login = nil, nil // functions are never equal
		if !reflect.DeepEqual(*got, test.want) {
			t.Errorf("Parse(%q) is not as wanted; it shows as %s", test.url, shown)
		}
	}
}

func is(l login) func() login { return func() login { return l } }

// TestParseRefuses has the password s3cret wherever a slip may put one.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const scheme, host, port, db, unescaped = "it must be redis://host", "host name", "1 to 65535", "database must be", "%2F"
	for url, want := range map[string]string{
		"":                             scheme,
		"h:6379":                       scheme,
		"Embedded":                     scheme,
		"http://u:s3cret@h":            scheme,
		"u:s3cret://@h":                scheme,
		"redis:u:s3cret@h":             scheme,
		"redis://":                     host,
		"redis://u:s3cret@":            host,
		"redis:///0":                   host,
		"redis://h h":                  host,
		"redis://h\x00":                host,
		"redis://-h":                   host,
		"redis://::1":                  host,
		"redis://[::1":                 host,
		"redis://[127.0.0.1]":          host,
		"redis://[::1]x:1":             host,
		"redis://[fe80::1%25a/b]":      host,
		"redis://u:s3cret":             port,
		"redis://h:0":                  port,
		"redis://h:65536":              port,
		"redis://h:":                   port,
		"redis://h:+1":                 port,
		"redis://h/s3cret":             db,
		"redis://h/-1":                 db,
		"redis://h/0/":                 db,
		"redis://h/99999999999":        db,
		"redis://h1,h2":                "takes one host",
		"redis://u:s3cret/x@h":         unescaped,
		"redis://u:s3cret?x@h":         unescaped,
		"redis://u:s3cret#x@h":         unescaped,
		"redis://u:1/0?s3cret=@h":      unescaped,
		"unix://u:s3cret/x@/run/s":     unescaped,
		"redis://u:s3cret%@h":          "two hex digits",
		"redis://s3cret%zz:@h":         "two hex digits",
		"redis://h#s3cret":             "%23",
		"redis://h?db=1":               "the path is the database",
		"redis://h?master=m":           `master is for redis-sentinel://`,
		"redis://h?mastr=s3cret":       `"mastr" is unknown; known are tls, pool_size`,
		"redis://h?%0A=1":              "(unreadable) is unknown",
		"redis://h?tls=true&tls=true":  `"tls" is given twice`,
		"redis://h?tls=s3cret":         "true or false",
		"rediss://h?tls=false":         "contradicts the scheme",
		"redis://h?pool_size=0":        "from 1 to 10000",
		"redis://h?pool_size=s3cret":   "from 1 to 10000",
		"redis-sentinel://h/0":         "?master=name",
		"redis-sentinel://h,h":         "twice",
		"redis-sentinel://h?x=s3cret":  "known are master",
		"redis-cluster://h/1":          "database 0 only",
		"redis-cluster://h,":           host,
		"unix://":                      "absolute path",
		"unix:///":                     "absolute path",
		"unix://run/s":                 "absolute path",
		"unix://u:s3cret@run/s":        "absolute path",
		"unix:///run/%0as":             "absolute path",
		"unix:///run/s?tls=true":       "no use to a Unix socket",
		"unix:///run/s?db=s3cret":      db,
		"unix:///run/s?foo=":           "known are db",
		"redis-sentinel://h?master=%x": "two hex digits",
	} {
		o, err := Parse(url)
		if err == nil {
			t.Errorf("Parse(%q) = %s, want an error", url, o)
			continue
		}
		if !strings.HasPrefix(err.Error(), "redis URL: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): %v, want %q", url, err, want)
		}
		if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Parse(%q): the error shows a secret or breaks its line: %q", url, err)
		}
	}
}

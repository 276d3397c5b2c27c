package redisconn

import (
	"strings"
	"testing"
	"unicode"
)

// FuzzParse checks that Parse never panics, that its errors are one printable
// line, and that String can be read back to the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"redis://u:p@127.0.0.1:6379/0", "rediss://[fe80::1%25eth0]/3?pool_size=5", "unix://u:p@/run/r.sock?db=1",
		"redis-sentinel://h1:1,h2/0?master=m&sentinel_user=u&sentinel_password=p", "redis-cluster://h1,h2?tls=true", "embedded",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, url string) {
		o, err := Parse(url)
		if err != nil {
			if strings.ContainsFunc(err.Error(), unicode.IsControl) {
				t.Errorf("Parse(%q): %q is not one line", url, err)
			}
			return
		}
		again, err := Parse(o.String())
		if err != nil || again.String() != o.String() {
			t.Errorf("Parse(%q) gives %s, which reads as %v, %v", url, o, again, err)
		}
		if err := o.Client().Close(); err != nil {
			t.Errorf("client of %s: %v", o, err)
		}
	})
}

// FuzzParseHidesPassword puts an unescaped password where it belongs. Parse may
// refuse it or take it for something else, but neither may show it.
func FuzzParseHidesPassword(f *testing.F) {
	schemes := []string{"redis", "rediss", "redis-sentinel", "redis-cluster", "unix", "http"}
	f.Add(uint8(0), "s3cret-s3cret", "h:6379/0")
	f.Add(uint8(0), "s3cret/s3cret", "h")
	f.Add(uint8(1), "6379/0?pool_size=1", "h")
	f.Add(uint8(2), "6379/0?master=s3cret", "h?master=m")
	f.Add(uint8(3), "s3cret%zz#x", "h1,h2")
	f.Add(uint8(4), "s3cret\n/s3cret", "/run/r.sock")
	f.Fuzz(func(t *testing.T, scheme uint8, password, rest string) {
		// Too short a password is part of some word; so is one that stands elsewhere too.
		if len(password) < 8 || strings.Contains(rest, password) || strings.Contains(hints, password) {
			t.Skip()
		}
		url := schemes[int(scheme)%len(schemes)] + "://user:" + password + "@" + rest
		shown := ""
		o, err := Parse(url)
		if err != nil {
			shown = err.Error()
		} else {
			shown = o.String()
		}
		if strings.Contains(shown, password) {
			t.Errorf("Parse(%q) shows the password: %s", url, shown)
		}
	})
}

// hints is what errors say of themselves, so it can't give anything away.
var hints = strings.Join([]string{
	errScheme.Error(), errUnescaped.Error(), errPercent.Error(), errFragment.Error(), errDatabase.Error(), errSocket.Error(),
	errMaster.Error(), errHost.Error(), errPort.Error(), errTwice.Error(),
}, "\n")

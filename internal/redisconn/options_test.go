package redisconn

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func mustParse(t testing.TB, url string) *Options {
	t.Helper()
	o, err := Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestWithLeavesTheOriginalAlone(t *testing.T) {
	t.Parallel()
	o := mustParse(t, "redis-sentinel://u:old@h/0?master=m&pool_size=3")
	before := o.String()
	changed := o.WithPassword("new").WithSentinelPassword("s").WithPoolSize(9)
	u := changed.universal()
	if u.Password != "new" || u.SentinelPassword != "s" || u.PoolSize != 9 {
		t.Errorf("changed to %s", changed)
	}
	if u := o.universal(); u.Password != "old" || u.SentinelPassword != "" || u.PoolSize != 3 || o.String() != before {
		t.Errorf("the original is now %s", o)
	}
	if o.WithPassword("") != o || o.WithSentinelPassword("") != o || o.WithPoolSize(0) != o {
		t.Error("empty values changed something")
	}
}

func TestNothingShowsSecrets(t *testing.T) {
	t.Parallel()
	o := mustParse(t, "redis-sentinel://u:s3cret-1@h/0?master=m&sentinel_password=s3cret-2").WithPassword("s3cret-3")
	type holder struct {
		byPointer *Options
		byValue   Options
		Exported  Options
	}
	h := holder{o, *o, *o}
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%p"} {
		fmt.Fprintf(&shown, verb+verb+verb+verb+"\n", o, *o, h, &h)
	}
	var text, json bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("x", "o", o, "v", *o, "h", h)
	slog.New(slog.NewJSONHandler(&json, nil)).Info("x", "o", o, "v", *o, "h", h)
	for _, s := range []string{shown.String(), text.String(), json.String()} {
		if strings.Contains(s, "s3cret") || strings.Contains(s, fmt.Sprintf("%x", "s3cret")) {
			t.Errorf("shows a secret:\n%s", s)
		}
	}
	if want := "redis-sentinel://u:***@h:26379/0?master=m&sentinel_password=***"; fmt.Sprintf("%#v", o) != want {
		t.Errorf("shown as %#v, want %s", o, want)
	}
}

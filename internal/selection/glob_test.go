package selection

import (
	"path"
	"strings"
	"testing"
)

func TestGlobs(t *testing.T) {
	for _, tt := range []struct {
		glob, name string
		want       bool
	}{
		{"*", "anything", true}, {"*", "", true}, {"*", "a/b", true}, {"a?b", "a/b", true}, {"a_b", "a/b", false},
		{"night*", "nightly", true}, {"night", "nightly", false}, {"Night*", "nightly", false},
		{"run-[0-9]", "run-7", true}, {"run-[^0-9]", "run-7", false}, {`a\*`, "a*", true}, {`a\*`, "ab", false},
		{"größe?", "größe1", true}, {"?", "é", true},
	} {
		if err := CheckGlob(tt.glob); err != nil {
			t.Errorf("%q: %v", tt.glob, err)
		}
		if got := match(tt.glob, tt.name); got != tt.want {
			t.Errorf("%q matches %q: %v", tt.glob, tt.name, got)
		}
	}
}

func TestBadGlobs(t *testing.T) {
	for glob, want := range map[string]string{
		"":        `"" is an empty glob`,
		"[":       `"[" is not a glob`,
		"a[b":     `"a[b" is not a glob`,
		"a[]":     `"a[]" is not a glob`,
		"[^]":     `"[^]" is not a glob`,
		"x*[9-0":  `"x*[9-0" is not a glob`,
		`a\`:      `"a\\" is not a glob`,
		"a,b":     `"a,b" can match no name, as ',' is in none`,
		"{a,b}":   `"{a,b}" can match no name, as '{' is in none`,
		"[!a]":    `"[!a]" can match no name, as '!' is in none`,
		"a b":     `"a b" can match no name, as ' ' is in none`,
		"a/*":     `"a/*" can match no name, as '/' is in none`,
		"\x1b[1m": `"\x1b[1m" can match no name, as '\x1b' is in none`,
		"\xff":    `"\xff" can match no name, as '�' is in none`,
	} {
		if err := CheckGlob(glob); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", glob, err, want)
		}
	}
}

// Every glob that passes is matched without an error, which would leave a job
// unprotected.
func FuzzGlob(f *testing.F) {
	for _, glob := range []string{"*", "a?", "[a-c]*", `\[`, "[^]a]", "a[", "[]a]", `[\]]`, "[a-", "*[x]*[y"} {
		f.Add(glob, "name-1")
	}
	f.Fuzz(func(t *testing.T, glob, name string) {
		if CheckGlob(glob) != nil {
			return
		}
		if _, err := path.Match(glob, name); err != nil {
			t.Fatalf("%q passed the check, but with %q: %v", glob, name, err)
		}
	})
}

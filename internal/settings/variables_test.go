package settings

import (
	"strings"
	"testing"
)

// The help names every variable that no flag names, and the files of secrets.
func TestVariables(t *testing.T) {
	t.Parallel()
	var s Set
	var text, secret string
	s.String(&text, "flag", "WITH_FLAG", "", "a flag", nil)
	if got := s.Variables(); got != "" {
		t.Errorf("without any: %q", got)
	}
	s.Variable(&text, "PLAIN")
	s.Secret(&secret, "SECRET")
	_, got, _ := strings.Cut(s.Variables(), "\n\n")
	if want := "  PLAIN\n  SECRET, or SECRET_FILE\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

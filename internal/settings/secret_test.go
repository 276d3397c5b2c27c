package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secret loads one secret and returns it, with the warnings.
func secret(t *testing.T, env map[string]string) (string, []string, error) {
	t.Helper()
	var value string
	var s Set
	s.Secret(&value, "KEY")
	err := load(t, &s, env)
	return value, s.Warnings(), err
}

func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// What an editor or echo puts around a secret is no part of it, wherever it stands. A space may be.
func TestSecretIsTrimmedAlike(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"s3": "s3", "s3\n": "s3", "s3\r\n": "s3", "s3\n\n": "s3", "\ufeffs3": "s3", "\ufeffs3\r\n": "s3", " s3 \n": " s3 ", "a\nb\n": "a\nb",
	} {
		if got, _, err := secret(t, map[string]string{"KEY": text}); err != nil || got != want {
			t.Errorf("in the variable, %q gives %q, %v", text, got, err)
		}
		if got, _, err := secret(t, map[string]string{"KEY_FILE": write(t, text, 0o600)}); err != nil || got != want {
			t.Errorf("in a file, %q gives %q, %v", text, got, err)
		}
	}
}

func TestSecretFileRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"empty":           {"", "KEY_FILE: PATH is empty"},
		"only a line end": {"\ufeff\r\n", "KEY_FILE: PATH is empty"},
		"too long":        {strings.Repeat("x", maxSecret+1), "read KEY_FILE: PATH is longer than 65536 bytes: is it the right file?"},
	} {
		path := write(t, tt.text, 0o600)
		_, _, err := secret(t, map[string]string{"KEY_FILE": path})
		if want := "KEY: " + strings.ReplaceAll(tt.want, "PATH", path); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if got, _, err := secret(t, map[string]string{"KEY_FILE": write(t, strings.Repeat("x", maxSecret), 0o600)}); err != nil || len(got) != maxSecret {
		t.Errorf("the longest: %d bytes, %v", len(got), err)
	}
}

func TestSecretFileOfEverybodyIsWarnedOf(t *testing.T) {
	t.Parallel()
	for mode, warned := range map[os.FileMode]bool{0o400: false, 0o600: false, 0o440: false, 0o640: false, 0o444: true, 0o644: true, 0o604: true} {
		path := write(t, "s3cret", mode)
		got, warnings, err := secret(t, map[string]string{"KEY_FILE": path})
		if err != nil || got != "s3cret" || len(warnings) > 0 != warned {
			t.Errorf("mode %o: %q, warnings %q, %v", mode, got, warnings, err)
		}
		if text := strings.Join(warnings, "\n"); warned && (!strings.Contains(text, path) || !strings.Contains(text, "chmod o-r") || strings.Contains(text, "s3cret")) {
			t.Errorf("mode %o: warning %q", mode, text)
		}
	}
}

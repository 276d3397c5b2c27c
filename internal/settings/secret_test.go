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
		"s3": "s3", "s3\n": "s3", "s3\r\n": "s3", "s3\n\n": "s3", "\ufeffs3": "s3", "\ufeffs3\r\n": "s3", " s3 \n": " s3 ", "\ts3\t": "\ts3\t", "a b": "a b", "ä\xff": "ä\xff",
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

// What can't be a secret is damaged, or the wrong file. The error does not quote it.
func TestDamagedSecretIsRefused(t *testing.T) {
	t.Parallel()
	const control = "holds a control character, which is in no secret: write it again, as plain text in one line"
	for text, want := range map[string]string{
		"hush\nhush\n":                       "holds more than one line: leave the one with the secret",
		"hush\rhush":                         "holds more than one line: leave the one with the secret",
		"\nhush":                             "holds more than one line: leave the one with the secret",
		"hush\x00":                           control,
		"hush\x00\n":                         control,
		"\x1b[31mhush":                       control,
		"hush\thush":                         control,
		"hush\x7f":                           control,
		"hush\u0085hush":                     control,
		"h\x00u\x00s\x00h\x00":               control,
		"\xff\xfeh\x00u\x00s\x00h\x00\n\x00": "is UTF-16: save it as UTF-8",
		"\xfe\xff\x00h\x00u\x00s\x00h\x00\n": "is UTF-16: save it as UTF-8",
		" ":                                  "holds nothing but blanks: write the secret there",
		"\ufeff \t\n":                        "holds nothing but blanks: write the secret there",
	} {
		_, _, err := secret(t, map[string]string{"KEY": text})
		if want := "KEY: the value of KEY " + want; err == nil || err.Error() != want {
			t.Errorf("in the variable, %q: %v, want %s", text, err, want)
		}
		path := write(t, text, 0o600)
		_, _, err = secret(t, map[string]string{"KEY_FILE": path})
		if want := "KEY: KEY_FILE: " + path + " " + want; err == nil || err.Error() != want {
			t.Errorf("in a file, %q: %v, want %s", text, err, want)
		}
		if _, _, err := readLogin(func(name string) string { return map[string]string{"A_AUTH_TOKEN": text}[name] }, "A"); err == nil || err.Error() != "the value of A_AUTH_TOKEN "+want {
			t.Errorf("of an account, %q: %v, want %s", text, err, want)
		}
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

package settings

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecret bounds a file that holds a secret, in bytes. A longer one is not what was meant.
const maxSecret = 64 << 10

// readableByAll is the permission that lets every user of the machine read a file.
const readableByAll = 0o004

// secretOf is the value of a secret, from its variable or from the file that the variable with _FILE names, and what
// should not stay so; "" for nothing. A byte order mark before it and the line end after it are an editor's, and not
// part of it.
func secretOf(getenv func(string) string, env string) (value, warning string, err error) {
	value = bare(getenv(env))
	path := getenv(env + "_FILE")
	switch {
	case path == "":
		return value, "", nil
	case value != "":
		return "", "", fmt.Errorf("set either %s or %s_FILE, not both", env, env)
	}
	text, open, err := readSecret(path)
	if err != nil {
		return "", "", fmt.Errorf("read %s_FILE: %w", env, err)
	}
	if value = bare(text); value == "" {
		return "", "", fmt.Errorf("%s_FILE: %s is empty", env, path)
	}
	if open {
		warning = fmt.Sprintf("%s_FILE: every user of this machine may read %s: take that right away (chmod o-r)", env, path)
	}
	return value, warning, nil
}

// bare is the secret in a text.
func bare(text string) string { return strings.TrimRight(strings.TrimPrefix(text, "\ufeff"), "\r\n") }

// readSecret reads a file, and says whether every user of the machine may read it. Of a pipe nobody else can read.
func readSecret(path string) (text string, open bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", false, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return "", false, err
	case len(b) > maxSecret:
		return "", false, fmt.Errorf("%s is longer than %d bytes: is it the right file?", path, maxSecret)
	}
	return string(b), info.Mode().IsRegular() && info.Mode()&readableByAll != 0, nil
}

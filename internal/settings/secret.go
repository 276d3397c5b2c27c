package settings

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// maxSecret bounds a file that holds a secret, in bytes. A longer one is not what was meant.
const maxSecret = 64 << 10

// secretLimit is how long the writer of a pipe with a secret may take, such as a command in <(...) of a shell.
const secretLimit = 10 * time.Second

// readableByAll is the permission that lets every user of the machine read a file.
const readableByAll = 0o004

// secretOf is the value of a secret, from its variable or from the file that the variable with _FILE names, and what
// should not stay so; "" for nothing. A byte order mark before it and the line end after it are an editor's, and not
// part of it. Errors never quote it.
func secretOf(getenv func(string) string, env string) (value, warning string, err error) {
	value = bare(getenv(env))
	path := getenv(env + "_FILE")
	switch {
	case path == "" && value == "":
		return "", "", nil
	case path == "":
		if err := checkSecret(value); err != nil {
			return "", "", fmt.Errorf("the value of %s %w", env, err)
		}
		return value, "", nil
	case value != "":
		return "", "", fmt.Errorf("set either %s or %s_FILE, not both", env, env)
	}
	text, open, err := readSecret(path, secretLimit)
	if err != nil {
		return "", "", fmt.Errorf("read %s_FILE: %w", env, err)
	}
	if value = bare(text); value == "" {
		return "", "", fmt.Errorf("%s_FILE: %s is empty", env, path)
	}
	if err := checkSecret(value); err != nil {
		return "", "", fmt.Errorf("%s_FILE: %s %w", env, path, err)
	}
	if open {
		warning = fmt.Sprintf("%s_FILE: every user of this machine may read %s: take that right away (chmod o-r)", env, path)
	}
	return value, warning, nil
}

// bare is the secret in a text.
func bare(text string) string { return strings.TrimRight(strings.TrimPrefix(text, "\ufeff"), "\r\n") }

// checkSecret refuses what is plainly damaged, such as a file that holds more than the secret. Blanks around a secret
// stay, since a password may have them. The error is the end of a sentence and quotes nothing.
func checkSecret(value string) error {
	switch {
	case strings.HasPrefix(value, "\xff\xfe"), strings.HasPrefix(value, "\xfe\xff"):
		return errors.New("is UTF-16: save it as UTF-8")
	case strings.TrimSpace(value) == "":
		return errors.New("holds nothing but blanks: write the secret there")
	case strings.ContainsAny(value, "\r\n"):
		return errors.New("holds more than one line: leave the one with the secret")
	case strings.ContainsFunc(strings.Trim(value, " \t"), unicode.IsControl):
		return errors.New("holds a control character, which is in no secret: write it again, as plain text in one line")
	}
	return nil
}

// readSecret reads a file, and says whether every user of the machine may read it. Of a pipe nobody else can read. It
// never waits longer than limit: a program that waits in open can't be told to end.
func readSecret(path string, limit time.Duration) (text string, open bool, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // or else a pipe without a writer would never be open
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", false, err
	}
	end := time.Now().Add(limit)
	_ = f.SetReadDeadline(end) // a file has none, and needs none
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	unopened := err == nil && len(b) == 0 && info.Mode()&os.ModeNamedPipe != 0
	for unopened && isFIFO(path) && err == nil && len(b) == 0 && time.Now().Before(end) {
		time.Sleep(10 * time.Millisecond)
		b, err = io.ReadAll(io.LimitReader(f, maxSecret+1))
	}
	switch {
	case len(b) == 0 && unopened:
		return "", false, fmt.Errorf("%s is a pipe to which nothing was written: was its writer started, and does it wait for something?", path)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.EAGAIN): // macOS does not wait for a pipe
		return "", false, fmt.Errorf("%s was not written to its end in time: is it a pipe whose writer waits for something?", path)
	case err != nil:
		return "", false, err
	case len(b) > maxSecret:
		return "", false, fmt.Errorf("%s is longer than %d bytes: is it the right file?", path, maxSecret)
	}
	return string(b), info.Mode().IsRegular() && info.Mode()&readableByAll != 0, nil
}

// isFIFO reports whether path is a pipe by name, which a writer may open later. One that a process has open, such as
// /dev/fd/63, is at its end when nothing comes.
func isFIFO(path string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	info, err := os.Lstat(real)
	return err == nil && info.Mode()&os.ModeNamedPipe != 0
}

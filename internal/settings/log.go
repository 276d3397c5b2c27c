package settings

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

// Log is how a program logs.
type Log struct {
	Level  string
	Format string
}

// Declare adds the settings of l to s.
func (l *Log) Declare(s *Set) {
	s.OneOf(&l.Level, "log-level", "VIZSTOP_LOG_LEVEL", "info", "least level that is logged: debug, info, warn, error",
		"debug", "info", "warn", "error")
	s.OneOf(&l.Format, "log-format", "VIZSTOP_LOG_FORMAT", "auto", "text, json, or auto: text on a terminal, else json",
		"auto", "text", "json")
}

// Logger writes to w, which may be a terminal.
func (l Log) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.Level)) // checked by Declare
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	if l.Format == "text" || l.Format == "auto" && IsTerminal(w) {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

// IsTerminal reports whether v, a file, is a terminal.
func IsTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// readable writes durations with their unit; JSON would count nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.String(a.Key, a.Value.Duration().String())
	}
	return a
}

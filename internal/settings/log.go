package settings

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/term"

	"vizstop/internal/plain"
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

// maxLogged bounds each text of a line of log, in bytes. It is room for a stack
// trace.
const maxLogged = 8 << 10

// readable writes durations with their unit, where JSON would count
// nanoseconds, and makes sure that no text takes over the log or the terminal
// that shows it, wherever it came from.
func readable(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value.Any().(type) {
	case time.Duration:
		return slog.String(a.Key, v.String())
	case string:
		return slog.String(a.Key, plain.Log(v, maxLogged))
	case error:
		return slog.String(a.Key, plain.Log(v.Error(), maxLogged))
	case fmt.Stringer:
		if a.Value.Kind() == slog.KindAny { // the time and the level have kinds of their own
			return slog.String(a.Key, plain.Log(v.String(), maxLogged))
		}
	}
	if a.Value.Kind() == slog.KindAny && a.Key != slog.LevelKey && a.Key != slog.SourceKey {
		return slog.String(a.Key, plain.Log(fmt.Sprint(a.Value.Any()), maxLogged))
	}
	return a
}

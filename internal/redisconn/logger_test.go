package redisconn

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"
)

// TestMain keeps what go-redis prints about the faults of these tests to itself.
func TestMain(m *testing.M) {
	RouteLogs(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

func TestLogAdapterWritesAtDebugLevelOnly(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level]string{
		slog.LevelDebug: `level=DEBUG msg="go-redis: lost 3"`,
		slog.LevelInfo:  "",
	} {
		var out bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))
		logAdapter{logger}.Printf(t.Context(), "lost %d", 3)
		if got := out.String(); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("at %s it writes %q, want %q", level, got, want)
		}
	}
}

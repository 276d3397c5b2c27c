package worker

import (
	"log/slog"
	"os"
	"testing"

	"vizstop/internal/redisconn"
)

func TestMain(m *testing.M) {
	redisconn.RouteLogs(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

package redisconn

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// RouteLogs sends what go-redis prints by itself, such as a lost connection
// that it replaces, to logger at debug level. Without it go-redis writes to
// stderr. It sets state of the whole process: only main calls it, once and
// before the first client.
func RouteLogs(logger *slog.Logger) { redis.SetLogger(logAdapter{logger}) }

type logAdapter struct{ logger *slog.Logger }

// Printf implements the logger of go-redis.
func (a logAdapter) Printf(ctx context.Context, format string, v ...any) {
	if a.logger.Enabled(ctx, slog.LevelDebug) {
		a.logger.DebugContext(ctx, "go-redis: "+fmt.Sprintf(format, v...))
	}
}

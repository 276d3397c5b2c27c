package worker

import (
	"fmt"
	"log/slog"
	"vizstop/internal/metrics"
	"vizstop/internal/release"
)

// queueLogger hands asynq's own messages to slog. What asynq calls information
// is of interest only to somebody who looks into the queue itself.
type queueLogger struct{ log *slog.Logger }

func (l queueLogger) Debug(args ...any) { l.log.Debug("asynq: " + fmt.Sprint(args...)) }
func (l queueLogger) Info(args ...any)  { l.log.Debug("asynq: " + fmt.Sprint(args...)) }
func (l queueLogger) Warn(args ...any)  { l.log.Warn("asynq: " + fmt.Sprint(args...)) }
func (l queueLogger) Error(args ...any) { l.log.Error("asynq: " + fmt.Sprint(args...)) }

// Fatal only logs: ending the process is main's to decide.
func (l queueLogger) Fatal(args ...any) { l.log.Error("asynq: " + fmt.Sprint(args...)) }

// holdObserver counts holds that begin, and logs each: whoever looks for the time when
// calls stopped finds it.
type holdObserver struct {
	metrics *metrics.Metrics
	log     *slog.Logger
}

// HoldBegan implements release.Observer.
func (o holdObserver) HoldBegan(b release.Began) {
	o.metrics.HoldBegan(string(b.Reason))
	attrs := []any{"reason", string(b.Reason), "project", b.ProjectID}
	if b.Batch != "" {
		attrs = append(attrs, "batch", b.Batch)
	}
	if b.Detail != "" {
		attrs = append(attrs, "detail", b.Detail)
	}
	o.log.Warn("calls are held back", attrs...)
}

package worker

import (
	"fmt"
	"log/slog"
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

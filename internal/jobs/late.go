package jobs

import (
	"context"
	"errors"
)

// ErrLate is in the error of a stop call that was not sent because it was too late for it, see UnlessLate.
var ErrLate = errors.New("it was too late for the call when it could be sent")

type lateKey struct{}

// UnlessLate returns ctx for a stop call that must not be sent any more once late says so. What has to come before it,
// such as a login, may take long, and a process may stand still meanwhile. late must be safe for concurrent use.
func UnlessLate(ctx context.Context, late func() bool) context.Context {
	return context.WithValue(ctx, lateKey{}, late)
}

// Late is the error, with ErrLate, of a stop call that must not be sent any more, or nil. Whoever sends one asks at the
// last moment.
func Late(ctx context.Context) error {
	if late, ok := ctx.Value(lateKey{}).(func() bool); ok && late() {
		return &Error{Operation: OperationStop, Kind: KindCanceled, Err: ErrLate}
	}
	return nil
}

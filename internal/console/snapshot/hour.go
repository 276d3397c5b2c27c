package snapshot

import (
	"context"

	"vizstop/internal/lasthour"
)

// Hour tells what happened in the last hour, as lasthour.Reader does: the oldest minute first, also those in which
// nothing happened.
type Hour func(ctx context.Context) ([]lasthour.Minute, error)

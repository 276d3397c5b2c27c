package main

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// together runs do for 0 to n-1 at the same time; the first error ends all.
func together(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

package ledger_test

import (
	"errors"
	"testing"

	"vizstop/internal/ledger"
)

// A project is tied to an endpoint while stops are in flight, and no longer: the worker that has ended the last one
// may be of a version that knows of no endpoints.
func TestAnEndpointThatNobodyHasLetGo(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		const here, there = "https://here.example", "https://there.example"
		ctx := t.Context()
		tie := func() { w.rdb.HSet(ctx, keys.Control(), "endpoint", there) }
		tie()
		if err := w.ledger.CheckEndpoint(ctx, project, here); err != nil {
			t.Error(err)
		}
		if _, err := w.ledger.OpenAt(ctx, project, "named", here, []ledger.Ask{w.ask("1")}); err != nil {
			t.Error(err)
		}
		var elsewhere *ledger.ElsewhereError
		if err := w.ledger.CheckEndpoint(ctx, project, there); !errors.As(err, &elsewhere) || elsewhere.Recorded != here {
			t.Errorf("%v, want the project at %s", err, here)
		}
		if _, err := w.ledger.Withdraw(ctx, project, ledger.StopID("named", project, "1"), "named", "test"); err != nil {
			t.Fatal(err)
		}
		tie()
		w.open(t, "unnamed", w.ask("2"))
		if at := w.rdb.HGet(ctx, keys.Control(), "endpoint").Val(); at != "" {
			t.Errorf("a new stop is tied to %s, which nobody has named for it", at)
		}
	})
}

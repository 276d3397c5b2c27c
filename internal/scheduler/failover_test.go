package scheduler

import (
	"errors"
	"testing"
)

// A fail-over can lose the claim of a tick, and another worker then makes the same try of
// it: what the one writes down is nothing to the other.
func TestClaimLostInAFailOver(t *testing.T) {
	b := newBench(t, evening, "11-26 19:00")
	b.at("11-26 19:00")
	ctx, one := t.Context(), b.file.Load().Schedules[0]
	b.now = at(t, "11-26 20:00")
	lost := claim{Tick: b.now.UnixMilli(), Worker: "me", Try: 1}
	r, err := b.state(ctx, "evening")
	if err != nil {
		t.Fatal(err)
	}
	other := New(b.Config)
	other.me = "other"
	r.Claim = &claim{Tick: lost.Tick, Worker: "other", Try: 1}
	if err := b.change(ctx, "evening", &r); err != nil {
		t.Fatal(err)
	}
	c := *r.Claim
	if err := other.choose(ctx, one, &c); err != nil {
		t.Fatal(err)
	}
	if err := b.choose(ctx, one, &lost); !errors.Is(err, errLost) { // it has listed the jobs meanwhile
		t.Errorf("a worker without a claim has chosen the jobs: %v", err)
	}
	if result, err := other.ask(ctx, one, c); err != nil || result.Accepted != 3 {
		t.Errorf("the one with the claim asked for %d jobs: %v", result.Accepted, err)
	}
}

package httpapi

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// One account's listing keeps no other account waiting, and whoever hangs up waits no longer.
func TestTurnsOfAccounts(t *testing.T) {
	t.Parallel()
	var l listing
	over, err := l.turn(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.turn(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	other()
	ctx, stop := context.WithCancel(t.Context())
	waited := make(chan error)
	go func() { _, err := l.turn(ctx, "a"); waited <- err }()
	stop()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Errorf("two list one account: %v", err)
	}
	over()
	if _, err := l.turn(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

func TestCountsAreBounded(t *testing.T) {
	t.Parallel()
	var l listing
	for i := range 3 * mostCounted {
		l.remember(fmt.Sprint(i), i)
	}
	last := 3*mostCounted - 1
	if n, known := l.count(fmt.Sprint(last)); !known || n != last || len(l.running) > mostCounted {
		t.Errorf("%d, %t; %d are remembered", n, known, len(l.running))
	}
	if _, known := l.count("none"); known {
		t.Error("what nobody counted is known")
	}
	l.running["old"] = counted{}
	if _, known := l.count("old"); known {
		t.Error("what was counted long ago is good")
	}
}

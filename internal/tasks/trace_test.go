package tasks

import (
	"testing"
	"time"

	"vizstop/internal/ledger"
)

// A stop that nobody traces has no headers, and that costs nothing; another's
// name its trace.
func TestHeaders(t *testing.T) {
	plain := &ledger.Stop{ID: "0123456789abcdef", Hop: 1, Next: time.Now()}
	if n := testing.AllocsPerRun(100, func() {
		if headers(plain) != nil {
			t.Error("headers without a trace")
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
	if h := headers(&ledger.Stop{Trace: "00-a-b-01"}); len(h) != 1 || h["traceparent"] != "00-a-b-01" {
		t.Errorf("headers %v", h)
	}
}

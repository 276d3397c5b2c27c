package e2e

import (
	"encoding/json"
	"testing"
	"time"
)

// The demo needs nothing at all, and ends within 30 seconds with everything
// stopped. It has the machine for itself: others would cost it time.
func TestDemo(t *testing.T) {
	began := time.Now()
	p := launch(t, nil, "", "worker", "demo", "--json")
	p.wantExit(0)
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the demo took %v", took)
	}
	var got struct {
		Requested int
		Outcomes  map[string]int
	}
	if err := json.Unmarshal([]byte(p.stdout.String()), &got); err != nil {
		t.Fatal(err)
	}
	o := got.Outcomes
	if got.Requested != 203 || o["stopped"] != 201 || o["already_stopped"] != 1 || o["gone"] != 1 {
		t.Errorf("requested %d, outcomes %v", got.Requested, o)
	}
}

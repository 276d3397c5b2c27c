package e2e

import (
	"encoding/json"
	"testing"
)

// The demo needs nothing at all, and ends by itself with everything stopped.
func TestDemo(t *testing.T) {
	t.Parallel()
	p := launch(t, nil, "", "worker", "demo", "--json", "--jobs", "40")
	p.wantExit(0)
	var got struct {
		Requested int
		Outcomes  map[string]int
	}
	if err := json.Unmarshal([]byte(p.stdout.String()), &got); err != nil {
		t.Fatal(err)
	}
	o := got.Outcomes
	if got.Requested != 43 || o["stopped"] != 41 || o["already_stopped"] != 1 || o["not_found"] != 1 {
		t.Errorf("requested %d, outcomes %v", got.Requested, o)
	}
}

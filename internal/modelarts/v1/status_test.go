package v1

import (
	"testing"

	"vizstop/internal/jobs"
)

func TestStates(t *testing.T) {
	want := map[jobs.State][]Status{
		jobs.Ended:    {3, 5, 10, 11, 12, 13, 16, 17, 20, 21, 22},
		jobs.Stopping: {9},
		jobs.Active:   {1, 2, 4, 7, 8, 15, 18, 19},
		jobs.Unclear:  {0, 6, 14, -1, 23, 1 << 30},
	}
	for state, list := range want {
		for _, s := range list {
			if got := s.Job(); got.State != state {
				t.Errorf("%v is %v, want %v", got, got.State, state)
			}
		}
	}
}

func TestStatusNames(t *testing.T) {
	seen := map[string]bool{}
	for i, s := range Statuses() {
		if s != Status(i).Job() || s.Name == "" || s.Name == "undocumented" || seen[s.Name] {
			t.Errorf("status %d is %v", i, s)
		}
		seen[s.Name] = true
	}
	for s, want := range map[Status]string{8: "8 (running)", 77: "77 (undocumented)", -1: "-1 (undocumented)"} {
		if got := s.Job().String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

package joblist

import (
	"fmt"
	"testing"
)

func TestSeen(t *testing.T) {
	var s Seen
	for _, tt := range []struct {
		project, job string
		isNew        bool
	}{
		{"p", "1", true}, {"p", "1", false}, {"q", "1", true}, {"p", "11", true}, {"p1", "1", true}, {"p", "01", true}, {"q", "1", false},
	} {
		if got := s.Add(tt.project, tt.job); got != tt.isNew {
			t.Errorf("%s/%s is new: %v", tt.project, tt.job, got)
		}
	}
	if s.Len() != 5 {
		t.Errorf("%d jobs", s.Len())
	}
}

func TestSeenKeepsManyApart(t *testing.T) {
	var s Seen
	const n = 5_000
	for range 2 {
		for i := range n {
			s.Add(projectA, fmt.Sprint(i))
		}
	}
	if s.Len() != n {
		t.Errorf("%d jobs, want %d", s.Len(), n)
	}
}

package jobs

import "testing"

func TestStatusText(t *testing.T) {
	for want, s := range map[string]Status{
		"8 (running)":       {"8", "running", Active},
		"-1 (undocumented)": {"-1", "undocumented", Unclear},
		"Running":           {"Running", "running", Active},
		"unknown":           {},
	} {
		if got := s.String(); got != want || !s.Is(want) || !s.Is(s.Code) || s.Is("9 (killing)") {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if (Status{}).Running() || !(Status{Code: "8", Name: "running"}).Running() {
		t.Error("which job runs is not told")
	}
	if got := Ended.String(); got != "ended" {
		t.Errorf("got %q", got)
	}
}

package modelarts

import "testing"

func TestStatusClasses(t *testing.T) {
	want := map[Class][]Status{
		ClassEnded:    {3, 5, 10, 11, 12, 13, 16, 17, 20, 21, 22},
		ClassStopping: {9},
		ClassActive:   {1, 2, 4, 7, 8, 15, 18, 19},
		ClassUnclear:  {0, 6, 14, -1, 23, 1 << 30},
	}
	for class, list := range want {
		for _, s := range list {
			if got := s.Class(); got != class {
				t.Errorf("%v is %v, want %v", s, got, class)
			}
		}
	}
}

func TestStatusNames(t *testing.T) {
	for s := StatusUnknown; s <= StatusMountFailed; s++ {
		if got, ok := ParseStatus(s.Name()); !ok || got != s {
			t.Errorf("ParseStatus(%q) = %v, %v", s.Name(), got, ok)
		}
	}
	if _, ok := ParseStatus("undocumented"); ok {
		t.Error("ParseStatus knows an undocumented status")
	}
	if got := ClassEnded.String(); got != "ended" {
		t.Errorf("got %q", got)
	}
	for s, want := range map[Status]string{8: "8 (running)", 77: "77 (undocumented)", -1: "-1 (undocumented)"} {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

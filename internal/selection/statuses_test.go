package selection

import (
	"slices"
	"strings"
	"testing"

	"vizstop/internal/modelarts"
)

func TestParseStatuses(t *testing.T) {
	for text, want := range map[string][]modelarts.Status{
		"":                          nil,
		" ":                         nil,
		"running":                   {8},
		"running,waiting,8":         {8, 7},
		" Running , 1,image_failed": {8, 1, 3},
		"0,22,killed":               {0, 22, 12},
	} {
		if got, err := ParseStatuses(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestParseStatusesRefuses(t *testing.T) {
	const active = "1 (init), 2 (image_creating), 4 (submit_trying), 7 (waiting), 8 (running), 15 (scaling), 18 (check_init), 19 (check_running)"
	for text, name := range map[string]string{
		"runing": `"runing"`, "running,": `""`, "8,23": `"23"`, "-1": `"-1"`, "8.0": `"8.0"`, "undocumented": `"undocumented"`,
		strings.Repeat("x", 99): `"` + strings.Repeat("x", 40) + `"`,
	} {
		_, err := ParseStatuses(text)
		if want := name + " is not a status; jobs can be stopped in " + active; err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

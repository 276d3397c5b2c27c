package selection

import (
	"slices"
	"strings"
	"testing"
	v1 "vizstop/internal/modelarts/v1"
)

func TestParseStatuses(t *testing.T) {
	for text, want := range map[string][]string{
		"":                          nil,
		" ":                         nil,
		"running":                   {"running"},
		"running,waiting,8":         {"running", "waiting"},
		" Running , 1,image_failed": {"running", "init", "image_failed"},
		"0,22,killed":               {"unknown", "mount_failed", "killed"},
	} {
		if got, err := ParseStatuses(text, v1.Statuses()); err != nil || !slices.Equal(got, want) {
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
		_, err := ParseStatuses(text, v1.Statuses())
		if want := name + " is not a status; jobs can be stopped in " + active; err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

package settings

import (
	"strings"
	"testing"

	"vizstop/internal/accounts"
)

// What looks like an id of the other generation is refused, and nothing else.
func TestCheckShape(t *testing.T) {
	const uuid = "6b6f6e6e-7465-4E00-8000-00000000000f"
	for _, tt := range []struct {
		api  accounts.Generation
		id   string
		want string // in the error; "" for none
	}{
		{accounts.V1, "4711", ""},
		{accounts.V1, uuid, "a UUID is the id of a job of the v2 API, and the project has v1"},
		{accounts.V2, uuid, ""},
		{accounts.V2, "4711", "a number is the id of a job of the v1 API, and the project has v2"},
		{accounts.V2, "0", "a number"},
		{accounts.Probe, "4711", ""},
		{accounts.Probe, uuid, ""},
		{accounts.V1, "job-4711", ""},
		{accounts.V2, "job-4711", ""},
		{accounts.V1, uuid[1:], ""},
		{accounts.V1, strings.ReplaceAll(uuid, "-", "0"), ""},
		{accounts.V1, strings.Replace(uuid, "f", "g", 1), ""},
		{accounts.V2, "-1", ""},
		{accounts.V2, "", ""},
	} {
		err := CheckShape(tt.api, tt.id)
		if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s in %s: %v, want %q", tt.id, tt.api, err, tt.want)
		}
	}
}

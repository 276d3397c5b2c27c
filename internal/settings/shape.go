package settings

import (
	"fmt"
	"strings"

	"vizstop/internal/accounts"
	v1 "vizstop/internal/modelarts/v1"
	v2 "vizstop/internal/modelarts/v2"
)

// CheckShape refuses a job's id that looks like one of the generation of the API that
// its project does not have: a UUID with v1, or a number with v2. Any other text may be
// an id, and so may either where both generations are asked (Probe).
//
// Source: ModelArts API reference; job_id is a Long in the answers of v1, and a UUID in
// those of v2. Workers do not go by it: a cloud may have ids of another form.
func CheckShape(g accounts.Generation, jobID string) error {
	switch {
	case g == accounts.V1 && v2.LooksLikeID(jobID):
		return fmt.Errorf("a UUID is the id of a job of the v2 API, and the project has v1, whose ids are numbers (%s)", otherwise(accounts.V2))
	case g == accounts.V2 && v1.LooksLikeID(jobID):
		return fmt.Errorf("a number is the id of a job of the v1 API, and the project has v2, whose ids are UUIDs (%s)", otherwise(accounts.V1))
	}
	return nil
}

// LooksLikeJob reports whether a text has the form of a job's id in either generation: a number or a UUID.
func LooksLikeJob(id string) bool { return v1.LooksLikeID(id) || v2.LooksLikeID(id) }

// LooksLikeProject reports whether a text has the form of a project's id: 32 hex digits.
func LooksLikeProject(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdefABCDEF") == ""
}

// otherwise says what to set where the project has the other generation.
func otherwise(g accounts.Generation) string {
	return fmt.Sprintf("if that is wrong: api: %s or probe in the accounts file, or --api (VIZSTOP_API)", g)
}

package modelartstest

import (
	"net/url"
	"slices"
	"strings"
)

// target is what a request's method and path ask for.
type target struct {
	region               string // "" without Config.Regions, and for a call to IAM without one
	generation           Generation
	op, projectID, jobID string
}

// iamCalls are the operations of IAM by method and path.
var iamCalls = map[string]string{
	"POST v3/auth/tokens":                    OpToken,
	"POST v3.0/OS-CREDENTIAL/securitytokens": OpAssume,
}

// resources are what lies below a project.
var resources = map[string]Generation{
	"v1 visualization-jobs":    V1,
	"v2 training-jobs":         V2,
	"v2 training-job-searches": V2,
}

// operations are the calls for jobs, by what pattern makes of them.
var operations = map[string]string{
	"POST v1 visualization-jobs":             OpCreate,
	"GET v1 visualization-jobs":              OpList,
	"GET v1 visualization-jobs job":          OpDetail,
	"PUT v1 visualization-jobs job":          OpUpdate,
	"DELETE v1 visualization-jobs job":       OpDelete,
	"POST v1 visualization-jobs job stop":    OpStop,
	"POST v1 visualization-jobs job restart": OpRestart,
	"POST v2 training-job-searches":          OpList,
	"GET v2 training-jobs job":               OpDetail,
	"POST v2 training-jobs job actions":      OpStop,
}

// route finds the target of a method and an escaped path. With regions, the path begins with one of them, which IAM's
// calls may leave out. The ids come back even where the operation is unknown.
func route(method, path string, regions []string) target {
	t := target{op: OpUnknown}
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if slices.Contains(regions, segments[0]) {
		t.region, segments = segments[0], segments[1:]
	}
	if op := iamCalls[method+" "+strings.Join(segments, "/")]; op != "" {
		t.op = op
		return t
	}
	if len(segments) < 3 || len(segments) > 5 || t.region == "" && len(regions) > 0 {
		return t
	}
	resource := segments[0] + " " + segments[2]
	if t.generation = resources[resource]; t.generation == "" {
		return t
	}
	t.projectID = unescape(segments[1])
	pattern := method + " " + resource
	if len(segments) > 3 {
		t.jobID, pattern = unescape(segments[3]), pattern+" job"
	}
	if len(segments) > 4 {
		pattern += " " + segments[4]
	}
	if op := operations[pattern]; op != "" {
		t.op = op
	}
	return t
}

func unescape(segment string) string {
	s, err := url.PathUnescape(segment)
	if err != nil {
		return segment
	}
	return s
}

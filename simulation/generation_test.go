package simulation

import (
	"vizstop/internal/modelarts/modelartstest"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/testapi"
)

// usual is the generation of the API that stories play with, unless they want one. Both
// adapters take ids as they come, so stories name their jobs shortly in both.
var usual = testapi.Generation(modelartstest.V1)

// said is a status in the words of the usual API.
func said(s v1.Status) string {
	if usual == modelartstest.V2 {
		return modelartstest.Job{Status: s}.Phase()
	}
	return s.Job().String()
}

// guards is how many looks at jobs the usual API needs before that many jobs get their
// first stop call of a worker, to see what kind of jobs they are.
func guards(jobs int) int {
	if usual == modelartstest.V2 {
		return jobs
	}
	return 0
}

// aPage is how many jobs are on a page of the usual API's list.
func aPage() int {
	if usual == modelartstest.V2 {
		return 50
	}
	return 100
}

// How errors name the usual API, and a job that it does not have.
var apiName, noSuchJob = func() (string, string) {
	if usual == modelartstest.V2 {
		return "v2 training-jobs API", "ModelArts.2775"
	}
	return "v1 visualization-jobs API", "404"
}()

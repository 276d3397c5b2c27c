package e2e

import (
	"strconv"

	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/testapi"
)

// generation is that of a test's API.
type generation modelartstest.Generation

const (
	v1 = generation(modelartstest.V1)
	v2 = generation(modelartstest.V2)
)

// either is the generation of a test that can do with either: its own, unless the
// environment forces one upon all.
//
// A third of the tests has v2 as its own, so that "make test" has them with both:
// those in which the look before the first stop call gets in the way of something
// (a crash, an outage, a stop call that hangs, a task of somebody else), and those
// for which ids of 36 characters or lists by POST may make a difference (large
// tasks, two workers at one list). "make test-v2" has all with v2.
func either(own modelartstest.Generation) modelartstest.Generation {
	return testapi.Generation(own)
}

// id is the id of a job in the form that the API has for it.
func (g generation) id(n int) string {
	if g == v2 {
		return modelartstest.NumberedTraining(n)
	}
	return strconv.Itoa(n)
}

// variable tells the programs what the generation is.
func (g generation) variable() string { return "VIZSTOP_API=" + string(g) }

// path is where the API has that job.
func (g generation) path(job string) string {
	if g == v2 {
		return "/training-jobs/" + job
	}
	return "/visualization-jobs/" + job
}

// undoCode is how "enqueue undo" ends where all goes well: v2 has no call that starts
// a job again, which it says before it asks.
func (g generation) undoCode() int {
	if g == v2 {
		return 1
	}
	return 0
}

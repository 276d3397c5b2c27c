// Package testapi says with which generation of the API the tests of e2e and simulation run.
package testapi

import (
	"fmt"
	"os"

	"vizstop/internal/modelarts/modelartstest"
)

// Variable of the environment forces a generation, v1 or v2, upon every test that
// can do with either. Empty: each test has its own.
const Variable = "VIZSTOP_TEST_API"

// Generation is what Variable says or, without it, own: the generation that a test
// usually has. It panics at any other word.
func Generation(own modelartstest.Generation) modelartstest.Generation {
	switch forced := modelartstest.Generation(os.Getenv(Variable)); forced {
	case "":
		return own
	case modelartstest.V1, modelartstest.V2:
		return forced
	default:
		panic(fmt.Sprintf("%s is %q, which is none of %s and %s", Variable, forced, modelartstest.V1, modelartstest.V2))
	}
}

package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Answer is what a check has found out.
type Answer string

// The answers. Unknown means that it could not be told, or was not asked.
const (
	Yes     Answer = "yes"
	No      Answer = "no"
	Unknown Answer = "unknown"
)

// Report is what a check command prints as JSON.
type Report struct {
	Kind     string    `json:"kind"` // "check"
	OK       bool      `json:"ok"`   // nothing failed
	Projects []Project `json:"projects"`
	Redis    Redis     `json:"redis"`
	Workers  Workers   `json:"workers"`
	Holds    []Hold    `json:"holds"` // of the projects that are checked; without such, all; null: not known
	Notes    []string  `json:"notes"`
	Failures []string  `json:"failures"` // what was to be checked and could not be

	refuses bool // Redis refuses writes
}

// Project is one project of a Report.
type Project struct {
	Account     string       `json:"account"`
	Region      string       `json:"region"`
	Endpoint    string       `json:"endpoint"`
	ID          string       `json:"project_id"`
	Name        string       `json:"name"`     // as the accounts file has it; may be empty
	Identity    string       `json:"identity"` // without secrets
	Generations []Generation `json:"generations"`
}

// Generation is what was found out about one generation of the API in a project.
type Generation struct {
	Name            string   `json:"generation"` // v1 or v2
	Offered         Answer   `json:"offered"`
	List            Answer   `json:"list"` // is it permitted
	Get             Answer   `json:"get"`
	Stop            Answer   `json:"stop"`                     // always Unknown: no read can tell
	Running         *int     `json:"running"`                  // how many jobs run; null if the list could not be read
	CountedAll      bool     `json:"counted_all"`              // false: at least so many
	Kinds           Answer   `json:"kinds"`                    // do answers tell what kind a job is
	ClockDifference *float64 `json:"clock_difference_seconds"` // the server's time minus ours, to the second; null if not known
	Notes           []string `json:"notes"`
	Failures        []string `json:"failures"`
}

// settle judges generations together: a project needs one, so it is a failure only if
// none is offered.
func (p *Project) settle() {
	other := slices.ContainsFunc(p.Generations, func(g Generation) bool { return g.Offered != No })
	for i := range p.Generations {
		if g := &p.Generations[i]; g.Offered == No && other {
			g.Notes, g.Failures = append(g.Notes, "not offered here"), []string{}
		}
	}
}

// failed reports whether anything of the project failed.
func (p Project) failed() bool {
	return slices.ContainsFunc(p.Generations, func(g Generation) bool { return len(g.Failures) > 0 })
}

// Finish settles whether all is well.
func (r *Report) Finish() { r.OK = r.Err() == nil }

// Err names what failed; nil if nothing did.
func (r *Report) Err() error {
	var names []string
	for _, p := range r.Projects {
		if p.failed() {
			names = append(names, fmt.Sprintf("project %s of account %s in %s", p.ID, p.Account, p.Region))
		}
	}
	if more := len(names) - mostNamed; more > 0 {
		names = append(names[:mostNamed], fmt.Sprintf("%d more projects", more))
	}
	names = append(names, r.others()...)
	if len(names) == 0 {
		return nil
	}
	return errors.New("the check failed for " + strings.Join(names, ", "))
}

// others names what failed besides projects.
func (r *Report) others() (names []string) {
	if len(r.Failures) > 0 {
		names = append(names, "the API")
	}
	if len(r.Redis.Failures) > 0 {
		names = append(names, "Redis")
	}
	if len(r.Workers.Failures) > 0 {
		names = append(names, "workers")
	}
	if r.holdsFailed() {
		names = append(names, "holds")
	}
	return names
}

func (r *Report) holdsFailed() bool {
	return slices.ContainsFunc(r.Holds, func(h Hold) bool { return h.Failed })
}

// mostNamed is how many projects one line names.
const mostNamed = 10

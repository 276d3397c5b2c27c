package jobs

// State is what a status means for somebody who wants the job not to run.
type State int

// The states of a job.
const (
	Unclear  State = iota // says nothing: ask again and show the API's word
	Active                // runs or will run; running is billed
	Stopping              // a stop is in progress
	Ended                 // no longer runs and is no longer billed
)

var stateNames = [...]string{"unclear", "active", "stopping", "ended"}

// String is the state's name in lower case.
func (s State) String() string { return stateNames[s] }

// Status is the API's own word for how a job is. The zero value is that of a job
// of which the API has told none.
type Status struct {
	Code  string // as the API writes it: "8" in v1, "Running" in v2
	Name  string // in lower case, such as "running"; "undocumented" for one that the API's documents lack
	State State
}

// Running reports whether the job runs, and is billed.
func (s Status) Running() bool { return s.Name == "running" }

// String is the code, with the name where the code is a number: "8 (running)",
// "Running"; "unknown" for the zero value.
func (s Status) String() string {
	switch {
	case s.Code == "":
		return "unknown"
	case s.Code[0] == '-' || '0' <= s.Code[0] && s.Code[0] <= '9':
		return s.Code + " (" + s.Name + ")"
	}
	return s.Code
}

// Is reports whether text names s: its code, or what String makes of it.
func (s Status) Is(text string) bool { return text == s.Code || text == s.String() }

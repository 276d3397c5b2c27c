package joblist

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"vizstop/internal/jobs"
	"vizstop/internal/plain"
)

// The names of the columns and fields that are not labels.
const (
	projectKey = "project_id"
	jobKey     = "job_id"
)

// keyOf is how a column's or field's name is compared with those.
func keyOf(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// bom is a byte order mark.
const bom = "\ufeff"

// errHeader is why a line is passed over that names columns.
var errHeader = errors.New("names columns, not a job")

// namesIDs reports whether text is what people call a column of job ids. No job has
// such an id.
func namesIDs(text string) bool {
	switch spelt(text) {
	case "id", "ids", "job", "jobs":
		return true
	}
	return namesJobs(text)
}

// namesJobs reports whether text is the name of a column of job ids, and can't be a label of a job either.
func namesJobs(text string) bool {
	name := spelt(text)
	return name == "jobid" || name == "jobids"
}

// namesSomeIDs reports whether text is what a column of some ids is called. job and jobs are not among them: they are a
// label of many jobs.
func namesSomeIDs(text string) bool {
	name := spelt(text)
	return name == "id" || name == "ids" || namesJobs(text) || namesOtherIDs(text)
}

// mayBeName reports whether text, which stands where the id of a job does, may be the name of another column. A number or
// as many hex digits as a UUID has are an id, as the API gives it, and what is missing is no name.
func mayBeName(text string) bool {
	const digits, uuid = "0123456789", 32
	isID := strings.Trim(text, digits) == "" || len(text) >= uuid && strings.Trim(text, digits+"abcdefABCDEF-") == ""
	return !isID && !missing(text)
}

// namesOther reports whether text is what people, the API or enqueue's own lists call a
// column of something else: the values below it may look like ids, and be those of batches
// or mere counts. A job whose name is such a word can't be given by it in a list.
func namesOther(text string) bool {
	return namesOtherIDs(text) || slices.Contains(otherColumns, spelt(text))
}

// namesOtherIDs reports whether text is words that end in id, such as workspace_id.
func namesOtherIDs(text string) bool {
	other := func(r rune) bool { return !unicode.IsLetter(r) && !strings.ContainsRune(joints, r) }
	name, ok := strings.CutSuffix(keyOf(text), "id")
	return ok && name != "" && strings.ContainsAny(name[len(name)-1:], joints) && !strings.ContainsFunc(name, other) && !namesIDs(text)
}

// otherColumns are the columns of enqueue's own lists, tables and CSV, but those of jobs' ids, and names of the API.
var otherColumns = []string{
	"accepted", "action", "age", "answer", "asked", "askedforat", "at", "attempts", "bad", "batch", "by", "call", "called", "calls", "deadline",
	"due", "ended", "from", "good", "held", "inflight", "jobname", "labels", "last", "laststatus", "name", "next", "outcome", "polls", "project",
	"projectid", "reason", "requestid", "running", "schedule", "scope", "state", "status", "step", "stopid", "stops", "took", "utc",
}

// spelt is the name of a column without what people write differently.
func spelt(name string) string { return joiners.Replace(keyOf(name)) }

// joints are what may stand between the words of a name.
const joints = "_- "

var joiners = strings.NewReplacer("_", "", "-", "", " ", "")

// record is what one line says.
type record struct {
	project, job string
	labels       map[string]string
}

func (r *record) check() error {
	if r.job == "" {
		return errors.New("there is no " + jobKey)
	}
	if r.project == "" {
		return fmt.Errorf("there is no %s, and no project was given for all jobs", projectKey)
	}
	return cmp.Or(ValidateID("job", r.job), ValidateID("project", r.project))
}

// ValidateID checks an id that people or programs give: it is valid in the sense of
// jobs.ValidateID, and no word that programs write where they have no id.
func ValidateID(kind, id string) error {
	switch {
	case missing(id):
		return fmt.Errorf("the %s id is %q, which programs write for a value that is missing", kind, id)
	case strings.EqualFold(id, "true"), strings.EqualFold(id, "false"):
		return fmt.Errorf("the %s id is %q, which programs write for yes or no", kind, id)
	}
	return jobs.ValidateID(kind, id)
}

// missing reports whether text is what jq, Python, R and others write for no value.
func missing(text string) bool {
	switch text {
	case "NA", "NaT": // in other letters they may be the name of a job
		return true
	}
	switch strings.ToLower(text) {
	case "null", "nil", "none", "nan", "undefined":
		return true
	}
	return false
}

// label keeps one label. One with an empty key or value says nothing and is
// passed over.
func (r *record) label(key, value string) error {
	key, value = clean(key), clean(value)
	if key == "" || value == "" {
		return nil
	}
	for _, text := range []string{key, value} {
		if len(text) > maxLabel {
			return fmt.Errorf("label %.40q is longer than %d bytes, in its name or its value", key, maxLabel)
		}
	}
	if _, twice := r.labels[key]; twice {
		return fmt.Errorf("label %.40q is there twice", key)
	}
	if len(r.labels) == maxLabels {
		return fmt.Errorf("there are more than %d labels", maxLabels)
	}
	if r.labels == nil {
		r.labels = make(map[string]string)
	}
	r.labels[key] = value
	return nil
}

// clean makes text fit to be printed on a terminal. A label only decorates, so
// a stray character in it is no reason to leave a job running.
func clean(text string) string {
	if plain.Fits(text) {
		return strings.TrimSpace(text)
	}
	return plain.Line(text, maxLine)
}

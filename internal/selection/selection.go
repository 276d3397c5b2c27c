// Package selection chooses jobs of a project by rule: by status, name and age,
// less what is excluded or protected.
//
// A glob is matched against a job's whole name, with the letters' case: * is any
// run of characters, ? is any one, [a-c] one of a set, [^a-c] one outside of it,
// and \ takes the meaning from the next character. Job names are digits,
// letters, _ and - (ModelArts API reference, "Creating a Visualization Job"), so
// a glob with anything else but a dot is refused as a slip; ? stands in for
// stranger characters.
package selection

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"vizstop/internal/jobs"
)

// The values of Rule.Order.
const (
	Oldest = "oldest"
	Newest = "newest"
)

// Rule says which jobs of a project are to be stopped: those that meet every
// criterion that is set (All, Statuses, Names, OlderThan), are in a status in
// which a job can be stopped, and are neither excluded nor protected.
type Rule struct {
	All       bool          // every job; adds nothing to another criterion
	Statuses  []string      // names of statuses (jobs.Status.Name), one of these; empty means any
	Names     []string      // one of these globs matches the name; empty means any
	OlderThan time.Duration // created at least this long ago; 0 means any age
	Exclude   []string      // ids, or globs for names
	Protect   *Protected    // nil protects nothing
	Limit     int           // at most so many, the first in Order; 0 means no limit
	Order     string        // Oldest (also when empty) or Newest, by time of creation
}

// Check finds what is wrong with a rule, all faults at once, and refuses a rule
// without any criterion.
func (r Rule) Check() error {
	var faults []error
	if !r.All && len(r.Statuses) == 0 && len(r.Names) == 0 && r.OlderThan == 0 {
		faults = append(faults, errors.New("the rule has no criterion: give all, a status, a name or an age"))
	}
	if r.OlderThan < 0 {
		faults = append(faults, fmt.Errorf("an age can't be negative: %v", r.OlderThan))
	}
	if r.Limit < 0 {
		faults = append(faults, fmt.Errorf("a limit can't be negative: %d", r.Limit))
	}
	if !slices.Contains([]string{"", Oldest, Newest}, r.Order) {
		faults = append(faults, fmt.Errorf("order is %s or %s, not %.40q", Oldest, Newest, r.Order))
	}
	for _, glob := range slices.Concat(r.Names, r.Exclude) {
		if err := CheckGlob(glob); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// Selection is what a rule chose, and how many it left out and why. Each
// matching job that can be stopped is counted in exactly one of Jobs, Ageless,
// Excluded, Protected and OverLimit.
type Selection struct {
	Jobs    []jobs.Job // in the rule's order; ties by id
	Seen    int        // all jobs of the project
	Running int        // all that run, whether they match or not
	// Unstoppable matched, but are being stopped, have ended, are in a status
	// that says nothing, or have no id that a call could be made with.
	Unstoppable int
	Ageless     int // would match, but the API gives no time of creation to tell their age by
	Excluded    int
	Protected   int
	OverLimit   int
}

// Select applies rule to all jobs of one project, which are read to the end.
// Ages are as of now. The first error of the list
// is returned as it is, and then nothing is selected.
func Select(list iter.Seq2[jobs.Job, error], rule Rule, now time.Time) (*Selection, error) {
	if err := rule.Check(); err != nil {
		return nil, err
	}
	s := &Selection{}
	excluded := newMatcher(rule.Exclude...)
	for job, err := range list {
		if err != nil {
			return nil, err
		}
		s.Seen++
		if job.Status.Running() {
			s.Running++
		}
		_, protected := rule.Protect.Protects(job.ID, job.Name) // asked of all: it notes which of its lines name a job
		if rule.matches(&job, now) {
			s.add(job, &rule, excluded, protected)
		}
	}
	slices.SortStableFunc(s.Jobs, rule.compare)
	if rule.Limit > 0 && len(s.Jobs) > rule.Limit {
		s.OverLimit = len(s.Jobs) - rule.Limit
		s.Jobs = slices.Clone(s.Jobs[:rule.Limit])
	}
	return s, nil
}

// InProject is what a rule chose in one project.
type InProject struct {
	ProjectID  string
	*Selection       // nil if Err is set
	Err        error // why the jobs of the project could not be listed
}

// Across applies rule to the jobs of each project, by its id, so many projects at once,
// and answers in their order. A project that can't be listed keeps out no other one. It
// calls listed after each project, from several goroutines; nil: nobody.
func Across(projects []string, list func(projectID string) iter.Seq2[jobs.Job, error], rule Rule, now time.Time, atOnce int, listed func()) []InProject {
	all := make([]InProject, len(projects))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, id := range projects {
		group.Go(func() error {
			s, err := Select(list(id), rule, now)
			if err != nil {
				err = fmt.Errorf("list the jobs of project %s: %w", id, err)
			}
			all[i] = InProject{id, s, err}
			if listed != nil {
				listed()
			}
			return nil
		})
	}
	_ = group.Wait() // each project has its own error
	return all
}

// matches says whether a job meets the criteria, as far as it tells.
func (r *Rule) matches(job *jobs.Job, now time.Time) bool {
	if len(r.Statuses) > 0 && !slices.Contains(r.Statuses, job.Status.Name) {
		return false
	}
	if len(r.Names) > 0 && !slices.ContainsFunc(r.Names, func(glob string) bool { return match(glob, job.Name) }) {
		return false
	}
	return r.OlderThan == 0 || job.CreateTime.IsZero() || now.Sub(job.CreateTime) >= r.OlderThan
}

// add puts a matching job where it belongs.
func (s *Selection) add(job jobs.Job, rule *Rule, excluded *matcher, protected bool) {
	switch {
	case job.Status.State != jobs.Active || jobs.ValidateID("job", job.ID) != nil:
		s.Unstoppable++
	case rule.OlderThan > 0 && job.CreateTime.IsZero():
		s.Ageless++
	case excluded.matches(job.ID, job.Name):
		s.Excluded++
	case protected:
		s.Protected++
	default:
		s.Jobs = append(s.Jobs, job)
	}
}

// compare puts a job without a time of creation last in either order.
func (r *Rule) compare(a, b jobs.Job) int {
	if a.CreateTime.IsZero() != b.CreateTime.IsZero() {
		if a.CreateTime.IsZero() {
			return 1
		}
		return -1
	}
	c := cmp.Or(a.CreateTime.Compare(b.CreateTime), compareIDs(a.ID, b.ID))
	if r.Order == Newest {
		return -c
	}
	return c
}

// compareIDs compares decimal ids by their number, however long, and puts any
// other id after them.
func compareIDs(a, b string) int {
	aDecimal, bDecimal := isDecimal(a), isDecimal(b)
	switch {
	case aDecimal && bDecimal:
		x, y := strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y), strings.Compare(a, b))
	case aDecimal:
		return -1
	case bDecimal:
		return 1
	}
	return strings.Compare(a, b)
}

func isDecimal(id string) bool { return strings.Trim(id, "0123456789") == "" }

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"vizstop/internal/control"
	"vizstop/internal/estimate"
	"vizstop/internal/joblist"
	"vizstop/internal/jobs"
	"vizstop/internal/settings"
)

// chosen is the jobs that an ask comes to, and what is known of them.
type chosen struct {
	*control.Survey
	left     []leftOut // by a rule, by project
	unlisted []error   // by a rule, one for each project whose jobs could not be listed
	details  map[string]map[string]jobs.Job
	running  map[string]int // running jobs by project, where known

	close func()
}

// leftOut is what a rule has passed over in one project.
type leftOut struct {
	ProjectID   string `json:"project_id"`
	Unstoppable int    `json:"unstoppable"` // match, but can't be stopped in their status
	Protected   int    `json:"protected"`
	Excluded    int    `json:"excluded"`
	OverLimit   int    `json:"over_limit"` // beyond --limit
	Ageless     int    `json:"ageless"`    // of unknown age, with --older-than
}

// survey makes the first pass.
func survey(pass func() iter.Seq2[joblist.Item, error]) (*chosen, error) {
	found, err := control.NewSurvey(pass)
	if err != nil {
		return nil, fmt.Errorf("nothing was enqueued: %w", err)
	}
	return &chosen{Survey: found, close: func() {}}, nil
}

// missing is the error of projects that could not be listed while others were; nil if
// all were.
func (c *chosen) missing() error {
	if len(c.unlisted) == 0 {
		return nil
	}
	return fmt.Errorf("of the projects, %d were left out and the others were not: %w", len(c.unlisted), errors.Join(c.unlisted...))
}

// refusal says why nothing is enqueued because of invalid names: the first few,
// and what to do.
func (c *chosen) refusal() error {
	return fmt.Errorf("nothing was enqueued: %s (correct them, or leave them out with --skip-invalid)%s", c.invalidCount(), c.firstInvalid())
}

// empty says why ids that were given come to no job.
func (c *chosen) empty() error {
	if c.Bad == 0 {
		return errors.New("no job to stop: the list is empty")
	}
	return fmt.Errorf("no job to stop: %s%s", c.invalidCount(), c.firstInvalid())
}

func (c *chosen) invalidCount() string {
	return fmt.Sprintf("%d of %d ids are not valid", c.Bad, c.Bad+c.Count+c.Repeated)
}

// firstInvalid is a line for each of the first few invalid names.
func (c *chosen) firstInvalid() string {
	var b strings.Builder
	for _, bad := range c.Invalid {
		b.WriteString("\n  " + bad.Place + ": " + bad.Reason)
	}
	if more := c.Bad - len(c.Invalid); more > 0 {
		fmt.Fprintf(&b, "\n  and %d more", more)
	}
	return b.String()
}

// whereProjectIs tells somebody who gave no project where to find its id.
const whereProjectIs = "its 32 digits and letters are under My Credentials in the console"

// checkChoice refuses settings and arguments that do not say clearly which jobs
// are meant.
func (c *stopCmd) checkChoice(args []string) error {
	byRule := c.byRule()
	switch {
	case byRule && (len(args) > 0 || c.from != ""):
		return errors.New("choose jobs either by rule (--all, --status, --name, --older-than) or by id (arguments, --from), not both")
	case byRule && len(c.projects) == 0:
		return errors.New("--project (HW_PROJECT_ID): a project is needed to choose jobs by rule: " + whereProjectIs)
	case byRule:
		return nil
	case len(args) == 0 && c.from == "":
		return errors.New("no job to stop: give ids, --from FILE, or a rule such as --all or --older-than 8h")
	case len(c.exclude) > 0 || c.limit > 0 || c.order != orderOldest:
		return errors.New("--exclude, --limit and --order go with a rule (--all, --status, --name, --older-than): of jobs given by id each one is stopped; leave out those that are not meant")
	case len(args) > 0 && len(c.projects) == 0:
		return errors.New("--project (HW_PROJECT_ID): a project is needed for the jobs given by id: " + whereProjectIs)
	case len(c.projects) > 1:
		return errors.New("--project (HW_PROJECT_ID): jobs given by id belong to one project; name others in a file with a project_id column")
	}
	return nil
}

// choose finds the jobs that the settings and arguments name: by rule, or by id
// from arguments, a file and standard input.
func (c *stopCmd) choose(ctx context.Context, desk *control.Desk, args []string) (*chosen, error) {
	if c.byRule() {
		return c.chooseByRule(ctx, desk)
	}
	return c.chooseByID(ctx, args)
}

func (c *stopCmd) chooseByID(ctx context.Context, args []string) (*chosen, error) {
	project := ""
	if len(c.projects) == 1 {
		project = c.projects[0]
	}
	list, done, err := c.openList(ctx)
	if err != nil {
		return nil, err
	}
	pass := func() iter.Seq2[joblist.Item, error] {
		return func(yield func(joblist.Item, error) bool) {
			for i, id := range args {
				item := joblist.Item{ProjectID: project, JobID: id, Place: fmt.Sprintf("argument %d", i+1)}
				var err error
				if bad := joblist.ValidateID("job", id); bad != nil {
					err = &joblist.LineError{Place: item.Place, Reason: bad.Error()}
				}
				if !yield(item, err) {
					return
				}
			}
			if list == nil {
				return
			}
			if _, err := list.Seek(0, io.SeekStart); err != nil {
				yield(joblist.Item{}, fmt.Errorf("--from: read it a second time: %w", err))
				return
			}
			for item, err := range joblist.Read(list, joblist.Options{Name: c.listName(), Format: c.format, Project: project}) {
				if !yield(item, err) {
					return
				}
			}
		}
	}
	chosen, err := survey(c.inShape(pass))
	if err != nil {
		done()
		return nil, err
	}
	chosen.close = done
	return chosen, nil
}

// inShape is a pass that refuses ids of the wrong generation of the API.
func (c *stopCmd) inShape(pass func() iter.Seq2[joblist.Item, error]) func() iter.Seq2[joblist.Item, error] {
	return func() iter.Seq2[joblist.Item, error] {
		return func(yield func(joblist.Item, error) bool) {
			for item, err := range pass() {
				if err == nil {
					if bad := c.api.checkShape(item.ProjectID, item.JobID); bad != nil {
						err = &joblist.LineError{Place: item.Place, Reason: fmt.Sprintf("job %s of project %s: %v", item.JobID, item.ProjectID, bad)}
						item = joblist.Item{}
					}
				}
				if !yield(item, err) {
					return
				}
			}
		}
	}
}

// tellOdd notes ids that do not look like those of ModelArts. They are no fault: a cloud may have ids of another form.
// A project that an accounts file names is known.
func (c *stopCmd) tellOdd(picked *chosen) {
	var projects, jobIDs oddIDs
	for _, id := range picked.Projects {
		projects.look(id, c.api.Accounts != "" || settings.LooksLikeProject(id))
	}
	for item := range picked.Items() { // an error of the list is told when the jobs are asked for
		jobIDs.look(item.JobID, item.JobID == "" || settings.LooksLikeJob(item.JobID))
	}
	c.note(projects.note("a project id (32 hex digits)"))
	c.note(jobIDs.note("a job id (a number or a UUID)"))
}

// oddIDs counts ids of another form than they should have.
type oddIDs struct {
	n     int
	first string
}

func (o *oddIDs) look(id string, asUsual bool) {
	if asUsual {
		return
	}
	if o.n++; o.n == 1 {
		o.first = id
	}
}

// note is "" if there are none.
func (o *oddIDs) note(form string) string {
	switch o.n {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("%q does not look like %s", o.first, form)
	}
	return fmt.Sprintf("%q does not look like %s, nor do %s others", o.first, form, estimate.Count(o.n-1))
}

func (c *stopCmd) listName() string {
	if c.from == "-" {
		return "standard input"
	}
	return c.from
}

// openList opens what --from names so that it can be read twice; nil without
// --from. A pipe that nobody writes to, or a terminal, is waited for until ctx ends.
func (c *stopCmd) openList(ctx context.Context) (io.ReadSeeker, func(), error) {
	if c.from == "" {
		return nil, func() {}, nil
	}
	type spooled struct {
		list io.ReadSeekCloser
		err  error
	}
	read := make(chan spooled, 1)
	go func() { // nothing ends a read of a pipe but the end of the program
		list, err := c.spoolList()
		read <- spooled{list, err}
	}()
	select {
	case got := <-read:
		if got.err != nil {
			return nil, nil, fmt.Errorf("--from: %w", got.err)
		}
		return got.list, func() { got.list.Close() }, nil
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("read %s: %w: nothing was enqueued", c.listName(), ctx.Err())
	}
}

// spoolList keeps what --from names: what was checked is what is enqueued, whatever
// happens to the file meanwhile.
func (c *stopCmd) spoolList() (io.ReadSeekCloser, error) {
	if c.from == "-" {
		return joblist.Spool(c.streams.in)
	}
	f, err := os.Open(c.from)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a folder: give a file", c.from)
	}
	return joblist.Spool(f)
}

// fixed is a pass over jobs that are in memory.
func fixed(items []joblist.Item) func() iter.Seq2[joblist.Item, error] {
	return func() iter.Seq2[joblist.Item, error] {
		return func(yield func(joblist.Item, error) bool) {
			for _, item := range items {
				var err error
				if bad := jobs.ValidateID("job", item.JobID); bad != nil { // an answer of the API can hold anything
					item, err = joblist.Item{}, &joblist.LineError{Place: "project " + item.ProjectID, Reason: bad.Error()}
				}
				if !yield(item, err) {
					return
				}
			}
		}
	}
}

// formats lists the formats of --from for its help.
func formats() string { return strings.Join(joblist.Formats(), ", ") }

package httpapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"

	"vizstop/internal/accounts"
	"vizstop/internal/console/problem"
	"vizstop/internal/control"
	"vizstop/internal/estimate"
	"vizstop/internal/joblist"
	"vizstop/internal/ledger"
	"vizstop/internal/limits"
	"vizstop/internal/principals"
	"vizstop/internal/settings"
	"vizstop/internal/tasks"
	"vizstop/internal/when"
)

type badName = control.BadName

// answer is what became of an ask.
type answer struct {
	Kind      string    `json:"kind"` // "stop", or "validated"
	Batch     string    `json:"batch"`
	Requester string    `json:"requester"`
	Shadow    bool      `json:"shadow"`    // nothing is stopped
	Confirmed bool      `json:"confirmed"` // no limit holds them
	Projects  []string  `json:"projects"`
	Jobs      int       `json:"jobs"` // that were named, each once
	Due       time.Time `json:"due"`  // of the first stop
	control.Outlook
	control.Asked
	Repeated     int       `json:"repeated"`
	Headers      int       `json:"headers"`
	Invalid      int       `json:"invalid"`
	InvalidNames []badName `json:"invalid_names"`
	Left         []leftOut `json:"left_out"`
	Held         []held    `json:"held"`
	Warnings     []string  `json:"warnings"`
	Items        []item    `json:"items"` // null: there are more than 1,000
}

// held says that a limit holds the stops of a project.
type held struct {
	ProjectID string `json:"project_id"`
	Why       string `json:"why"`
}

// item is what became of one job.
type item struct {
	Kind      string `json:"kind"` // "item"
	ProjectID string `json:"project_id"`
	JobID     string `json:"job_id"`
	StopID    string `json:"stop_id"`
	Result    string `json:"result"` // accepted, joined, known or full
}

// ask is a request on its way to being recorded.
type ask struct {
	*api
	*request
	by    *principals.Principal
	batch string

	jobs    *selected
	plan    when.Plan
	meta    ledger.Meta
	file    *accounts.File // where projects are; nil: that is not known here
	answer  *answer
	sizes   map[string]control.Size
	results *results
	exists  bool // the batch was asked for before
	begun   bool // something may have been recorded
}

func (a *api) putBatch(w http.ResponseWriter, r *http.Request) error {
	batch := r.PathValue("batch")
	if err := ledger.ValidateBatch(batch); err != nil {
		return problem.New(problem.InvalidRequest, "The "+err.Error()+".")
	}
	if ledger.OwnBatch(batch) {
		return problem.New(problem.InvalidRequest, "Batches of foreign tasks, of schedules and of Idempotency-Keys have such an id: choose another one.")
	}
	return a.takeAsk(w, r, batch, "")
}

func (a *api) postBatch(w http.ResponseWriter, r *http.Request) error {
	key, err := keyOf(r)
	if err != nil {
		return err
	}
	if key == "" {
		return a.takeAsk(w, r, ledger.NewBatchID(a.Desk.Ledger.Now()), "")
	}
	name := keyName(principals.FromContext(r.Context()).Name, key)
	return a.takeAsk(w, r, "key-"+name, name)
}

// takeAsk reads a request, asks for its stops and answers. key is the name of its Idempotency-Key; "": it has none.
func (a *api) takeAsk(w http.ResponseWriter, r *http.Request, batch, key string) error {
	form, err := accepted(r, typeJSON, typeNDJSON)
	if err != nil {
		return err
	}
	req, err := a.readRequest(r)
	if err != nil {
		return err
	}
	defer req.close()
	one := &ask{api: a, request: req, by: principals.FromContext(r.Context()), batch: batch, results: &results{all: form == typeNDJSON}}
	defer one.results.close()
	if req.ValidateOnly {
		return one.validate(w, r)
	}
	if key == "" {
		if err := one.do(r.Context()); err != nil {
			return err
		}
		return one.tell(w, false)
	}
	claim, before, err := a.keys.claim(r.Context(), key, req.print)
	if err != nil {
		return err
	}
	if before != nil {
		one.answer = before
		one.results.few = before.Items
		return one.tell(w, true)
	}
	err = one.do(r.Context())
	if err := errors.Join(err, claim.end(r.Context(), one.told(err), one.begun)); err != nil {
		return err
	}
	return one.tell(w, false)
}

// validate checks all that can be checked, and records nothing.
func (a *ask) validate(w http.ResponseWriter, r *http.Request) error {
	if err := a.check(r.Context()); err != nil {
		return err
	}
	a.answer.Kind, a.answer.Items = "validated", nil
	return write(w, http.StatusOK, a.answer)
}

// told is the answer that is kept for a repeat; nil after an error.
func (a *ask) told(err error) *answer {
	if err != nil {
		return nil
	}
	return a.answer
}

// do checks everything, and then asks.
func (a *ask) do(ctx context.Context) error {
	if err := a.check(ctx); err != nil {
		return err
	}
	if a.jobs.Count == 0 { // by a rule
		if a.answer.Items = []item{}; !a.exists {
			a.answer.Batch = ""
		}
		return nil
	}
	if err := a.record(ctx); err != nil {
		return err
	}
	producer := tasks.NewProducer(a.Desk.Ledger, a.Desk.Redis).At(a.endpoint)
	defer a.Snapshot.ForgetBatch(a.batch)
	asked, err := a.Desk.Ask(ctx, producer, control.Ask{Batch: a.batch, Projects: a.jobs.Projects, Total: a.jobs.Count, Plan: a.plan, Meta: a.meta,
		Confirmed: a.answer.Confirmed, Notify: a.Notify, Sizes: a.sizes, Jobs: a.jobs.Items(), Listed: a.jobs.listed, Each: a.results.add})
	if err != nil {
		return a.failed(err)
	}
	a.answer.Asked = *asked
	if err := a.results.fault; err != nil {
		return fmt.Errorf("keep the results: %w", err)
	}
	a.answer.Items = a.results.few
	return nil
}

// failed is the error of stops that could not all be recorded.
func (a *ask) failed(err error) error {
	part, ok := errors.AsType[*control.PartError](err)
	if !ok {
		return err
	}
	a.begun = a.begun || part.Tried
	if kind, ok := errors.AsType[*ledger.OtherKindError](err); ok {
		return problem.New(problem.Conflict, kind.Error())
	}
	if canceled, ok := errors.AsType[*control.CanceledError](err); ok {
		return problem.New(problem.Conflict, canceled.Error())
	}
	if elsewhere, ok := errors.AsType[*ledger.ElsewhereError](err); ok {
		return problem.New(problem.Conflict, elsewhere.Error())
	}
	return part.Err
}

// check finds out all that can be found out before anything is recorded.
func (a *ask) check(ctx context.Context) error {
	if err := a.refresh(ctx); err != nil {
		return err
	}
	if err := a.options.check(); err != nil {
		return err
	}
	now := a.Desk.Ledger.Now()
	if _, err := a.options.plan(now, time.Time{}); err != nil {
		return err
	}
	if a.API != nil {
		a.file = a.API.File()
	}
	var err error
	if a.jobs, err = a.choose(ctx); err != nil {
		return err
	}
	if err := a.checkJobs(); err != nil { // first of all that the projects are theirs
		return err
	}
	before, err := a.options.before(ctx, a)
	if err != nil {
		return err
	}
	if a.plan, err = a.options.plan(now, before); err != nil {
		return err
	}
	a.meta = ledger.Meta{Requester: a.by.Name, Reason: a.Reason, Labels: a.Labels, Shadow: a.Shadow}
	a.answer = &answer{Kind: "stop", Batch: a.batch, Requester: a.by.Name, Projects: orEmpty(a.jobs.Projects), Jobs: a.jobs.Count,
		Repeated: a.jobs.Repeated, Headers: a.jobs.Headers, Invalid: a.jobs.Bad, InvalidNames: orEmpty(a.jobs.Invalid), Left: orEmpty(a.jobs.left),
		Held: []held{}, Warnings: []string{}, Asked: control.Asked{JoinedJobs: []control.StopRef{}, FullJobs: []control.StopRef{}}}
	if err := a.checkPlaces(ctx); err != nil {
		return err
	}
	a.answer.Shadow, a.answer.Confirmed = a.meta.Shadow, a.Confirm != nil
	return a.lookAhead(ctx, now)
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// checkJobs refuses jobs that this principal may not ask for, or not so many of them.
func (a *ask) checkJobs() error {
	s := a.jobs
	for _, project := range s.Projects {
		if !a.by.Sees(project) {
			return denied(project)
		}
	}
	most := defaultMax
	if a.Max != nil {
		most = *a.Max
	}
	switch {
	case s.Bad > 0 && !a.SkipInvalid:
		p := invalid(fmt.Sprintf("%d of %d jobs are not valid, and nothing was recorded. Correct them, or leave them out with skip_invalid.", s.Bad, s.Bad+s.Count+s.Repeated),
			faultsOf(s.Invalid)...)
		if more := s.Bad - len(s.Invalid); more > 0 {
			p.Faults = append(p.Faults, problem.Fault{Detail: fmt.Sprintf("and %d more", more)})
		}
		return p
	case s.Count == 0 && a.rule == nil:
		return invalid("The list names no job, and nothing was recorded.")
	case s.Count > most:
		return invalid(fmt.Sprintf("%d jobs are named, more than max %d, and nothing was recorded. If validate_only shows that they are right, raise max.", s.Count, most))
	case a.Confirm == nil:
		return nil
	case !a.by.May(principals.Operate):
		return problem.New(problem.RoleTooLow, fmt.Sprintf("%s has the role %s, and to confirm stops needs %s. Without confirm they are within the limits on what nobody confirmed.",
			a.by.Name, a.by.Role, principals.Operate))
	case *a.Confirm != s.Count:
		return invalid(fmt.Sprintf("%d jobs are confirmed and %d are named, and nothing was recorded.", *a.Confirm, s.Count),
			problem.Fault{Pointer: "/confirm", Detail: fmt.Sprintf("is not %d", s.Count)})
	}
	return nil
}

func denied(project string) error {
	return problem.New(problem.ProjectDenied, fmt.Sprintf("Project %s is none of yours, and nothing was done.", project))
}

// checkPlaces holds the jobs against what is known of where their projects are.
func (a *ask) checkPlaces(ctx context.Context) error {
	if a.file == nil {
		return nil
	}
	var inShadow []string
	for _, id := range a.jobs.Projects {
		p, err := a.file.Find(id)
		if err != nil {
			return invalid("Nothing was recorded: no worker would call this project.", problem.Fault{Detail: err.Error()})
		}
		if p.Account.Shadow {
			inShadow = append(inShadow, id)
		}
		if err := a.Desk.Ledger.CheckEndpoint(ctx, id, a.endpoint(id)); err != nil {
			if elsewhere, ok := errors.AsType[*ledger.ElsewhereError](err); ok {
				return problem.New(problem.Conflict, elsewhere.Error())
			}
			return err
		}
	}
	switch {
	case a.Shadow || len(inShadow) == 0:
	case len(inShadow) < len(a.jobs.Projects):
		return invalid("Nothing was recorded: some projects are in shadow accounts, for whose projects no stop call is made: " +
			strings.Join(inShadow[:min(5, len(inShadow))], ", ") + ". Ask for those alone, or for all with shadow.")
	default:
		a.meta.Shadow = true
		a.answer.Warnings = append(a.answer.Warnings, "All projects are in shadow accounts: no stop call is made for them.")
	}
	return nil
}

// endpoint is where a project is; "" if that is not known here.
func (a *ask) endpoint(project string) string {
	if a.API == nil {
		return ""
	}
	_, endpoint, _, _ := a.API.Serving(project)
	return endpoint
}

// lookAhead compares the ask with rate, deadline and limits.
func (a *ask) lookAhead(ctx context.Context, now time.Time) error {
	if a.jobs.Count == 0 {
		a.answer.Due = a.plan.First.UTC()
		return nil
	}
	announced := a.Desk.Rate()
	deadline := control.Deadline{Given: a.Deadline != "", Words: "a deadline of " + estimate.Flag(when.MaxDeadline) + ", the longest,"}
	if deadline.Given {
		deadline.Words = "deadline " + a.Deadline
	}
	ahead, err := a.jobs.LookAhead(now, &a.plan, announced, func(project string) estimate.Rate {
		if a.file == nil {
			return announced
		}
		return control.RateOf(a.file, project, announced)
	}, deadline)
	if err != nil {
		return invalid(fieldWords.Replace(strings.Join(strings.Fields(err.Error()), " ")), problem.Fault{Pointer: "/deadline", Detail: "can't hold"})
	}
	if ahead.Tight != "" {
		a.answer.Warnings = append(a.answer.Warnings, ahead.Tight)
	}
	a.answer.Due = a.plan.Due(0, a.jobs.Count).UTC()
	if !a.answer.Confirmed {
		if err := a.lookAtLimits(ctx, &ahead); err != nil {
			return err
		}
	}
	a.answer.Outlook = ahead
	return nil
}

// lookAtLimits says what the limits on what nobody confirmed do to the ask, and states its size.
func (a *ask) lookAtLimits(ctx context.Context, ahead *control.Outlook) error {
	waiting, err := a.Desk.LookAtWindows(ctx, a.jobs.Survey)
	if err != nil {
		return err
	}
	for _, w := range waiting {
		ahead.OverWindow += w.Over
	}
	own := a.Desk.Fleet.Limits()
	a.sizes = map[string]control.Size{}
	for _, project := range a.jobs.Projects {
		running := a.running(ctx, project, own)
		over := own.Over(limits.Size{Stops: a.jobs.Each[project], All: a.jobs.Count, Running: running})
		if over != "" && !a.meta.Shadow {
			a.answer.Held = append(a.answer.Held, held{project, over + ": enqueue allow " + a.batch + " lets them through"})
		}
		a.sizes[project] = control.Size{Stops: max(a.jobs.Each[project], own.Most(running)), Held: over}
	}
	return nil
}

// selected is the jobs that an ask comes to.
type selected struct {
	*control.Survey
	left    []leftOut
	running map[string]int  // running jobs by project, where known
	found   map[string]bool // jobs that a list of the API had, by project and job
}

// leftOut is what a rule has passed over in one project.
type leftOut struct {
	ProjectID   string `json:"project_id"`
	Unstoppable int    `json:"unstoppable"`
	Excluded    int    `json:"excluded"`
	OverLimit   int    `json:"over_limit"`
	Ageless     int    `json:"ageless"`
}

func (s *selected) listed(project, job string) bool { return s.found[project+"/"+job] }

// choose surveys the jobs.
func (a *ask) choose(ctx context.Context) (*selected, error) {
	if a.rule != nil {
		return a.chooseByRule(ctx)
	}
	survey, err := control.NewSurvey(func() iter.Seq2[joblist.Item, error] { return a.inShape(ctx) })
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return nil, p
	}
	if err != nil { // of the list as a whole
		place, detail, _ := strings.Cut(err.Error(), ": ")
		return nil, invalid("The list can't be read, and nothing was recorded.", faultAt(place, detail))
	}
	return &selected{Survey: survey}, nil
}

// inShape goes through the jobs, and refuses ids of the wrong generation of the API; of projects of others, which are
// refused later, it tells nothing. It ends with ctx.
func (a *ask) inShape(ctx context.Context) iter.Seq2[joblist.Item, error] {
	return func(yield func(joblist.Item, error) bool) {
		n := 0
		for item, err := range a.pass() {
			if n++; n%1000 == 0 && ctx.Err() != nil {
				yield(joblist.Item{}, ctx.Err())
				return
			}
			if err == nil && a.file != nil && a.by.Sees(item.ProjectID) {
				if p, ok := a.file.Project(item.ProjectID); ok {
					if bad := settings.CheckShape(p.API, item.JobID); bad != nil {
						item, err = joblist.Item{}, &joblist.LineError{Place: item.Place, Reason: fmt.Sprintf("job %s of project %s: %v", item.JobID, item.ProjectID, bad)}
					}
				}
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

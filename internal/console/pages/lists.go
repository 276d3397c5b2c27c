package pages

import (
	"net/http"
	"strings"
	"time"

	"vizstop/internal/accounts"
	"vizstop/internal/actions"
	"vizstop/internal/console/operate"
	"vizstop/internal/console/problem"
	"vizstop/internal/console/snapshot"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/principals"
	"vizstop/internal/release"
	"vizstop/internal/scheduler"
)

// jobPage is the stops of a job.
type jobPage struct {
	ProjectID, JobID string
	Stops            []jobStop
}

// jobStop is one stop, with its times in their order.
type jobStop struct {
	*ledger.Stop
	Times   []moment
	History []ledger.HistoryStep
	Missing bool // steps between were dropped
}

// moment is something that happened to a stop.
type moment struct {
	Name string
	At   time.Time
}

func (p *pages) job(w http.ResponseWriter, r *http.Request) error {
	project, job := r.PathValue("project"), r.PathValue("job")
	unknown := problem.New(problem.NotFound, "No stop of such a job is in the ledger, or not any more.")
	if !who(r).Sees(project) || jobs.ValidateID("project", project) != nil {
		return unknown
	}
	kept, err := p.source.Job(r.Context(), project, job)
	if err != nil {
		return err
	}
	if len(kept.Value) == 0 {
		return unknown
	}
	page := &jobPage{ProjectID: project, JobID: job}
	for _, s := range kept.Value {
		page.Stops = append(page.Stops, newJobStop(s))
	}
	return p.show(w, r, "job", p.newView(r, "Job "+text(job), "/batches", page).kept(kept.Read, kept.Trouble))
}

func newJobStop(s *ledger.Stop) jobStop {
	one := jobStop{Stop: s, History: s.History()}
	for _, m := range []moment{{"asked", s.Asked}, {"due", s.Due}, {"first call", s.Called}, {"accepted", s.Accepted}, {"ended", s.Ended}, {"restarted (undo)", snapshot.UndoneAt(s)}, {"deadline", s.Deadline}} {
		if !m.At.IsZero() {
			one.Times = append(one.Times, m)
		}
	}
	for i, h := range one.History {
		one.Missing = one.Missing || i > 0 && h.N != one.History[i-1].N+1
	}
	return one
}

// Took is the time from due until the end.
func (s jobStop) Took() time.Duration { return max(0, s.Ended.Sub(s.Due)) }

func (p *pages) schedules(w http.ResponseWriter, r *http.Request) error {
	if !who(r).All() {
		return problem.New(problem.ProjectDenied, "Schedules concern all projects, and only some are yours to see.")
	}
	kept, err := p.source.Ticks(r.Context())
	if err != nil {
		return err
	}
	v := p.newView(r, "Schedules", "/schedules", struct {
		scheduler.Overview
		Agreed bool
	}{kept.Value, kept.Value.Agreed()}).kept(kept.Read, kept.Trouble)
	if v.Did, err = p.whatDid(r); err != nil {
		return err
	}
	return p.show(w, r, "schedules", v)
}

// limitsPage is how far limits are used up.
type limitsPage struct {
	*snapshot.State
	Windows []snapshot.Project // that used some of their window, or have stops that wait for it
	Batches []release.Hold     // held batches
	More    bool               // projects whose window was not read
}

func (p *pages) limits(w http.ResponseWriter, r *http.Request) error {
	kept, err := p.state(r)
	if err != nil {
		return err
	}
	page := &limitsPage{State: kept.Value}
	for _, one := range page.Projects {
		switch {
		case !one.Detailed:
			page.More = true
		case one.Window.Used > 0 || one.Window.Waiting > 0 || one.Window.Allowed > 0:
			page.Windows = append(page.Windows, one)
		}
	}
	for _, h := range page.Holds {
		if h.Scope == release.ScopeBatch {
			page.Batches = append(page.Batches, h)
		}
	}
	v := p.newView(r, "Limits", "/limits", page).kept(kept.Read, kept.Trouble)
	v.Now = kept.Value.At
	if v.Did, err = p.whatDid(r); err != nil {
		return err
	}
	return p.show(w, r, "limits", v)
}

// actionsPage is who did what.
type actionsPage struct {
	Actions []actions.Action
	Running []operate.Running
	Part    bool // only what concerns some projects
}

func (p *pages) actions(w http.ResponseWriter, r *http.Request) error {
	kept, err := p.source.Actions(r.Context())
	if err != nil {
		return err
	}
	page := &actionsPage{Actions: kept.Value}
	if me := who(r); me.All() {
		page.Running = p.operator.Running()
	} else {
		page.Part = true
		if page.Actions, err = p.visibleActions(r, kept.Value, me); err != nil {
			return err
		}
	}
	return p.show(w, r, "actions", p.newView(r, "Actions", "/actions", page).kept(kept.Read, kept.Trouble))
}

// visibleActions are those on projects and batches that a principal sees, and on everything.
func (p *pages) visibleActions(r *http.Request, all []actions.Action, me *principals.Principal) ([]actions.Action, error) {
	list, err := p.source.List(r.Context(), snapshot.Query{}, me)
	if err != nil {
		return nil, err
	}
	mine := map[string]bool{"everything": true}
	for _, b := range list.Value.Batches {
		mine["batch "+b.ID] = true
	}
	var some []actions.Action
	for _, a := range all {
		project, ok := strings.CutPrefix(a.Scope, "project ")
		if mine[a.Scope] || ok && me.Sees(project) {
			some = append(some, a)
		}
	}
	return some, nil
}

// hasAccounts reports whether the console was given an accounts file.
func (p *pages) hasAccounts() bool { return p.site.API != nil && !p.site.API.File().Open() }

// accountRow is an account as the console knows it. It has no secret.
type accountRow struct {
	Name, Through string
	Shadow        bool
	Regions       []string
	Projects      []accounts.Project // the first few that the reader sees
	More          int
	Stands        bool       // it is held
	Held          []holdView // by what; none for who sees some projects only
}

// shownOfAccount is how many projects of an account are shown.
const shownOfAccount = 200

func (p *pages) accounts(w http.ResponseWriter, r *http.Request) error {
	if !p.hasAccounts() {
		return problem.New(problem.NotFound, "The console was started without an accounts file.")
	}
	kept, err := p.source.State(r.Context())
	if err != nil {
		return err
	}
	file, me := p.site.API.File(), who(r)
	of := map[*accounts.Account][]accounts.Project{}
	for _, project := range file.Projects() {
		if me.Sees(project.ID) {
			of[project.Account] = append(of[project.Account], project)
		}
	}
	var rows []accountRow
	for _, a := range file.Accounts() {
		row := accountRow{Name: a.Name, Shadow: a.Shadow}
		if a.Agency != nil {
			row.Through = a.Agency.Through.Name
		}
		for _, region := range a.Regions {
			row.Regions = append(row.Regions, region.Name)
		}
		row.Projects = of[a][:min(len(of[a]), shownOfAccount)]
		row.More = len(of[a]) - len(row.Projects)
		for _, h := range kept.Value.Holds {
			if h.Scope != release.ScopeCredential || h.Account != a.Name {
				continue
			}
			if row.Stands = true; me.All() {
				row.Held = append(row.Held, newHold(h, kept.Value.At))
			}
		}
		if me.All() || len(row.Projects) > 0 {
			rows = append(rows, row)
		}
	}
	v := p.newView(r, "Accounts", "/accounts", rows).kept(kept.Read, kept.Trouble)
	v.Now = kept.Value.At
	return p.show(w, r, "accounts", v)
}

package httpapi

import (
	"net/http"
	"time"

	"vizstop/internal/control"
	"vizstop/internal/principals"
	"vizstop/internal/release"
)

// results of each schedule that are shown.
const scheduleResults = 5

func (a *api) getSchedules(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	results := q.number("results", scheduleResults, 0, 50)
	if err := q.done(); err != nil {
		return err
	}
	if _, err := accepted(r, typeJSON); err != nil {
		return err
	}
	if err := whole(r); err != nil {
		return err
	}
	if err := a.refresh(r.Context()); err != nil {
		return err
	}
	overview, err := a.Desk.Schedules.Overview(r.Context(), results)
	if err != nil {
		return err
	}
	list := overview.List()
	for i := range list.Schedules {
		list.Schedules[i].Results = orEmpty(list.Schedules[i].Results)
	}
	return write(w, http.StatusOK, list)
}

// actionList is what GET /v1/actions answers with.
type actionList struct {
	Kind    string              `json:"kind"` // "actions"
	Actions []control.ActionRow `json:"actions"`
}

func (a *api) getActions(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	limit := q.number("limit", 50, 1, 1000)
	if err := q.done(); err != nil {
		return err
	}
	if _, err := accepted(r, typeJSON); err != nil {
		return err
	}
	if err := whole(r); err != nil {
		return err
	}
	found, err := a.Desk.Actions.Last(r.Context(), limit)
	if err != nil {
		return err
	}
	list := actionList{"actions", []control.ActionRow{}}
	for _, one := range found {
		list.Actions = append(list.Actions, control.NewActionRow(one))
	}
	return write(w, http.StatusOK, list)
}

// holdList is what GET /v1/holds answers with.
type holdList struct {
	Kind  string    `json:"kind"` // "holds"
	Holds []holdRow `json:"holds"`
}

// holdRow is something that holds calls back.
type holdRow struct {
	Reason    string     `json:"reason"`
	Scope     string     `json:"scope"`
	ProjectID string     `json:"project_id"`
	Batch     string     `json:"batch"`
	Account   string     `json:"account"`
	Since     *time.Time `json:"since"`
	By        string     `json:"by"`
	Until     *time.Time `json:"until"`
	Words     string     `json:"words"`
}

func newHoldRow(h release.Hold) holdRow {
	return holdRow{string(h.Reason), string(h.Scope), h.ProjectID, h.Batch, h.Account, orNull(h.Since), h.By, orNull(h.Until), h.String()}
}

// newHoldRowFor is what a principal is told of a hold: of a whole account, whoever sees some projects only, that it
// is held. What it is called, and which call of whose job was refused, concerns others, too.
func newHoldRowFor(h release.Hold, p *principals.Principal) holdRow {
	row := newHoldRow(h)
	if h.Scope == release.ScopeCredential && !p.All() {
		row.Account, row.Words = "", "calls of the account held: "+string(h.Reason)
	}
	return row
}

func (a *api) getHolds(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	project := q.checked("project_id", projectID)
	if err := q.done(); err != nil {
		return err
	}
	if _, err := accepted(r, typeJSON); err != nil {
		return err
	}
	p := principals.FromContext(r.Context())
	if project != "" && !p.Sees(project) {
		return denied(project)
	}
	if err := a.refresh(r.Context()); err != nil {
		return err
	}
	holds, err := a.Desk.Release.Holds(r.Context())
	if err != nil {
		return err
	}
	list := holdList{"holds", []holdRow{}}
	for _, h := range holds {
		if a.concerns(h, project, p) {
			list.Holds = append(list.Holds, newHoldRowFor(h, p))
		}
	}
	return write(w, http.StatusOK, list)
}

// concerns reports whether a hold is shown: it holds back a project that was asked for, or any that the principal sees.
func (a *api) concerns(h release.Hold, project string, p *principals.Principal) bool {
	if project != "" {
		return a.Desk.Release.Concerns(h, project)
	}
	if p.All() {
		return true
	}
	for _, id := range p.Projects {
		if a.Desk.Release.Concerns(h, id) {
			return true
		}
	}
	return false
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

package httpapi

import (
	"bufio"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"vizstop/internal/console/problem"
	"vizstop/internal/control"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/principals"
)

const (
	defaultStops = 100
	mostStops    = 1000
	// mostReads is how often one page of stops of one outcome reads on to find some.
	mostReads = 20
)

// stopPage is what GET of a batch's stops answers with.
type stopPage struct {
	Kind  string            `json:"kind"` // "stops"
	Batch string            `json:"batch"`
	Stops []control.StopRow `json:"stops"`
	Next  *string           `json:"next_cursor"` // null: there are no more
}

func (a *api) getStops(w http.ResponseWriter, r *http.Request) error {
	form, err := accepted(r, typeJSON, typeNDJSON, typeCSV)
	if err != nil {
		return err
	}
	q := newQuery(r)
	outcome := q.checked("outcome", control.CheckState)
	limit, at := defaultStops, ""
	if form == typeJSON {
		limit, at = q.number("limit", defaultStops, 1, mostStops), q.text("cursor")
	}
	if err := q.done(); err != nil {
		return err
	}
	b, err := a.batch(r)
	if err != nil {
		return err
	}
	if form == typeJSON {
		return a.getStopPage(w, r, b, outcome, limit, at)
	}
	var states []string
	if outcome != "" {
		states = []string{outcome}
	}
	return a.stream(w, form, b.Stops(r.Context(), states...))
}

// cursor is a place among the stops of a batch: in which project, at which offset.
type cursor struct {
	project string
	offset  int
}

func (c cursor) String() string { return strconv.Itoa(c.offset) + "." + c.project }

// parseCursor reads what String wrote; "" is the beginning.
func parseCursor(text string, projects []string) (cursor, error) {
	if text == "" {
		return cursor{projects[0], 0}, nil
	}
	number, project, ok := strings.Cut(text, ".")
	offset, err := strconv.Atoi(number)
	if !ok || err != nil || offset < 0 || !slices.Contains(projects, project) {
		return cursor{}, problem.New(problem.InvalidRequest, fmt.Sprintf("Parameter cursor is %.40q, and no next_cursor of this list.", text))
	}
	return cursor{project, offset}, nil
}

func (a *api) getStopPage(w http.ResponseWriter, r *http.Request, b *control.Batch, outcome string, limit int, text string) error {
	at, err := parseCursor(text, b.Projects)
	if err != nil {
		return err
	}
	page := stopPage{Kind: "stops", Batch: b.ID, Stops: []control.StopRow{}}
	for range mostReads {
		stops, next, err := b.Ledger.BatchStops(r.Context(), at.project, b.ID, at.offset, limit-len(page.Stops))
		if err != nil {
			return err
		}
		for _, s := range stops {
			if outcome == "" || string(s.State) == outcome {
				page.Stops = append(page.Stops, control.NewStopRow(s))
			}
		}
		at.offset = next
		if next == 0 {
			i := slices.Index(b.Projects, at.project) + 1
			if i == len(b.Projects) {
				return write(w, http.StatusOK, page)
			}
			at = cursor{b.Projects[i], 0}
		}
		if len(page.Stops) == limit {
			break
		}
	}
	next := at.String()
	page.Next = &next
	return write(w, http.StatusOK, page)
}

// stream sends stops as they are read. The first one is read before anything is sent, so that trouble is told as such;
// later on the connection is cut.
func (a *api) stream(w http.ResponseWriter, form string, stops iter.Seq2[*ledger.Stop, error]) error {
	next, stop := iter.Pull2(stops)
	defer stop()
	s, err, more := next()
	if err != nil {
		return err
	}
	all := func(yield func(*ledger.Stop, error) bool) {
		for ; more; s, err, more = next() {
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
	w.Header().Set("Content-Type", form)
	out := bufio.NewWriterSize(w, 64<<10)
	if form == typeCSV {
		w.Header().Set("Content-Type", form+"; charset=utf-8; header=present")
		err = control.WriteCSV(out, all)
	} else {
		err = writeLines(out, all)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		a.Log.Warn("a list of stops was cut off", "error", err)
		panic(http.ErrAbortHandler) // nobody is to take a part for the whole
	}
	return nil
}

func writeLines(out *bufio.Writer, stops iter.Seq2[*ledger.Stop, error]) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	for s, err := range stops {
		if err != nil {
			return err
		}
		if err := e.Encode(control.NewStopRow(s)); err != nil {
			return err
		}
	}
	return nil
}

// jobAnswer is what GET of a job answers with.
type jobAnswer struct {
	Kind      string              `json:"kind"` // "show"
	ProjectID string              `json:"project_id"`
	JobID     string              `json:"job_id"`
	Stops     []control.ShownStop `json:"stops"` // the newest first
}

func (a *api) getJob(w http.ResponseWriter, r *http.Request) error {
	if err := newQuery(r).done(); err != nil {
		return err
	}
	if _, err := accepted(r, typeJSON); err != nil {
		return err
	}
	project, job := r.PathValue("project_id"), r.PathValue("job_id")
	unknown := problem.New(problem.NotFound, "The ledger knows of no stop of this job: an id is wrong, nobody has asked to stop it, or that was longer ago than the workers' --retention.")
	if jobs.ValidateID("project", project) != nil || jobs.ValidateID("job", job) != nil {
		return unknown
	}
	if !principals.FromContext(r.Context()).Sees(project) {
		return denied(project)
	}
	if err := a.refresh(r.Context()); err != nil {
		return err
	}
	stops, err := a.Desk.JobStops(r.Context(), project, job)
	if err != nil {
		return err
	}
	if len(stops) == 0 {
		return unknown
	}
	answer := jobAnswer{"show", project, job, []control.ShownStop{}}
	for _, s := range stops {
		answer.Stops = append(answer.Stops, control.NewShownStop(s))
	}
	return write(w, http.StatusOK, answer)
}

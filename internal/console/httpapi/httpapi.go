// Package httpapi is the HTTP API of the console: it asks for stops, tells how they stand, and carries orders out.
// docs/openapi.yaml describes every route and answer; a test holds both against each other.
package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"vizstop/docs"
	"vizstop/internal/console/operate"
	"vizstop/internal/console/problem"
	"vizstop/internal/console/site"
	"vizstop/internal/principals"
)

// api is what the handlers share.
type api struct {
	*site.Site
	keys    keys
	listing listing
	spooled budget        // lists, which are in files
	held    budget        // JSON bodies, which are in memory
	large   chan struct{} // has a place for each large JSON body that may be decoded
}

// How long requests may take that take longer than others.
const (
	askTime    = 15 * time.Minute // a million ids are checked and recorded
	streamTime = 30 * time.Minute
	waitTime   = maxWait + 30*time.Second
	orderTime  = time.Minute
)

// New returns the routes below /v1/, and /openapi.yaml.
func New(on *site.Site) []site.Route {
	a := &api{Site: on, large: make(chan struct{}, mostLarge), spooled: budget{most: mostSpooled, mostOwn: ownSpooled}, held: budget{most: mostHeld, mostOwn: ownHeld}}
	if on.Desk != nil { // else nothing but the description is asked for
		a.keys = keys{rdb: on.Desk.Redis, now: on.Desk.Fleet.Now}
	}
	return routes{
		a.route("PUT /v1/batches/{batch}", principals.Ask, a.putBatch).withBody(maxList).lasting(askTime),
		a.route("POST /v1/batches", principals.Ask, a.postBatch).withBody(maxList).lasting(askTime),
		a.route("GET /v1/batches", principals.Read, a.getBatches),
		a.route("GET /v1/batches/{batch}", principals.Read, a.getBatch).lasting(waitTime).waiting(),
		a.route("GET /v1/batches/{batch}/stops", principals.Read, a.getStops).lasting(streamTime),
		a.route("GET /v1/projects/{project_id}/jobs/{job_id}", principals.Read, a.getJob),
		a.route("GET /v1/schedules", principals.Read, a.getSchedules),
		a.route("GET /v1/actions", principals.Read, a.getActions),
		a.route("GET /v1/overview", principals.Read, a.getOverview),
		a.route("GET /v1/holds", principals.Read, a.getHolds),

		a.order("POST /v1/batches/{batch}/cancel", operate.Cancel),
		a.order("POST /v1/batches/{batch}/retry", operate.Retry),
		a.order("POST /v1/batches/{batch}/undo", operate.Undo),
		a.order("POST /v1/batches/{batch}/allow", operate.Allow),
		a.order("POST /v1/projects/{project_id}/allow", operate.Allow),
		a.order("PUT /v1/pauses/{project_id}", operate.Pause),
		a.order("DELETE /v1/pauses/{project_id}", operate.Resume),
		a.order("POST /v1/schedules/{schedule}/run", operate.RunSchedule),
		a.order("POST /v1/schedules/{schedule}/suspend", operate.SuspendSchedule),
		a.order("POST /v1/schedules/{schedule}/resume", operate.ResumeSchedule),

		a.route("GET /openapi.yaml", 0, a.getOpenAPI),
	}.routes()
}

// route is a site.Route that is being made.
type route site.Route

type routes []route

func (all routes) routes() []site.Route {
	made := make([]site.Route, len(all))
	for i, r := range all {
		made[i] = site.Route(r)
	}
	return made
}

func (r route) withBody(most int64) route        { r.Body = most; return r }
func (r route) lasting(long time.Duration) route { r.Time = long; return r }

// waiting is for a route that takes ?wait.
func (r route) waiting() route {
	r.Waits = func(r *http.Request) bool { return r.URL.Query().Get("wait") != "" }
	return r
}

// route is a way in whose handler returns what went wrong before it has answered.
func (a *api) route(pattern string, role principals.Role, handle func(http.ResponseWriter, *http.Request) error) route {
	return route{Pattern: pattern, Role: role, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := handle(w, r); err != nil {
			a.Fail(w, r, err)
		}
	})}
}

// refresh has the desk learn the fleet's time, rate and limits, at most once a second for all requests.
func (a *api) refresh(ctx context.Context) error { return a.Desk.Fresh(ctx) }

// write answers with JSON.
func write(w http.ResponseWriter, status int, v any) error {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", typeJSON)
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // nobody is left to be told
	return nil
}

func (a *api) getOpenAPI(w http.ResponseWriter, r *http.Request) error {
	if err := newQuery(r).done(); err != nil {
		return err
	}
	if _, err := accepted(r, "application/yaml"); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(docs.OpenAPI)
	return nil
}

// whole lets only those in who see every project.
func whole(r *http.Request) error {
	if principals.FromContext(r.Context()).All() {
		return nil
	}
	return problem.New(problem.ProjectDenied, "This shows every project, and only some are yours.")
}

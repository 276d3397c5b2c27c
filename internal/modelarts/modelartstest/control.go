package modelartstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Order is a fault as JSON, for a simulator that is a process of its own. It says less than Fault: which calls go
// wrong, and the answer in their place. That answer has no effect, unless it is the honest one.
type Order struct {
	Operation  string     `json:"operation"`  // one of the Op constants; "" for all
	Generation Generation `json:"generation"` // V1 or V2; "" for all
	Region     string     `json:"region"`     // "" for all
	ProjectID  string     `json:"project_id"` // "" for all
	JobID      string     `json:"job_id"`     // "" for all
	Times      int        `json:"times"`      // how many calls; 0 until cleared
	// The fault meets calls that arrive from After seconds on, counted from the order, and for For seconds; 0 begins at
	// once and never ends.
	After float64 `json:"after"`
	For   float64 `json:"for"`
	Delay float64 `json:"delay"` // seconds before the effect and the answer
	// Honest leaves the answer as it would be without the fault, for one that only delays. HTTPStatus must be 0 then.
	Honest bool `json:"honest"`
	// HTTPStatus is that of the answer, with Code and Message in the shape that
	// ReplyError gives them. 0 means that of the row that V2Errors has for Code, and without a Code it resets the
	// connection.
	HTTPStatus int    `json:"http_status"`
	Code       string `json:"code"`
	Message    string `json:"message"`
}

// Control serves what a test needs of a simulator that runs elsewhere:
//
//	GET /counts                how many calls there were, by operation
//	GET /calls                 every remembered call, one JSON object a line, in order of arrival
//	GET /jobs?project=ID       every job of a project as it now is, one JSON object a line
//	GET /history               what happened to each job: a JobHistory a line, ordered by project and job
//	GET /history/counts        how many calls there were, by operation and HTTP status: a CountsPage
//	POST /faults               an Order, from now on
//	DELETE /faults             ends every fault
//	PUT /v2                    V2Options, from now on
//	POST /offer                a call of Offer: {"project_id": ..., "only": "v1", "v2" or ""}
//	GET /stray-stops           every StrayStop, one JSON object a line
//	POST /credentials          a CredentialOrder, from now on
//	GET /agencies              an Assumed for each agency that was asked for, by its name
//
// It knows no authentication: serve it on the loopback interface only.
func (s *Simulator) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /counts", func(w http.ResponseWriter, _ *http.Request) { writeLines(w, []any{s.Counts()}) })
	mux.HandleFunc("GET /calls", func(w http.ResponseWriter, _ *http.Request) { writeLines(w, s.AllCalls()) })
	mux.HandleFunc("GET /jobs", func(w http.ResponseWriter, r *http.Request) {
		project := r.URL.Query().Get("project")
		if project == "" {
			http.Error(w, "which project? Ask for /jobs?project=ID", http.StatusBadRequest)
			return
		}
		writeLines(w, s.Jobs(project))
	})
	mux.HandleFunc("GET "+PathJobs, s.history)
	mux.HandleFunc("GET "+PathCounts, s.historyCounts)
	mux.HandleFunc("GET /stray-stops", func(w http.ResponseWriter, _ *http.Request) { writeLines(w, s.StrayStops()) })
	mux.HandleFunc("GET /agencies", func(w http.ResponseWriter, _ *http.Request) { writeLines(w, []any{s.allAssumed()}) })
	mux.HandleFunc("POST /faults", taking(func(o Order) { s.Inject(o.fault(s.now())) }))
	mux.HandleFunc("PUT /v2", taking(s.SetV2))
	mux.HandleFunc("POST /offer", taking(func(o offer) { s.Offer(o.ProjectID, o.Only) }))
	mux.HandleFunc("POST /credentials", taking(s.orderCredential))
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// writeLines writes one JSON object a line.
func writeLines[T any](w http.ResponseWriter, lines []T) {
	w.Header().Set("Content-Type", "application/jsonl")
	enc := json.NewEncoder(w)
	for _, line := range lines {
		if enc.Encode(line) != nil {
			return // the client has gone
		}
	}
}

// order is what a page takes.
type order interface{ check() error }

// taking is a page that takes one T as JSON.
func taking[T order](do func(T)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var o T
		dec := json.NewDecoder(r.Body)
		dec.DisallowUnknownFields()
		err := dec.Decode(&o)
		if err == nil {
			err = o.check()
		}
		if err != nil {
			http.Error(w, "this is not understood: "+err.Error(), http.StatusBadRequest)
			return
		}
		do(o)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (o Order) check() error {
	if o.Operation != "" && !slices.Contains(allOperations, o.Operation) {
		return fmt.Errorf("operation %q is none of %s", o.Operation, strings.Join(allOperations, ", "))
	}
	if o.HTTPStatus != 0 && (o.HTTPStatus < 200 || o.HTTPStatus > 599) {
		return fmt.Errorf("http_status %d is not between 200 and 599; 0 resets the connection", o.HTTPStatus)
	}
	if o.Honest && (o.HTTPStatus != 0 || o.Code != "") {
		return fmt.Errorf("an honest answer has a status and a code of its own, not %d %s", o.HTTPStatus, o.Code)
	}
	if _, ok := findV2Error(o.Code); o.HTTPStatus == 0 && o.Code != "" && !ok {
		return fmt.Errorf("code %q is not one of v2's: give its http_status, too", o.Code)
	}
	if o.Times < 0 || o.After < 0 || o.For < 0 || o.Delay < 0 {
		return errors.New("times, after, for and delay must not be negative")
	}
	return o.Generation.check()
}

// offer is a call of Offer.
type offer struct {
	ProjectID string     `json:"project_id"`
	Only      Generation `json:"only"`
}

func (o offer) check() error { return o.Only.check() }

// fault is the order as a fault, at the time at which it was given.
func (o Order) fault(now time.Time) Fault {
	f := Fault{
		Operation: o.Operation, Generation: o.Generation, Region: o.Region, ProjectID: o.ProjectID, JobID: o.JobID,
		Times: o.Times, Delay: seconds(o.Delay),
	}
	if o.After > 0 {
		f.From = now.Add(seconds(o.After))
	}
	if o.For > 0 {
		f.Until = now.Add(seconds(o.After + o.For))
	}
	switch {
	case o.Honest: // the zero Reply
	case o.HTTPStatus != 0:
		f.Reply = ReplyError(o.HTTPStatus, o.Code, o.Message)
	case o.Code != "":
		f.Reply = ReplyV2Error(o.Code)
	default:
		f.Reply = ReplyReset()
	}
	return f
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

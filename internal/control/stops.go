package control

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/plain"
)

// StopRow is everything that is told of one stop, by "enqueue stops --json" and by the
// HTTP API. Times are null until they have come.
type StopRow struct {
	StopID    string            `json:"stop_id"`
	Batch     string            `json:"batch"`
	ProjectID string            `json:"project_id"`
	JobID     string            `json:"job_id"`
	State     string            `json:"state"` // pending, stopping, or the outcome
	Reason    string            `json:"reason"`
	Asked     *time.Time        `json:"asked"`
	Due       *time.Time        `json:"due"`
	Called    *time.Time        `json:"called"`
	Accepted  *time.Time        `json:"accepted"`
	Ended     *time.Time        `json:"ended"`
	Deadline  *time.Time        `json:"deadline"`
	Attempts  int               `json:"attempts"`
	Calls     int               `json:"calls"`
	Polls     int               `json:"polls"`
	Status    *string           `json:"last_status"`
	RequestID string            `json:"request_id"`
	Labels    map[string]string `json:"labels"`
	Shadow    bool              `json:"shadow"` // no stop call is made for it
}

// NewStopRow is a stop as it is told.
func NewStopRow(s *ledger.Stop) StopRow {
	r := StopRow{
		StopID: s.ID, Batch: s.Batch, ProjectID: s.ProjectID, JobID: s.JobID, State: string(s.State), Reason: s.Reason,
		Asked: known(s.Asked), Due: known(s.Due), Called: known(s.Called), Accepted: known(s.Accepted), Ended: known(s.Ended),
		Deadline: known(s.Deadline), Attempts: s.Attempts, Calls: s.Calls, Polls: s.Polls, RequestID: s.RequestID, Labels: s.Labels, Shadow: s.Shadow,
	}
	if s.Status != "" {
		r.Status = &s.Status
	}
	if r.Labels == nil {
		r.Labels = map[string]string{}
	}
	return r
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// JobStops lists the stops of a job, real ones and shadow ones, newest first. Those that
// a limit holds back have it as their reason.
func (d *Desk) JobStops(ctx context.Context, projectID, jobID string) ([]*ledger.Stop, error) {
	real, err := d.Ledger.Real().JobStops(ctx, projectID, jobID)
	if err != nil {
		return nil, err
	}
	shadow, err := d.Ledger.Shadow().JobStops(ctx, projectID, jobID)
	if err != nil {
		return nil, err
	}
	all := append(real, shadow...)
	slices.SortStableFunc(all, func(a, b *ledger.Stop) int { return b.Asked.Compare(a.Asked) })
	return all, d.Explain(ctx, all)
}

// CheckState refuses a word that is not a state of a stop.
func CheckState(v string) error {
	all := append(ledger.AllOutcomes(), ledger.InFlight()...)
	if slices.Contains(all, ledger.State(v)) {
		return nil
	}
	words := make([]string, len(all))
	for i, s := range all {
		words[i] = string(s)
	}
	return fmt.Errorf("%.40q is none of %s", v, strings.Join(words, ", "))
}

// csvColumns are the columns of a CSV list. New ones are only ever added at the end.
var csvColumns = []string{"batch", "project_id", "job_id", "state", "reason", "asked", "due", "called", "accepted", "ended",
	"deadline", "attempts", "calls", "polls", "last_status", "request_id", "stop_id", "labels"}

// WriteCSV lists stops with a header. Nothing in a cell is a formula to a spreadsheet.
func WriteCSV(out io.Writer, stops iter.Seq2[*ledger.Stop, error]) error {
	w := csv.NewWriter(out)
	if err := w.Write(csvColumns); err != nil {
		return err
	}
	for s, err := range stops {
		if err != nil {
			return err
		}
		labels := ""
		if len(s.Labels) > 0 {
			b, err := json.Marshal(s.Labels)
			if err != nil {
				return err
			}
			labels = string(b)
		}
		err := w.Write([]string{s.Batch, s.ProjectID, s.JobID, string(s.State), cell(s.Reason), stamp(s.Asked), stamp(s.Due), stamp(s.Called),
			stamp(s.Accepted), stamp(s.Ended), stamp(s.Deadline), strconv.Itoa(s.Attempts), strconv.Itoa(s.Calls), strconv.Itoa(s.Polls),
			cell(s.Status), cell(s.RequestID), s.ID, plain.Escape(labels)})
		if err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// maxCell bounds one text of a list, in characters.
const maxCell = 512

// cell is a text from outside as a CSV field.
func cell(text string) string { return plain.Cell(plain.Line(text, maxCell)) }

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

package control

import (
	"context"
	"slices"
	"time"

	"vizstop/internal/report"
)

// Status is how a batch stands. It is what "enqueue status" prints as JSON.
type Status struct {
	Kind     string            `json:"kind"` // "status"
	Batch    string            `json:"batch"`
	Projects []*report.Summary `json:"projects"`
	Paused   []string          `json:"paused"`       // pauses that hold its stop calls back, in words
	Held     []string          `json:"held"`         // whatever keeps what is in flight from moving, in words
	End      *time.Time        `json:"expected_end"` // about; null: that can't be told
}

// Status reads every stop of the batch.
func (b *Batch) Status(ctx context.Context) (*Status, error) {
	s := &Status{Kind: "status", Batch: b.ID, Paused: []string{}, Held: []string{}}
	for _, p := range b.Projects {
		summary, err := report.Summarize(ctx, b.Ledger, p, b.ID)
		if err != nil {
			return nil, err
		}
		s.Projects = append(s.Projects, summary)
	}
	var err error
	if s.Paused, err = b.Paused(ctx); err != nil {
		return nil, err
	}
	if s.InFlight() {
		if s.Held, err = b.Why(ctx); err != nil {
			return nil, err
		}
		if line := report.Deadlines(s.Projects); line != "" && len(s.Held) > 0 && !b.Shadow() {
			s.Held = append(s.Held, line)
		}
	}
	if end, ok := report.End(b.desk.Rate(), b.desk.ownRate, s.Projects); ok && len(s.Held) == 0 {
		end = end.UTC().Round(time.Second)
		s.End = &end
	}
	return s, nil
}

// InFlight reports whether a stop of the batch has no outcome yet.
func (s *Status) InFlight() bool {
	return slices.ContainsFunc(s.Projects, func(p *report.Summary) bool { return p.Done() < p.Requested })
}

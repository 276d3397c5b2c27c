package control

import (
	"time"

	"vizstop/internal/ledger"
)

// ShownStop is a stop with its history, by "enqueue show --json" and by the HTTP API's
// answer about one job. Lists are without it.
type ShownStop struct {
	StopRow
	History []StepRow `json:"history"`
}

// StepRow is one step of the history of a stop.
type StepRow struct {
	N         int       `json:"n"` // counts from 1; where it jumps, steps have been dropped
	At        time.Time `json:"at"`
	Call      string    `json:"call"` // stop, detail or list
	Answer    string    `json:"answer"`
	Status    *string   `json:"status"` // of the job; null: the answer told none
	RequestID string    `json:"request_id"`
}

// NewShownStop is a stop as it is told with its history.
func NewShownStop(s *ledger.Stop) ShownStop {
	shown := ShownStop{StopRow: NewStopRow(s), History: []StepRow{}}
	for _, h := range s.History() {
		row := StepRow{N: h.N, At: h.At, Call: string(h.Call), Answer: h.Answer, RequestID: h.RequestID}
		if h.Status != "" {
			row.Status = &h.Status
		}
		shown.History = append(shown.History, row)
	}
	return shown
}

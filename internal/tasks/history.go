package tasks

import (
	"fmt"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
)

// historyStop is a stop call that has ended, as the history of its stop shows it.
func historyStop(at time.Time, accepted jobs.Accepted, err error) ledger.HistoryStep {
	h := ledger.HistoryStep{At: at, Call: ledger.HistoryStop, Answer: "accepted", RequestID: accepted.RequestID}
	if accepted.Ended {
		h.Answer = "accepted: the job has ended"
	}
	return failed(h, err)
}

// historyDetail is a detail call that has ended, likewise.
func historyDetail(at time.Time, job *jobs.Job, err error) ledger.HistoryStep {
	h := ledger.HistoryStep{At: at, Call: ledger.HistoryDetail, Answer: "ok"}
	if err == nil {
		h.Status, h.RequestID = job.Status.String(), job.RequestID
	}
	return failed(h, err)
}

// failed is h with what an error says in its place, if there is one.
func failed(h ledger.HistoryStep, err error) ledger.HistoryStep {
	if err == nil {
		return h
	}
	h.Answer, h.RequestID = answerOf(err), ""
	if apiErr := apiError(err); apiErr != nil {
		h.RequestID = apiErr.RequestID
		if apiErr.JobStatus.Code != "" {
			h.Status = apiErr.JobStatus.String()
		}
	}
	return h
}

// answerOf is a failure in few words: what the API has said, or why it said nothing.
func answerOf(err error) string {
	e, text := apiError(err), jobs.KindOf(err).String()
	if e == nil {
		return text + ": " + err.Error()
	}
	if e.HTTPStatus != 0 {
		text = fmt.Sprintf("http %d", e.HTTPStatus)
	}
	if e.Operation == jobs.OperationToken {
		text = "login: " + text
	}
	if e.Code != "" {
		text += " " + e.Code
	}
	switch {
	case e.Message != "":
		text += ": " + e.Message
	case e.Err != nil:
		text += ": " + e.Err.Error()
	}
	return text
}

// noteSighting keeps in the history what list checks have shown of s since its latest
// sight, when it was watched: each second's would be the same.
func noteSighting(s *ledger.Stop, seen release.Sighting) {
	if seen.Seen.After(s.Looked) {
		s.Note(ledger.HistoryStep{At: seen.Seen, Call: ledger.HistoryList, Answer: "shown as stopping, last time"})
	}
	if !seen.Missed.IsZero() {
		s.Note(ledger.HistoryStep{At: seen.Missed, Call: ledger.HistoryList, Answer: "not shown"})
	}
}

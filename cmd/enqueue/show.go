package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"vizstop/internal/control"
	"vizstop/internal/ledger"
	"vizstop/internal/report"
)

// shownList is what "enqueue show" prints as JSON.
type shownList struct {
	Kind  string              `json:"kind"` // "show"
	Stops []control.ShownStop `json:"stops"`
}

// show lists the stops of one job with their histories, in the form that was asked for.
// CSV has no place for histories.
func (c *stopsCmd) show(stops []*ledger.Stop) error {
	if c.json && !c.csv {
		list := shownList{Kind: "show", Stops: []control.ShownStop{}}
		for _, s := range stops {
			list.Stops = append(list.Stops, control.NewShownStop(s))
		}
		return report.WriteJSON(c.streams.out, list)
	}
	err := c.write(func(yield func(*ledger.Stop, error) bool) {
		for s := range slices.Values(stops) {
			if !yield(s, nil) {
				return
			}
		}
	})
	for _, s := range stops {
		if err == nil && !c.csv {
			err = writeHistory(c.streams.out, s)
		}
	}
	return err
}

// writeHistory prints what was done for a stop, if anything is known of it.
func writeHistory(out io.Writer, s *ledger.Stop) error {
	steps := s.History()
	if len(steps) == 0 {
		return nil
	}
	fmt.Fprintf(out, "\nhistory of stop %s, batch %s\n", s.ID, s.Batch)
	t := newTable(out)
	t.row("step", "at", "call", "answer", "status", "request id")
	last := 0
	for _, h := range steps {
		if dropped := h.N - last - 1; dropped > 0 {
			t.row("...", "", "", fmt.Sprintf("(%d steps are not kept)", dropped))
		}
		last = h.N
		t.row(h.N, h.At.Local().Format(time.DateTime+".000"), h.Call, h.Answer, h.Status, h.RequestID)
	}
	return t.flush()
}

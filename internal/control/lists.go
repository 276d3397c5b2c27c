package control

import (
	"time"

	"vizstop/internal/actions"
)

// ActionRow is what somebody did, as "enqueue actions --json" and the HTTP API show it.
type ActionRow struct {
	At     time.Time `json:"at"`
	Action string    `json:"action"`
	Scope  string    `json:"scope"`
	Jobs   int       `json:"jobs"` // that it concerned when it began; 0: not counted
	By     string    `json:"by"`
	From   string    `json:"from"`
	Reason string    `json:"reason"`
}

// NewActionRow is an action as it is shown.
func NewActionRow(a actions.Action) ActionRow {
	return ActionRow{a.At.UTC(), a.What, a.Scope, a.Jobs, a.By, a.From, a.Reason}
}

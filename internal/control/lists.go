package control

import (
	"time"

	"vizstop/internal/actions"
	"vizstop/internal/scheduler"
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

// ScheduleList is how schedules stand, as "enqueue schedules list --json" and the HTTP API
// show it.
type ScheduleList struct {
	Kind      string                 `json:"kind"` // "schedules"
	Revision  int                    `json:"revision"`
	Hash      string                 `json:"hash"`
	Since     *time.Time             `json:"since"`
	Agreed    bool                   `json:"agreed"`
	Workers   []scheduler.WorkerFile `json:"workers"`
	Schedules []ScheduleRow          `json:"schedules"`
}

// ScheduleRow is how one schedule stands.
type ScheduleRow struct {
	Name       string             `json:"name"`
	Timing     string             `json:"timing"`
	Timezone   string             `json:"timezone"`
	Shadow     bool               `json:"shadow"`
	Next       *time.Time         `json:"next"`
	LastDone   *time.Time         `json:"last_done"`
	Running    *RunningTick       `json:"running"`
	Suspension *SuspensionRow     `json:"suspension"`
	Results    []scheduler.Result `json:"results"`
}

// RunningTick is a tick that is being carried out, or waits to be tried again.
type RunningTick struct {
	Tick   time.Time  `json:"tick"`
	Worker string     `json:"worker"`
	Try    int        `json:"try"`
	Again  *time.Time `json:"again"`
	Error  string     `json:"error"`
	By     string     `json:"requester"`
}

// SuspensionRow is a time in which no tick is carried out.
type SuspensionRow struct {
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// NewScheduleList is how schedules stand, as it is shown.
func NewScheduleList(o scheduler.Overview) ScheduleList {
	list := ScheduleList{"schedules", o.Force.Revision, o.Force.Hash, known(o.Force.Since), o.Agreed(), append([]scheduler.WorkerFile{}, o.Workers...), []ScheduleRow{}}
	for _, one := range o.Schedules {
		row := ScheduleRow{Name: one.Name, Timing: one.Timing, Timezone: one.Timezone, Shadow: one.Shadow, Next: known(one.Next), LastDone: known(one.LastDone),
			Results: one.Results}
		if r := one.Running; r != nil {
			row.Running = &RunningTick{r.Tick, r.Worker, r.Try, known(r.Again), r.Error, r.By}
		}
		if s := one.Suspension; s != nil {
			row.Suspension = &SuspensionRow{s.From, s.Until, s.By, s.Reason}
		}
		list.Schedules = append(list.Schedules, row)
	}
	return list
}

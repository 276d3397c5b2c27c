package scheduler

import "time"

// List is how schedules stand, as "enqueue schedules list --json" and the HTTP API
// show it.
type List struct {
	Kind      string       `json:"kind"` // "schedules"
	Revision  int          `json:"revision"`
	Hash      string       `json:"hash"`
	Since     *time.Time   `json:"since"`
	Agreed    bool         `json:"agreed"`
	Workers   []WorkerFile `json:"workers"`
	Schedules []Row        `json:"schedules"`
}

// Row is how one schedule stands.
type Row struct {
	Name       string         `json:"name"`
	Timing     string         `json:"timing"`
	Timezone   string         `json:"timezone"`
	Shadow     bool           `json:"shadow"`
	Next       *time.Time     `json:"next"`
	LastDone   *time.Time     `json:"last_done"`
	Running    *RunningTick   `json:"running"`
	Requested  *RequestedRun  `json:"requested"` // a run by hand that no worker has begun with yet
	Suspension *SuspensionRow `json:"suspension"`
	Last       *Result        `json:"last"` // one of Results; null: none
	Results    []Result       `json:"results"`
}

// RunningTick is a tick that is being carried out, or waits to be tried again.
type RunningTick struct {
	Tick     time.Time  `json:"tick"`
	Batch    string     `json:"batch"` // that it has or will have, if any job is chosen
	Worker   string     `json:"worker"`
	Try      int        `json:"try"`
	Again    *time.Time `json:"again"`
	Error    string     `json:"error"`
	By       string     `json:"requester"`
	Shadow   bool       `json:"shadow"`
	Canceled string     `json:"canceled"` // who has canceled it before it had stops, and why: its result is to come
}

// RequestedRun is a run that somebody has asked for.
type RequestedRun struct {
	Batch    string `json:"batch"`
	By       string `json:"requester"`
	Shadow   bool   `json:"shadow"`
	Canceled string `json:"canceled"` // who has canceled it, and why: its result is to come
}

// SuspensionRow is a time in which no tick is carried out.
type SuspensionRow struct {
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// List is the overview as it is shown.
func (o Overview) List() List {
	list := List{"schedules", o.Force.Revision, o.Force.Hash, orNull(o.Force.Since), o.Agreed(), append([]WorkerFile{}, o.Workers...), []Row{}}
	for _, one := range o.Schedules {
		row := Row{Name: one.Name, Timing: one.Timing, Timezone: one.Timezone, Shadow: one.Shadow, Next: orNull(one.Next), LastDone: orNull(one.LastDone),
			Last: one.Last, Results: one.Results}
		if r := one.Running; r != nil {
			row.Running = &RunningTick{r.Tick, r.Batch, r.Worker, r.Try, orNull(r.Again), r.Error, r.By, r.Shadow, r.Canceled}
		}
		if r := one.Requested; r != nil {
			row.Requested = &RequestedRun{r.Batch, r.By, r.Shadow, r.Canceled}
		}
		if s := one.Suspension; s != nil {
			row.Suspension = &SuspensionRow{s.From, s.Until, s.By, s.Reason}
		}
		list.Schedules = append(list.Schedules, row)
	}
	return list
}

// StartedRun is a run by hand that was asked for, as "enqueue schedules run --json" and
// the HTTP API tell it.
type StartedRun struct {
	Kind     string `json:"kind"` // "schedules_run"
	Schedule string `json:"schedule"`
	Batch    string `json:"batch"`
	Shadow   bool   `json:"shadow"`
}

// Brake is whether a schedule is suspended now, as "enqueue schedules suspend --json" and
// the HTTP API tell it.
type Brake struct {
	Kind     string     `json:"kind"` // "schedules_suspend" or "schedules_resume"
	Schedule string     `json:"schedule"`
	Changed  bool       `json:"changed"` // false: it was so already
	Until    *time.Time `json:"until"`   // null: it is not suspended
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"

	"vizstop/internal/accounts"
	"vizstop/internal/actions"
	"vizstop/internal/control"
	fleetlimits "vizstop/internal/limits"
	"vizstop/internal/report"
	"vizstop/internal/scheduler"
	"vizstop/internal/schedules"
	"vizstop/internal/selection"
	"vizstop/internal/settings"
	"vizstop/internal/when"
)

func schedulesCommand(getenv func(string) string, streams streams) *cli.Command {
	return &cli.Command{
		Name:  "schedules",
		Usage: "look at the schedules that workers carry out, try a file, run or suspend one",
		Description: `Workers carry out the schedules of the file that --schedules (VIZSTOP_SCHEDULES) names:
see docs/schedules.md. check and next need neither Redis nor credentials.`,
		Commands: []*cli.Command{
			schedulesCheckCommand(getenv, streams),
			schedulesNextCommand(getenv, streams),
			schedulesListCommand(getenv, streams),
			schedulesRunCommand(getenv, streams),
			schedulesSuspendCommand(getenv, streams),
			schedulesResumeCommand(getenv, streams),
		},
		OnUsageError: usageError,
		Action: func(_ context.Context, cmd *cli.Command) error {
			if cmd.Args().Present() {
				return fmt.Errorf("unknown command %q (see enqueue schedules --help)", cmd.Args().First())
			}
			return cli.ShowSubcommandHelp(cmd)
		},
	}
}

// checkedSchedules is what "enqueue schedules check" prints as JSON.
type checkedSchedules struct {
	Kind      string            `json:"kind"` // "schedules_check"
	File      string            `json:"file"`
	Revision  int               `json:"revision"`
	Hash      string            `json:"hash"`
	Schedules []checkedSchedule `json:"schedules"`
	Notes     []string          `json:"notes"` // what is right, and may surprise
}

type checkedSchedule struct {
	Name     string     `json:"name"`
	Timing   string     `json:"timing"`
	Timezone string     `json:"timezone"`
	Shadow   bool       `json:"shadow"`
	Next     *time.Time `json:"next"` // null: none within four years
}

// readSchedules reads the file that is a command's only argument.
func readSchedules(cmd *cli.Command) (path string, f *schedules.File, err error) {
	if path, err = oneArgument(cmd, "one schedules file"); err != nil {
		return "", nil, err
	}
	f, err = schedules.Load(path, settings.Statuses())
	return path, f, err
}

func schedulesCheckCommand(getenv func(string) string, streams streams) *cli.Command {
	var set settings.Set
	var json bool
	var accountsFile string
	set.String(&accountsFile, "accounts", "VIZSTOP_ACCOUNTS", "", "file of accounts of the workers: look whether account and all_projects choose projects of it", nil)
	set.Bool(&json, "json", "", "print one JSON object")
	return &cli.Command{
		Name: "check", Usage: "say what is wrong with a schedules file, with line and column", ArgsUsage: "FILE",
		Flags: set.Flags(), OnUsageError: usageError,
		Action: func(_ context.Context, cmd *cli.Command) error {
			if err := set.Load(cmd, getenv); err != nil {
				return err
			}
			path, f, err := readSchedules(cmd)
			if err != nil {
				return err
			}
			c := checkedSchedules{"schedules_check", path, f.Revision, f.Hash, []checkedSchedule{}, limitNotes(f)}
			notes, err := projectNotes(f, accountsFile)
			if err != nil {
				return err
			}
			c.Notes = append(c.Notes, notes...)
			for _, one := range f.Schedules {
				c.Schedules = append(c.Schedules, checkedSchedule{one.Name, one.Timing.String(), one.Location.String(), one.Shadow, orNull(one.Next(time.Now()))})
			}
			if json {
				return report.WriteJSON(streams.out, c)
			}
			fmt.Fprintf(streams.out, "%s is right: revision %d, hash %s\n", path, f.Revision, f.Hash)
			t := newTable(streams.out)
			t.row("schedule", "at", "next")
			for _, one := range c.Schedules {
				t.row(one.Name, one.Timing, inZone(one.Next, one.Timezone))
			}
			if err := t.flush(); err != nil {
				return err
			}
			for _, note := range c.Notes {
				fmt.Fprintln(streams.out, "note: "+note)
			}
			return nil
		},
	}
}

// limitNotes tells of schedules that may be held, as they say nothing of how much they
// may stop.
func limitNotes(f *schedules.File) []string {
	notes := []string{}
	for _, one := range f.Schedules {
		if one.BatchShare == 0 && !one.Shadow {
			notes = append(notes, fmt.Sprintf("%s has no batch_share: a tick that chooses more than the --batch-share of the workers (by default %g %%) of the running jobs of a project is held until somebody allows it",
				one.Name, fleetlimits.Defaults().Share))
		}
	}
	return notes
}

// projectNotes looks whether rules choose projects of the accounts file at path; "": there
// is none, and those that need one are told.
func projectNotes(f *schedules.File, path string) (notes []string, err error) {
	var file *accounts.File
	if path != "" {
		if file, err = accounts.Load(path); err != nil {
			return nil, fmt.Errorf("--accounts (VIZSTOP_ACCOUNTS): %w", err)
		}
	}
	for _, one := range f.Schedules {
		switch {
		case len(one.Projects) > 0:
		case file == nil:
			notes = append(notes, one.Name+" is for projects of an accounts file, so workers need --accounts; give this command --accounts, too, to look whether there are any")
		default:
			if _, err := file.Choose(one.Accounts); err != nil {
				return nil, fmt.Errorf("schedule %s: account %w", one.Name, err)
			}
		}
	}
	return notes, nil
}

// orNull is a time as JSON has it: null for none.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// inZone is a time on the clock of a zone, with its offset; "-" for none.
func inZone(t *time.Time, zone string) string {
	if t == nil {
		return "-"
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		location = time.UTC
	}
	return t.In(location).Format("2006-01-02 15:04 -07:00")
}

// comingTicks is what "enqueue schedules next" prints as JSON.
type comingTicks struct {
	Kind  string       `json:"kind"` // "schedules_next"
	Ticks []comingTick `json:"ticks"`
}

type comingTick struct {
	Schedule string    `json:"schedule"`
	Tick     time.Time `json:"tick"`
	Local    time.Time `json:"local"`
	Batch    string    `json:"batch"`
}

func schedulesNextCommand(getenv func(string) string, streams streams) *cli.Command {
	var set settings.Set
	var json bool
	var count int
	var after string
	set.Int(&count, "count", "", 10, "how many ticks", 1, 10000)
	set.String(&after, "after", "", "", "look from this time on, such as 2026-12-24T18:00:00Z (default: now)", func(v string) error {
		if _, err := time.Parse(time.RFC3339, v); err != nil && v != "" {
			return fmt.Errorf("%.40q is not a time such as 2026-12-24T18:00:00Z", v)
		}
		return nil
	})
	set.Bool(&json, "json", "", "print one JSON object")
	return &cli.Command{
		Name: "next", Usage: "show when the schedules of a file would be carried out", ArgsUsage: "FILE",
		Flags: set.Flags(), OnUsageError: usageError,
		Action: func(_ context.Context, cmd *cli.Command) error {
			if err := set.Load(cmd, getenv); err != nil {
				return err
			}
			_, f, err := readSchedules(cmd)
			if err != nil {
				return err
			}
			from := time.Now()
			if after != "" {
				from, _ = time.Parse(time.RFC3339, after) // checked
			}
			list := comingTicks{"schedules_next", coming(f, from, count)}
			if json {
				return report.WriteJSON(streams.out, list)
			}
			t := newTable(streams.out)
			t.row("at", "utc", "schedule", "batch")
			for _, one := range list.Ticks {
				t.row(one.Local.Format("Mon 2006-01-02 15:04 -07:00"), one.Tick.Format("2006-01-02 15:04"), one.Schedule, one.Batch)
			}
			return t.flush()
		},
	}
}

// coming are the first n ticks of all schedules after a time.
func coming(f *schedules.File, after time.Time, n int) []comingTick {
	list := []comingTick{}
	next := make([]time.Time, len(f.Schedules))
	for i, one := range f.Schedules {
		next[i] = one.Next(after)
	}
	for len(list) < n {
		first := -1
		for i, tick := range next {
			if !tick.IsZero() && (first < 0 || tick.Before(next[first])) {
				first = i
			}
		}
		if first < 0 {
			break
		}
		one, tick := f.Schedules[first], next[first]
		list = append(list, comingTick{one.Name, tick, tick.In(one.Location), schedules.BatchID(one.Name, tick)})
		next[first] = one.Next(tick)
	}
	return list
}

func schedulesListCommand(getenv func(string) string, streams streams) *cli.Command {
	var c store
	var json bool
	var results int
	c.declare()
	c.Int(&results, "results", "", 1, "how many results of each schedule, the newest first; "+
		"the last one that is no shadow run by hand in any case", 1, 50)
	c.Bool(&json, "json", "", "print one JSON object")
	return &cli.Command{
		Name: "list",
		Usage: "show the schedules in force, their last and next ticks, what became of the last, and who has suspended " +
			"them",
		Flags: c.Flags(), OnUsageError: usageError,
		Action: c.action(getenv, func(ctx context.Context, cmd *cli.Command, desk *control.Desk) error {
			if err := settings.NoArguments(cmd); err != nil {
				return err
			}
			o, err := desk.Schedules.Overview(ctx, results)
			if err != nil {
				return err
			}
			list := o.List()
			if json {
				return report.WriteJSON(streams.out, list)
			}
			return printSchedules(streams, list)
		}),
	}
}

// print writes it for people.
func printSchedules(streams streams, l scheduler.List) error {
	if l.Revision == 0 {
		_, err := fmt.Fprintln(streams.out, "no worker on this Redis has ever had a schedules file")
		return err
	}
	fmt.Fprintf(streams.out, "revision %d, hash %s, in force since %s\n", l.Revision, l.Hash, when.Stamp(*l.Since))
	t := newTable(streams.out)
	t.row("schedule", "at", "next", "last", "outcome", "batch", "")
	for _, one := range l.Schedules {
		last, outcome, batch := "-", "-", "-"
		if r := one.Last; r != nil {
			last, outcome, batch = inZone(&r.Tick, one.Timezone), r.Title(), r.Batch
		}
		next := inZone(one.Next, one.Timezone)
		if one.Next == nil && one.Suspension != nil {
			next = "suspended" // a worker has yet to look which tick is the first after it
		}
		t.row(one.Name, one.Timing, next, last, outcome, batch, remark(one))
		for _, r := range one.Results {
			if r.Tick.Equal(one.Last.Tick) {
				continue
			}
			t.row("", "", "", inZone(&r.Tick, one.Timezone), r.Title(), r.Batch, r.Words())
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	switch {
	case len(l.Workers) == 0:
		fmt.Fprintln(streams.out, "no worker with a schedules file runs: nothing is carried out")
	case !l.Agreed:
		for _, w := range l.Workers {
			if w.Revision != l.Revision || w.Hash != l.Hash {
				fmt.Fprintf(streams.out, "worker %s has revision %d, hash %s, and carries out nothing of it\n", w.Worker, w.Revision, w.Hash)
			}
		}
	}
	return nil
}

// remark is what is special about a schedule now, and what became of its last tick.
func remark(r scheduler.Row) string {
	now, became := standing(r), ""
	if r.Last != nil {
		became = r.Last.Words()
	}
	switch {
	case now != "" && became != "":
		return now + "; last: " + became
	case now+became == "" && r.Shadow:
		return "shadow"
	}
	return now + became
}

// standing is what is special about a schedule now; "" if it waits for its next tick.
func standing(r scheduler.Row) string {
	switch {
	case r.Suspension != nil:
		return fmt.Sprintf("suspended until %s by %s: %s", inZone(&r.Suspension.Until, r.Timezone), r.Suspension.By, r.Suspension.Reason)
	case r.Running != nil && r.Running.Canceled != "":
		return r.Running.Batch + " is canceled: " + r.Running.Canceled
	case r.Running != nil && r.Running.Again != nil:
		return fmt.Sprintf("%s is tried again at %s: %s", r.Running.Batch, inZone(r.Running.Again, r.Timezone), r.Running.Error)
	case r.Running != nil:
		return r.Running.Batch + " is being carried out"
	case r.Requested != nil && r.Requested.Canceled != "":
		return r.Requested.Batch + " is canceled: " + r.Requested.Canceled
	case r.Requested != nil:
		return fmt.Sprintf("%s, a run that %s asked for: no worker has taken it up yet", r.Requested.Batch, r.Requested.By)
	}
	return ""
}

// scheduleCmd is the settings of the commands that change a schedule.
type scheduleCmd struct {
	store
	about
	streams streams
	json    bool
	shadow  bool
	until   string
}

// of is the Action of a command about one schedule. Nothing is recorded of what prepare
// refuses; it returns what to add to the scope in the record, and the work.
func (c *scheduleCmd) of(getenv func(string) string, what string, prepare func(ctx context.Context, desk *scheduler.Desk, one scheduler.Entry) (how string, work func() error, err error)) cli.ActionFunc {
	return c.action(getenv, func(ctx context.Context, cmd *cli.Command, desk *control.Desk) error {
		name, err := oneArgument(cmd, "the name of one schedule (see enqueue schedules list)")
		if err != nil {
			return err
		}
		one, err := desk.Schedules.Find(ctx, name)
		if err != nil {
			return err
		}
		how, work, err := prepare(ctx, desk.Schedules, one)
		if err != nil {
			return err
		}
		if err := c.record(ctx, desk, getenv, "schedules "+what, actions.Of("schedule", name)+how, 0); err != nil {
			return err
		}
		return work()
	})
}

func newScheduleCmd(streams streams) *scheduleCmd {
	c := &scheduleCmd{streams: streams}
	c.store.declare()
	c.declareWhy(&c.Set)
	c.Bool(&c.json, "json", "", "print one JSON object")
	return c
}

func schedulesRunCommand(getenv func(string) string, streams streams) *cli.Command {
	c := newScheduleCmd(streams)
	c.Bool(&c.shadow, "shadow", "", "stop nothing: tell what stop calls would meet")
	return &cli.Command{
		Name: "run", Usage: "have the workers carry out a schedule now, and print the batch id", ArgsUsage: "NAME",
		Flags: c.Flags(), OnUsageError: usageError,
		Action: c.of(getenv, "run", func(ctx context.Context, desk *scheduler.Desk, one scheduler.Entry) (string, func() error, error) {
			how := ""
			if c.shadow || one.Shadow {
				how = " in the shadow"
			}
			return how, func() error {
				batch, shadow, err := desk.Run(ctx, one.Name, c.who(getenv), c.shadow)
				if err != nil {
					return err
				}
				if words := desk.Limits(one); words != "" && !shadow {
					fmt.Fprintf(c.streams.err, "held until somebody allows it, if it has %s: see enqueue schedules list\n", words)
				}
				if c.json {
					err = report.WriteJSON(c.streams.out, scheduler.StartedRun{Kind: "schedules_run", Schedule: one.Name, Batch: batch, Shadow: shadow})
				} else {
					_, err = fmt.Fprintln(c.streams.out, batch)
				}
				return untold("batch "+batch+" is recorded", err)
			}, desk.MayRun(ctx, one.Name)
		}),
	}
}

func schedulesSuspendCommand(getenv func(string) string, streams streams) *cli.Command {
	c := newScheduleCmd(streams)
	c.String(&c.until, "until", "", "", "a date such as 2026-12-31, whose whole day in the schedule's zone is suspended too, or a time as in RFC 3339", nil)
	c.Check(func() error {
		if c.until == "" || c.reason == "" {
			return errors.New("--until and --reason are needed: whoever finds the schedule suspended wants to know")
		}
		_, err := selection.ParseUntil(c.until, time.UTC)
		return err
	})
	return &cli.Command{
		Name: "suspend", Usage: "have no tick of a schedule carried out until a date; none is caught up", ArgsUsage: "NAME",
		Flags: c.Flags(), OnUsageError: usageError,
		Action: c.of(getenv, "suspend", func(ctx context.Context, desk *scheduler.Desk, one scheduler.Entry) (string, func() error, error) {
			zone, err := time.LoadLocation(one.Timezone)
			if err != nil {
				return "", nil, err
			}
			until, err := selection.ParseUntil(c.until, zone)
			if err == nil {
				err = desk.MaySuspend(until, c.until)
			}
			return " until " + inZone(&until, one.Timezone), func() error {
				if err := desk.Suspend(ctx, one.Name, until, c.who(getenv), c.reason); err != nil {
					return err
				}
				return c.conclude(scheduler.Brake{Kind: "schedules_suspend", Schedule: one.Name, Changed: true, Until: orNull(until.UTC())},
					fmt.Sprintf("%s is suspended until %s", one.Name, inZone(&until, one.Timezone)))
			}, err
		}),
	}
}

func schedulesResumeCommand(getenv func(string) string, streams streams) *cli.Command {
	c := newScheduleCmd(streams)
	return &cli.Command{
		Name: "resume", Usage: "end the suspension of a schedule", ArgsUsage: "NAME",
		Flags: c.Flags(), OnUsageError: usageError,
		Action: c.of(getenv, "resume", func(ctx context.Context, desk *scheduler.Desk, one scheduler.Entry) (string, func() error, error) {
			return "", func() error {
				changed, err := desk.Resume(ctx, one.Name)
				if err != nil {
					return err
				}
				words := one.Name + " is carried out again"
				if !changed {
					words = one.Name + " was not suspended"
				}
				return c.conclude(scheduler.Brake{Kind: "schedules_resume", Schedule: one.Name, Changed: changed, Until: nil}, words)
			}, nil
		}),
	}
}

func (c *scheduleCmd) conclude(b scheduler.Brake, words string) error {
	var err error
	if c.json {
		err = report.WriteJSON(c.streams.out, b)
	} else {
		_, err = fmt.Fprintln(c.streams.out, words)
	}
	return untold("what was asked is done", err)
}

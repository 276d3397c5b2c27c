package main

import (
	"context"

	"github.com/urfave/cli/v3"

	"vizstop/internal/control"
	"vizstop/internal/report"
	"vizstop/internal/settings"
	"vizstop/internal/when"
)

// actionList is what "enqueue actions" prints as JSON.
type actionList struct {
	Kind    string              `json:"kind"` // "actions"
	Actions []control.ActionRow `json:"actions"`
}

func actionsCommand(getenv func(string) string, streams streams) *cli.Command {
	var c store
	var json bool
	var last int
	c.declare()
	c.Int(&last, "last", "", 20, "how many, the newest first", 1, 1000)
	c.Bool(&json, "json", "", "print one JSON object")
	return &cli.Command{
		Name:  "actions",
		Usage: "list who paused, resumed, allowed, canceled, asked again, undid, or ran or suspended a schedule: when, why and from where",
		Description: `An action is recorded before it begins; a resume that finds nothing paused is none. The
newest 10,000 are kept, for as long as ended batches are (--retention of the workers).`,
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: c.action(getenv, func(ctx context.Context, cmd *cli.Command, desk *control.Desk) error {
			if err := settings.NoArguments(cmd); err != nil {
				return err
			}
			found, err := desk.Actions.Last(ctx, last)
			if err != nil {
				return err
			}
			list := actionList{"actions", []control.ActionRow{}}
			for _, a := range found {
				list.Actions = append(list.Actions, control.NewActionRow(a))
			}
			if json {
				return report.WriteJSON(streams.out, list)
			}
			t := newTable(streams.out)
			t.row("at", "action", "scope", "jobs", "by", "from", "reason")
			for _, a := range list.Actions {
				jobs := any("")
				if a.Jobs > 0 {
					jobs = a.Jobs
				}
				t.row(when.Stamp(a.At), a.Action, a.Scope, jobs, a.By, a.From, a.Reason)
			}
			return t.flush()
		}),
	}
}

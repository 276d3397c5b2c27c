package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"vizstop/internal/accounts"
	"vizstop/internal/reread"
	"vizstop/internal/schedules"
	"vizstop/internal/settings"
	"vizstop/internal/worker"
)

// scheduled lists the projects that a rule of a schedule names.
func scheduled(file *accounts.File, r schedules.Rule) ([]string, error) {
	if len(r.Projects) > 0 {
		return r.Projects, nil
	}
	if file.Open() {
		return nil, errors.New("account and all_projects choose projects of the file that --accounts (VIZSTOP_ACCOUNTS) names: start workers with one")
	}
	chosen, err := file.Choose(r.Accounts)
	if err != nil {
		return nil, fmt.Errorf("account %w", err)
	}
	return chosen, nil
}

// warnOfSchedules tells of rules that choose no project as things stand: the accounts
// file may still change before they are carried out.
func (c *config) warnOfSchedules(ctx context.Context, log *slog.Logger) {
	if c.worker.Schedules == nil {
		return
	}
	for _, one := range c.worker.Schedules.Schedules {
		if _, err := c.worker.Projects(one.Rule); err != nil {
			log.WarnContext(ctx, "a schedule can't be carried out as things stand", "schedule", one.Name, "error", err)
		}
	}
}

// watchSchedules is the schedules file, to be read again when it changes; none without
// one.
func (c *config) watchSchedules(w *worker.Worker) []reread.Group {
	if c.worker.Schedules == nil {
		return nil
	}
	return []reread.Group{{Name: "schedules", Files: []string{c.schedules}, Read: func() error {
		file, err := schedules.Load(c.schedules, settings.Statuses())
		if err == nil {
			w.SetSchedules(file)
		}
		return err
	}}}
}

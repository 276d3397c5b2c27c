package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"vizstop/internal/actions"
	"vizstop/internal/control"
	"vizstop/internal/joblist"
	"vizstop/internal/settings"
	"vizstop/internal/when"
)

func retryCommand(getenv func(string) string, streams streams) *cli.Command {
	c := &stopCmd{streams: streams, now: time.Now}
	var outcomes []string
	c.store.declare()
	c.Strings(&outcomes, "outcome", "", "ask again for stops with this outcome; several by comma (default: not_found,rejected,expired; of a shadow batch would_not_found,would_hold,rejected,expired)", control.CheckState)
	c.declareAsk()
	c.CheckVariables(settings.CheckProxies) // of the collector: it calls no API
	return &cli.Command{
		Name:                      "retry",
		Usage:                     "ask again, in a new batch, for the stops of a batch that failed",
		ArgsUsage:                 "BATCH",
		Description:               exitCodeHelp,
		Flags:                     c.Flags(),
		OnUsageError:              usageError,
		DisableSliceFlagSeparator: true,
		Action: c.batchAction(getenv, func(ctx context.Context, desk *control.Desk, batch *control.Batch) error {
			desk.Ledger = batch.Ledger
			c.shadow = batch.Shadow() // a shadow batch never becomes a real one
			if len(outcomes) == 0 {
				outcomes = batch.Failed()
			}
			return c.retry(ctx, desk, batch, outcomes, getenv)
		}),
	}
}

func (c *stopCmd) retry(ctx context.Context, desk *control.Desk, batch *control.Batch, outcomes []string, getenv func(string) string) error {
	plan, err := c.byFleet(desk, when.Plan{})
	if err != nil {
		return err
	}
	var items []joblist.Item
	for item, err := range batch.Jobs(ctx, math.MaxInt, outcomes...) {
		if err != nil {
			return err
		}
		items = append(items, item)
	}
	if len(items) == 0 {
		return fmt.Errorf("no stop of batch %s is %s: there is nothing to ask for again", batch.ID, strings.Join(outcomes, " or "))
	}
	picked, err := survey(fixed(items))
	if err != nil {
		return err
	}
	if err := c.checkMax(picked.Count); err != nil {
		return err
	}
	if err := c.record(ctx, desk, getenv, "retry", actions.Of("batch", batch.ID), picked.Count); err != nil {
		return err
	}
	meta := c.meta(getenv)
	if meta.Reason == "" {
		meta.Reason = "retry of " + batch.ID
	}
	return c.ask(ctx, desk, picked, plan, meta, getenv)
}

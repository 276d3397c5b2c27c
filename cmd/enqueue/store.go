package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/urfave/cli/v3"

	"vizstop/internal/control"
	"vizstop/internal/plain"
	"vizstop/internal/redisconn"
	"vizstop/internal/settings"
)

// store is the settings that every command needs: where the ledger is.
type store struct {
	settings.Set
	redis settings.Redis
}

func (s *store) declare() { s.redis.Declare(&s.Set, false) }

// connections is the size of the connection pool: what a submission keeps busy.
const connections = 80

// open connects to Redis and makes sure that it answers.
func (s *store) open(ctx context.Context) (*control.Desk, func(), error) {
	redisconn.RouteLogs(slog.New(slog.DiscardHandler))
	rdb, err := s.redis.Connect(ctx, connections)
	if err != nil {
		return nil, nil, err
	}
	desk, err := control.Open(ctx, rdb)
	if err != nil {
		rdb.Close()
		return nil, nil, err
	}
	return desk, func() { rdb.Close() }, nil
}

// load fills the settings, and tells of what should not stay so.
func (s *store) load(cmd *cli.Command, getenv func(string) string) error {
	if err := s.Load(cmd, getenv); err != nil {
		return err
	}
	for _, warning := range s.Warnings() {
		fmt.Fprintln(cmd.Root().ErrWriter, plain.Line("warning: "+warning, maxErrorLine))
	}
	return nil
}

// action is the Action of a command that reads its settings, opens the ledger
// and does its work there.
func (s *store) action(getenv func(string) string, work func(context.Context, *cli.Command, *control.Desk) error) cli.ActionFunc {
	return func(ctx context.Context, cmd *cli.Command) error {
		if err := s.load(cmd, getenv); err != nil {
			return err
		}
		desk, done, err := s.open(ctx)
		if err != nil {
			return err
		}
		defer done()
		return work(ctx, cmd, desk)
	}
}

// batchAction is the Action of a command whose only argument is a batch.
func (s *store) batchAction(getenv func(string) string, work func(ctx context.Context, desk *control.Desk, batch *control.Batch) error) cli.ActionFunc {
	return s.action(getenv, func(ctx context.Context, cmd *cli.Command, desk *control.Desk) error {
		id, err := oneBatch(cmd)
		if err != nil {
			return err
		}
		batch, err := desk.Batch(ctx, id)
		if err != nil {
			return err
		}
		return work(ctx, desk, batch)
	})
}

// oneBatch is a command's only argument, a batch.
func oneBatch(cmd *cli.Command) (string, error) {
	return oneArgument(cmd, "the id of one batch, as enqueue printed it")
}

// oneArgument is a command's only argument.
func oneArgument(cmd *cli.Command, what string) (string, error) {
	if cmd.Args().Len() != 1 {
		return "", fmt.Errorf("give %s (see %s --help)", what, cmd.FullName())
	}
	return cmd.Args().First(), nil
}

package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
	"github.com/urfave/cli/v3"

	"vizstop/internal/actions"
	"vizstop/internal/estimate"
	"vizstop/internal/fleet"
	"vizstop/internal/ledger"
	"vizstop/internal/plain"
	"vizstop/internal/redisconn"
	"vizstop/internal/release"
	"vizstop/internal/settings"
)

// store is the settings that every command needs: where the ledger is.
type store struct {
	settings.Set
	redis settings.Redis
}

func (s *store) declare() { s.redis.Declare(&s.Set, false) }

// books is an open ledger, what holds it back, and the connection behind it.
type books struct {
	ledger  *ledger.Ledger
	release *release.Releaser
	actions *actions.Book
	fleet   *fleet.Member
	rdb     redis.UniversalClient
	rate    estimate.Rate                          // as workers announced it; zero if none has
	served  func(projectID string) release.Serving // nil until the API is opened
}

// connections is the size of the connection pool: what a submission keeps busy.
const connections = 80

// open connects to Redis and makes sure that it answers.
func (s *store) open(ctx context.Context) (*books, func(), error) {
	redisconn.RouteLogs(slog.New(slog.DiscardHandler))
	rdb, err := s.redis.Connect(ctx, connections)
	if err != nil {
		return nil, nil, err
	}
	books, err := newBooks(ctx, rdb)
	if err != nil {
		rdb.Close()
		return nil, nil, err
	}
	return books, func() { rdb.Close() }, nil
}

// newBooks learns the fleet's time and rate. Calls of this program keep to that
// rate, too.
func newBooks(ctx context.Context, rdb redis.UniversalClient) (*books, error) {
	member := fleet.New(rdb, 0)
	rate, known, err := release.AnnouncedRate(ctx, rdb)
	if err == nil {
		err = member.Sync(ctx)
	}
	if err != nil {
		return nil, err
	}
	b := &books{ledger: ledger.New(rdb, member.Now), actions: actions.New(rdb, member.Now), fleet: member, rdb: rdb, rate: estimate.Rate{Calls: rate, Stops: release.StopShare * rate}}
	if !known {
		rate = release.DefaultRate
	}
	b.release = release.New(rdb, "", member.Now, release.Config{Rate: rate, Window: func() int { return member.Limits().Window }, Serving: func(projectID string) (s release.Serving) {
		if b.served != nil {
			s = b.served(projectID)
		}
		return s
	}})
	return b, nil
}

// ask has workers look at what there is to do for a project now.
func (b *books) ask(ctx context.Context, projectID string) error {
	if b.ledger.OfShadow() {
		return b.release.Shadow().Ask(ctx, projectID)
	}
	return release.Ask(ctx, b.rdb, projectID)
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
func (s *store) action(getenv func(string) string, work func(context.Context, *cli.Command, *books) error) cli.ActionFunc {
	return func(ctx context.Context, cmd *cli.Command) error {
		if err := s.load(cmd, getenv); err != nil {
			return err
		}
		books, done, err := s.open(ctx)
		if err != nil {
			return err
		}
		defer done()
		return work(ctx, cmd, books)
	}
}

// batchAction is the Action of a command whose only argument is a batch.
func (s *store) batchAction(getenv func(string) string, work func(ctx context.Context, books *books, batch string, projects []string) error) cli.ActionFunc {
	return s.action(getenv, func(ctx context.Context, cmd *cli.Command, books *books) error {
		batch, err := oneArgument(cmd, "the id of one batch, as enqueue printed it")
		if err != nil {
			return err
		}
		if err := ledger.ValidateBatch(batch); err != nil {
			return err
		}
		if books.ledger, err = books.ledger.Of(ctx, batch); err != nil {
			return err
		}
		projects, err := batchProjects(ctx, books.ledger, batch)
		if err != nil {
			return err
		}
		return work(ctx, books, batch, projects)
	})
}

// oneArgument is a command's only argument.
func oneArgument(cmd *cli.Command, what string) (string, error) {
	if cmd.Args().Len() != 1 {
		return "", fmt.Errorf("give %s (see %s --help)", what, cmd.FullName())
	}
	return cmd.Args().First(), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/hibiken/asynq"
	"github.com/urfave/cli/v3"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/report"
	"vizstop/internal/settings"
	"vizstop/internal/tasks"
)

// stopCmd is the settings of "enqueue stop".
type stopCmd struct {
	store
	streams     streams
	project     string
	from        string
	deadline    time.Duration
	skipInvalid bool
	json        bool
	wait        bool
	timeout     time.Duration
}

func stopCommand(getenv func(string) string, streams streams) *cli.Command {
	c := &stopCmd{streams: streams}
	c.declare()
	c.String(&c.project, "project", "HW_PROJECT_ID", "", "id of the Huawei Cloud project that the jobs are in", func(v string) error {
		if v == "" {
			return errors.New("a project is needed: its 32 digits and letters are under My Credentials in the console")
		}
		return modelarts.ValidateID("project", v)
	})
	c.String(&c.from, "from", "", "", "file with one job id a line, - for standard input; blank lines and # comments are passed over", nil)
	c.Duration(&c.deadline, "deadline", "VIZSTOP_DEADLINE", time.Hour,
		"no stop call goes out later than this from now", time.Second, 30*24*time.Hour)
	c.Bool(&c.skipInvalid, "skip-invalid", "", "leave out what can't be a job id, instead of refusing everything")
	c.Bool(&c.wait, "wait", "", "wait until every stop has an outcome, then print a table")
	c.Duration(&c.timeout, "timeout", "", 0, "give up waiting after this long; the batch goes on (0: never)", 0, 30*24*time.Hour)
	c.Bool(&c.json, "json", "", "print one JSON object")
	return &cli.Command{
		Name:      "stop",
		Usage:     "stop jobs by id (the default command)",
		ArgsUsage: "[JOB ...]",
		Description: `enqueue --project 0123456789abcdef0123456789abcdef 10 11 12
enqueue --from jobs.txt --wait        (with HW_PROJECT_ID set)

` + exitCodeHelp,
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if err := c.Load(cmd, getenv); err != nil {
				return err
			}
			return c.run(ctx, cmd.Args().Slice())
		},
	}
}

// accepted is what became of an ask.
type accepted struct {
	Batch     string          `json:"batch"`
	ProjectID string          `json:"project_id"`
	Accepted  int             `json:"accepted"`            // new stops
	Joined    []joinedStop    `json:"joined"`              // jobs with an active stop already
	Repeated  int             `json:"repeated"`            // ids named more than once in this ask
	Invalid   []badName       `json:"invalid"`             // left out
	Result    *report.Summary `json:"result,omitempty"`    // with --wait
	TimedOut  bool            `json:"timed_out,omitempty"` // --timeout passed
}

type joinedStop struct {
	JobID  string `json:"job_id"`
	StopID string `json:"stop_id"` // the stop that serves this ask too
}

func (c *stopCmd) run(ctx context.Context, args []string) error {
	jobs, err := collect(args, c.from, c.streams.in)
	if err != nil {
		return err
	}
	if len(jobs.invalid) > 0 && !c.skipInvalid {
		return jobs.refusal()
	}
	if len(jobs.ids) == 0 {
		return errors.New("no job to stop: give ids, or --from FILE")
	}
	books, done, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	answer, err := c.ask(ctx, books, jobs)
	if err != nil {
		return err
	}
	if !c.json {
		c.print(answer, jobs)
	}
	if !c.wait {
		if c.json {
			return report.WriteJSON(c.streams.out, answer)
		}
		return nil
	}
	return c.await(ctx, books, answer)
}

// ask records and enqueues the stops. On error it says how much is safe.
func (c *stopCmd) ask(ctx context.Context, books *books, jobs *jobList) (*accepted, error) {
	now := time.Now()
	answer := &accepted{
		Batch: ledger.NewBatchID(now), ProjectID: c.project, Joined: []joinedStop{},
		Repeated: jobs.repeated, Invalid: append([]badName{}, jobs.invalid...),
	}
	producer := tasks.NewProducer(books.ledger, asynq.NewClientFromRedisClient(books.rdb))
	asks := make([]ledger.Ask, len(jobs.ids))
	for i, id := range jobs.ids {
		asks[i] = ledger.Ask{JobID: id, Deadline: now.Add(c.deadline)}
	}
	openings, err := producer.Ask(ctx, c.project, answer.Batch, asks)
	for _, o := range openings {
		if o.Result == ledger.Joined {
			answer.Joined = append(answer.Joined, joinedStop{o.JobID, o.StopID})
		} else {
			answer.Accepted++
		}
	}
	switch {
	case err != nil && len(openings) == 0:
		return nil, fmt.Errorf("nothing was enqueued: %w", err)
	case err != nil:
		return nil, fmt.Errorf("%d of %d stops are safely recorded in batch %s and will be carried out, the others are not: %w",
			len(openings), len(jobs.ids), answer.Batch, err)
	}
	return answer, nil
}

func (c *stopCmd) print(a *accepted, jobs *jobList) {
	fmt.Fprintf(c.streams.out, "batch %s\n", a.Batch)
	t := tabwriter.NewWriter(c.streams.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  accepted\t%d\t\n", a.Accepted)
	fmt.Fprintf(t, "  joined\t%d\t%s\n", len(a.Joined), ifAny(len(a.Joined), "a stop of the job is active already"))
	if a.Repeated > 0 {
		fmt.Fprintf(t, "  repeated\t%d\tnamed more than once\n", a.Repeated)
	}
	fmt.Fprintf(t, "  invalid\t%d\t%s\n", len(a.Invalid), ifAny(len(a.Invalid), "left out"))
	t.Flush()
	for _, b := range jobs.invalid {
		fmt.Fprintf(c.streams.err, "invalid: %s\n", b)
	}
}

func ifAny(n int, text string) string {
	if n == 0 {
		return ""
	}
	return text
}

// await waits for the end of the batch and turns its outcome into an exit code.
func (c *stopCmd) await(ctx context.Context, books *books, a *accepted) error {
	waitCtx := ctx
	if c.timeout > 0 {
		var cancel context.CancelFunc
		waitCtx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	progress := report.NewProgress(c.streams.err, settings.IsTerminal(c.streams.err))
	err := report.Wait(waitCtx, books.ledger, c.project, a.Batch, progress)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("no longer waiting: batch %s goes on without this command (see: enqueue status %s)", a.Batch, a.Batch)
	case errors.Is(err, context.DeadlineExceeded):
		a.TimedOut = true
	case err != nil:
		return fmt.Errorf("wait for batch %s, which goes on without this command: %w", a.Batch, err)
	}
	if a.Result, err = report.Summarize(ctx, books.ledger, c.project, a.Batch); err != nil {
		return err
	}
	if c.json {
		err = report.WriteJSON(c.streams.out, a)
	} else {
		err = a.Result.WriteTable(c.streams.out)
	}
	if err != nil {
		return err
	}
	return verdict(a.Result, a.TimedOut)
}

// verdict is the exit code of a batch.
func verdict(s *report.Summary, timedOut bool) error {
	switch left := s.Requested - s.Done(); {
	case timedOut && left > 0:
		return exitCode{exitTimeout, fmt.Sprintf("%d of %d stops are still in flight; the batch goes on (see: enqueue status %s)",
			left, s.Requested, s.Batch)}
	case left == 0 && !s.Good():
		return exitCode{exitBad, fmt.Sprintf("some jobs of batch %s may still run: see the outcomes other than stopped, already_stopped and gone", s.Batch)}
	}
	return nil
}

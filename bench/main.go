// Command bench measures the claims of the README. It starts everything it
// needs on this machine: a real Redis, the simulated API as a process of its
// own, and built binaries. What it measures runs in turn with its baselines in
// one run; ratios within a round are the claim, times are this machine's.
//
// It keeps every number in bench/results.json and writes bench/RESULTS.md and
// the plots from it.
//
//	make bench                                  everything
//	bin/bench -only wall,pickup -rounds 1       some of it
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills at once
	err := run(ctx, os.Args[1:], os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run of the benchmark.
type bench struct {
	bin    string // folder of the built programs
	out    string // folder of the results and of the baselines' scripts
	rounds int    // 0: as many as each measure finds right
	log    io.Writer
}

func (b *bench) logf(format string, args ...any) {
	fmt.Fprintf(b.log, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// roundsOr is how many rounds to make of a measure that wants n.
func (b *bench) roundsOr(n int) int {
	if b.rounds > 0 {
		return b.rounds
	}
	return n
}

// measure is one thing that can be measured.
type measure struct {
	name string
	run  func(b *bench, ctx context.Context) (*measurement, error)
}

// measures in the order in which they run and are shown.
func measures() []measure {
	return []measure{
		{"wall", (*bench).wall},
		{"lag", (*bench).lag},
		{"faulty", (*bench).faulty},
		{"limit", (*bench).limit},
		{"crash", (*bench).crash},
		{"outage", (*bench).outage},
		{"pickup", (*bench).pickup},
		{"urgent", (*bench).urgent},
		{"behind", (*bench).behind},
		{"fair", (*bench).fair},
		{"hang", (*bench).hang},
		{"projects", (*bench).projects},
		{"paused", (*bench).paused},
		{"idle", (*bench).idle},
		{"memory", (*bench).memory},
		{"scale", (*bench).scale},
		{"throughput", (*bench).throughput},
		{"enqueue", (*bench).enqueueing},
	}
}

// longest is how long any one measure may take.
const longest = 20 * time.Minute

func run(ctx context.Context, args []string, log io.Writer) error {
	b := &bench{log: log}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&b.bin, "bin", "bin", "folder of the built programs")
	flags.StringVar(&b.out, "out", "bench", "folder of the results")
	flags.IntVar(&b.rounds, "rounds", 0, "rounds of every measure (0: each its own number)")
	only := flags.String("only", "", "names of measures, by comma (default: all)")
	report := flags.Bool("report", false, "measure nothing: write the tables and plots from results.json again")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	res, err := loadResults(b.out)
	if err != nil {
		return err
	}
	if *report {
		return res.write(b.out)
	}
	for _, m := range chosen {
		if err := b.one(ctx, m, res); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// one measures m and writes the results, so that a later fault loses nothing.
func (b *bench) one(ctx context.Context, m measure, res *results) error {
	ctx, cancel := context.WithTimeoutCause(ctx, longest, fmt.Errorf("took longer than %v", longest))
	defer cancel()
	b.logf("%s", m.name)
	began := time.Now()
	got, err := m.run(b, ctx)
	if err != nil {
		return err
	}
	got.Took = time.Since(began).Round(time.Second).String()
	got.Date = began.UTC().Format(time.DateOnly)
	if got.Machine, err = thisMachine(ctx); err != nil {
		return err
	}
	for _, g := range got.Goals {
		b.logf(" %s: %s, goal %s: %s", g.What, g.value(), g.limit(), g.verdict())
	}
	res.Measurements[m.name] = got
	return res.write(b.out)
}

func choose(only string) ([]measure, error) {
	all := measures()
	if only == "" {
		return all, nil
	}
	var chosen []measure
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(m measure) bool { return m.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-only: %q is no measure", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

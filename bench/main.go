// Command bench measures the claims of the README. It starts everything it
// needs on this machine, interleaves what it measures with its baseline in one
// run, and writes its tables into bench/RESULTS.md. Compare ratios within a
// run; times depend on the machine and on what else it does.
//
//	make bench-enqueue
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "enqueue": // args[1]: folder of the built programs
		return benchEnqueue(ctx, args[1])
	case len(args) == 3 && args[0] == "bare-enqueue": // a baseline, run by the benchmark itself
		return bareEnqueue(ctx, args[1], args[2])
	default:
		return fmt.Errorf("usage: bench enqueue BIN-FOLDER")
	}
}

package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

const resultsFile = "bench/RESULTS.md"

// writeSection puts a section of that name into the results, in place of the
// one from an earlier run.
func writeSection(name, body string) error {
	old, err := os.ReadFile(resultsFile)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	text := string(old)
	if text == "" {
		text = "# Results\n\nWritten by `make bench-enqueue`. Ratios within one run are the claim; times are this machine's.\n"
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
	section := begin + body + end
	before, rest, found := strings.Cut(text, begin)
	if found {
		_, after, _ := strings.Cut(rest, end)
		text = before + section + after
	} else {
		text += "\n" + section
	}
	return os.WriteFile(resultsFile, []byte(text), 0o644)
}

// machine says where and with what a run was made.
func machine(ctx context.Context, s *redisServer) string {
	asynq := "?"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/hibiken/asynq" {
				asynq = d.Version
			}
		}
	}
	return fmt.Sprintf("%s, %d CPUs (%s), %s, Redis %s, asynq %s.",
		time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), cpuModel(), runtime.Version(), s.version(ctx), asynq)
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(b)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return runtime.GOARCH
}

func median(values []float64) float64 {
	values = slices.Clone(values)
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}

// spread is the median with the extremes.
func spread(values []float64, format string) string {
	return fmt.Sprintf(format+" ("+format+" to "+format+")", median(values), slices.Min(values), slices.Max(values))
}

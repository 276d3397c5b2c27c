package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// blockPattern finds blocks, and the language of those that name one: such a block is no command.
	blockPattern = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")
	wordPattern  = regexp.MustCompile(`^[a-z]+$`)
	// programPattern finds the lines that start one of our programs.
	programPattern = regexp.MustCompile(`^(?:[A-Z_]+=\S+ )*(?:enqueue|worker|console)\b`)
)

// What docs/operations.md and docs/console.md tell a person to type is something that the
// programs know.
func TestRunbookCommands(t *testing.T) {
	t.Parallel()
	for file, least := range map[string]int{"docs/operations.md": 10, "docs/console.md": 5} {
		page, err := os.ReadFile(filepath.Join(repository, file))
		if err != nil {
			t.Fatal(err)
		}
		commands := 0
		for _, block := range blockPattern.FindAllStringSubmatch(string(page), -1) {
			if block[1] != "" {
				continue
			}
			for line := range strings.Lines(block[2]) {
				for _, fault := range unknownInCommand(t, line) {
					t.Errorf("%s: %s: %s", file, strings.TrimSpace(line), fault)
				}
				if programPattern.MatchString(line) {
					commands++
				}
			}
		}
		if commands < least {
			t.Errorf("%s: found %d commands", file, commands)
		}
	}
	for line, want := range map[string]string{
		"enqueue stops BATCH --outcomes expired": "--outcomes",
		"worker run --api-rates 20":              "--api-rates",
		"enqueue stopps BATCH":                   "stopps",
		"console run --principal x":              "--principal",
	} {
		if got := unknownInCommand(t, line); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%s: found %q, want one fault, about %s", line, got, want)
		}
	}
}

var metricsPattern = regexp.MustCompile(`(?m)^curl -s http://\$WORKER/metrics (\| .*)$`)

// What the runbooks pick from /metrics are the series that tell something, whatever digits their values end in.
func TestRunbookPicksSeries(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(repository, "docs/operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	const metrics = `# HELP vizstop_held Whether something is held.
go_goroutines 50
process_cpu_seconds_total 10
vizstop_list_checks_total{result="read"} 10
vizstop_redis_unfit{risk="eviction"} 1
vizstop_held{account="",reason="paused",scope="fleet"} 0
vizstop_held{account="default",reason="throttled",scope="project"} 1
vizstop_holds_total{reason="throttled"} 10
vizstop_modelarts_requests_total{account="default",operation="detail",result="ok"} 0
vizstop_modelarts_requests_total{account="default",operation="stop",result="ok"} 1230
vizstop_modelarts_requests_total{account="default",operation="stop",result="timeout"} 7
vizstop_poll_lag_seconds_count 100
vizstop_poll_lag_seconds_sum 0.5
vizstop_queue_latency_seconds{queue="visualization"} 0.25
vizstop_queue_tasks{queue="visualization",state="active"} 0
vizstop_queue_tasks{queue="visualization",state="pending"} 20
vizstop_rate 100
vizstop_configured_rate 50
vizstop_stop_duration_seconds_bucket{outcome="stopped",le="1"} 10
vizstop_stop_phase_seconds_count{phase="queued"} 30
vizstop_stops_in_flight{state="pending"} 100
vizstop_stops_in_flight{state="stopping"} 0
`
	picked := map[string]string{}
	for _, m := range metricsPattern.FindAllStringSubmatch(string(page), -1) {
		cmd := exec.Command("sh", "-c", "cat "+m[1])
		cmd.Stdin = strings.NewReader(metrics)
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s finds nothing: %v", m[1], err)
		}
		picked[m[1]] = string(out)
	}
	found := false
	for pipe, lines := range picked {
		if !strings.Contains(pipe, "stops_in_flight") { // of VizstopNothingConfirmed
			continue
		}
		found = true
		const want = `vizstop_modelarts_requests_total{account="default",operation="stop",result="ok"} 1230
vizstop_modelarts_requests_total{account="default",operation="stop",result="timeout"} 7
vizstop_queue_latency_seconds{queue="visualization"} 0.25
vizstop_queue_tasks{queue="visualization",state="pending"} 20
vizstop_stops_in_flight{state="pending"} 100
`
		if lines != want {
			t.Errorf("%s picks\n%swant\n%s", pipe, lines, want)
		}
	}
	if !found || len(picked) < 5 {
		t.Errorf("found %d lines that read /metrics", len(picked))
	}
}

// unknownInCommand says which subcommand or flag of a line its program does not
// know. Lines of other programs have no faults.
func unknownInCommand(t *testing.T, line string) (faults []string) {
	t.Helper()
	line, _, _ = strings.Cut(line, "#")
	words := strings.Fields(line)
	for len(words) > 0 && variableSet.MatchString(words[0]) {
		words = words[1:]
	}
	if len(words) == 0 || !slices.Contains([]string{"enqueue", "worker", "console"}, words[0]) {
		return nil
	}
	args := []string{"--help"}
	if len(words) > 1 && wordPattern.MatchString(words[1]) {
		args = []string{words[1], "--help"}
		if len(words) > 2 && words[1] == "schedules" && wordPattern.MatchString(words[2]) { // has commands of its own
			args = []string{words[1], words[2], "--help"}
		}
		all, err := run(t, nil, words[0], "--help")
		if err != nil {
			t.Fatalf("%s: %v", words[0], err)
		}
		if !regexp.MustCompile(`(?m)^ +` + words[1] + `\b`).MatchString(all) {
			return []string{words[0] + " has no command " + words[1]}
		}
	}
	help, err := run(t, nil, words[0], args...)
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", words[0], args, err, help)
	}
	for _, w := range words {
		flag, _, _ := strings.Cut(w, "=")
		if strings.HasPrefix(flag, "--") && !regexp.MustCompile(`(?m)^ +`+flag+`\b`).MatchString(help) {
			faults = append(faults, strings.Join(words[:2], " ")+" has no "+flag)
		}
	}
	return faults
}

var variableSet = regexp.MustCompile(`^[A-Z_]+=`)

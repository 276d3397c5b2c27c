package httpapi_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redistest"
)

// The examples of docs/producers.md stop jobs, and doing it again doubles nothing.
func TestExamples(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.startWorker()
	for _, c := range []struct{ name, runtime, file string }{
		{"curl", "sh", "stop.sh"}, {"python", "python3", "stop.py"}, {"java", "java", "Stop.java"},
	} {
		for _, needs := range []string{c.runtime, map[string]string{"curl": "curl"}[c.name]} {
			if needs == "" {
				continue
			}
			if _, err := exec.LookPath(needs); err != nil {
				t.Logf("the %s example is not run: there is no %s here", c.name, needs)
				c.runtime = ""
			}
		}
		if c.runtime == "" {
			continue
		}
		path, err := redistest.InModule(filepath.Join("examples", "http", c.file))
		if err != nil {
			t.Fatal(err)
		}
		jobs := []string{c.name + "-1", c.name + "-2"}
		w.addJobs(jobs...)
		for range 2 {
			w.example(0, c.runtime, append([]string{path, project, c.name}, jobs...)...)
		}
		refused := c.name + "-3"
		w.addJobs(refused)
		w.sim.Inject(modelartstest.Fault{Operation: modelartstest.OpStop, JobID: refused, Reply: modelartstest.ReplyError(400, "ModelArts.0104", "Illegal id")})
		w.example(2, c.runtime, path, project, c.name+"-refused", refused)
		if b := w.batch(c.name); b.Counts[ledger.Stopped] != 2 || b.Total != 2 {
			t.Errorf("%s: %+v", c.name, b)
		}
	}
}

// example runs an example to its end, with that exit code.
func (w *world) example(exit int, runtime string, args ...string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, runtime, args...)
	cmd.Env = append(os.Environ(), "VIZSTOP_URL="+w.url, "VIZSTOP_TOKEN="+w.tokens["asker"], "TMPDIR="+w.TempDir(), "JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1",
		"http_proxy=", "HTTP_PROXY=", "no_proxy=*")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != exit || !strings.Contains(out.String(), map[int]string{0: "stopped", 2: "rejected"}[exit]) {
		w.Fatalf("%s %s: %v, want exit code %d\n%s%s", runtime, filepath.Base(args[0]), err, exit, out.String(), errs.String())
	}
}

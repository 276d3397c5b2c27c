package e2e

import (
	"encoding/csv"
	"net/http"
	"strings"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redistest"
)

// The API is gone for longer than all ten attempts of a stop could last with
// their longest backoffs: with the defaults 2 + 4 + 8 + 16 + 32 + 4·60 s.
func TestChaosAPIGone(t *testing.T) {
	t.Parallel()
	chaos(t, "API gone for 310 s, longer than every retry together", func(t *testing.T) score {
		l := redisLoad(redistest.Start(t, durable()...).URL)
		l.args = []string{"--retry-first", "2s", "--retry-max", "1m", "--max-attempts", "10"}
		if !*chaosFull { // 20 + 40 + 80 + 3·100 ms
			l.args = []string{"--retry-first", "20ms", "--retry-max", "100ms", "--max-attempts", "7"}
		}
		l.api = modelartstest.V2
		l.concurrency = 32 // what has piled up shall not stand in line for long
		f := newFleet(t, l)
		f.ask()
		f.awaitWork(0.3)
		f.sim.fail(modelartstest.Order{})
		hold(size(2*time.Second, 310*time.Second))
		f.sim.heal()
		f.mark()
		s := f.settle("stopped")
		wantRecovery(t, s, outageLimit)
		return s
	})
}

// More stops are rejected for good than asynq's archive would keep (9,999 and
// one). All are in the report with their reason.
func TestChaosRejections(t *testing.T) {
	t.Parallel()
	chaos(t, "12,000 permanent rejections", func(t *testing.T) score {
		l := redisLoad(redistest.Start(t, durable()...).URL)
		l.jobs, l.spread, l.latency, l.concurrency = size(200, 12000), 0, 10*time.Millisecond, 32
		f := newFleet(t, l)
		const reason = "The job is locked by its owner"
		f.sim.fail(modelartstest.Order{Operation: jobs.OperationStop, HTTPStatus: http.StatusBadRequest,
			Code: "ModelArts.0104", Message: reason})
		f.ask()
		s := f.settle("rejected")
		p := launch(t, f.env(), "", "enqueue", "stops", chaosBatch, "--outcome", "rejected", "--csv")
		p.wantExit(0)
		lines, err := csv.NewReader(strings.NewReader(p.stdout.String())).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if n := len(lines) - 1; n != f.jobs {
			t.Errorf("the report has %d lines, want %d", n, f.jobs)
		}
		for _, line := range lines[1:] {
			if !strings.Contains(strings.Join(line, ","), reason) {
				t.Fatalf("no reason in %q", line)
			}
		}
		return s
	})
}

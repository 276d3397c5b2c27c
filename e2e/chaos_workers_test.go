package e2e

import (
	"syscall"
	"testing"
	"time"

	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redistest"
)

// durable are the arguments of a Redis that keeps each write before it answers. Only
// a full run has it on the disk by then: with the kernel it is as safe from a kill,
// and no server waits for what other tests write to the disk.
func durable() []string {
	if *chaosFull {
		return []string{"--appendonly", "yes", "--appendfsync", "always"}
	}
	return []string{"--appendonly", "yes", "--appendfsync", "no"}
}

// Workers are killed again and again, three of them at once in the middle, and
// started again at once, as a supervisor would.
func TestChaosWorkersKilled(t *testing.T) {
	t.Parallel()
	chaos(t, "workers killed with -9, 20 times, three of them at once", func(t *testing.T) score {
		alone := size(2, 17)
		f := newFleet(t, load{redisURL: redistest.Start(t, durable()...).URL, jobs: size(100, 1000), stopTime: time.Second,
			spread: size(4*time.Second, time.Minute), latency: size(50*time.Millisecond, 300*time.Millisecond), count: 3, concurrency: 8, api: modelartstest.V2})
		f.ask()
		for i := range alone + 1 {
			f.awaitWork(float64(i+1) / float64(alone+2))
			if i == alone/2 {
				f.killWorkers(0, 1, 2)
			} else {
				f.killWorkers(i % 3)
			}
		}
		s := f.settle("stopped")
		wantRecovery(t, s, workerLimit)
		return s
	})
}

// killWorkers kills workers at once and then starts others in their place.
func (f *fleet) killWorkers(which ...int) {
	f.t.Helper()
	for _, i := range which {
		_ = f.workers[i].cmd.Process.Kill()
	}
	for _, i := range which {
		<-f.workers[i].done
	}
	f.mark()
	for _, i := range which {
		f.workers[i] = f.startWorker()
	}
}

// restartLoad keeps three workers busy.
func restartLoad(t *testing.T) load {
	return load{redisURL: redistest.Start(t, durable()...).URL, jobs: size(120, 1000), stopTime: time.Second,
		spread: size(2*time.Second, 20*time.Second), latency: 100 * time.Millisecond, count: 3, concurrency: 8}
}

// The same without a restart, to compare with. So neither runs beside others at
// full size.
func TestChaosNoRestart(t *testing.T) {
	longChaos(t, "rolling restart: the same load without it", func(t *testing.T) score {
		f := newFleet(t, restartLoad(t))
		f.ask()
		for i := range f.workers {
			f.awaitWork(float64(i+1) / 5)
			f.mark()
		}
		s := f.settle("stopped")
		wantRecovery(t, s, redisLimit)
		return s
	})
}

// Three workers under load are replaced one after the other, the new one first. No
// step has to be recovered, and no call is repeated.
func TestChaosRollingRestart(t *testing.T) {
	if !*chaosFull {
		t.Parallel()
	}
	chaos(t, "rolling restart of three workers with SIGTERM, the new one first", func(t *testing.T) score {
		f := newFleet(t, restartLoad(t))
		f.ask()
		for i, old := range f.workers {
			f.awaitWork(float64(i+1) / 5)
			f.workers[i] = f.startWorker()
			f.mark()
			old.signal(syscall.SIGTERM)
			old.wantExit(0)
		}
		s := f.settle("stopped")
		wantRecovery(t, s, redisLimit)
		kinds := []string{"missing"}
		if *chaosFull { // else one that stands still for 5 s beside all other tests is rightly taken for dead
			kinds = append(kinds, "dead")
		}
		for _, w := range f.workers {
			for _, found := range kinds {
				if k := w.metric(`vizstop_recoveries_total{found="` + found + `"}`); k > 0 {
					t.Errorf("%v steps were recovered: %s", k, found)
				}
			}
		}
		return s
	})
}

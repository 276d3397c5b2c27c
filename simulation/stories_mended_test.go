package simulation

import (
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/modelarts/sdkhmac"
	"vizstop/internal/release"
	"vizstop/internal/worker"
)

// stopsEndSoon waits until the batch has ended, which takes no more than d: no stop waits because it was refused before.
func (w *world) stopsEndSoon(d time.Duration) {
	w.t.Helper()
	began := time.Now()
	w.awaitEnd(15*time.Minute, "b")
	if took := time.Since(began); took > d {
		w.t.Errorf("the stops ended %v after the credential was accepted, want %v at most", took, d)
	}
}

// A worker that starts with another key makes the calls at once that were refused before.
func TestStopsGoOnWithANewKey(t *testing.T) {
	for name, n := range map[string]int{"one stop, nothing is held": 1, "the credential is held": 4} {
		t.Run(name, func(t *testing.T) {
			cfg := modelartstest.Config{Auth: modelartstest.Auth{AccessKeys: map[string]string{"AK1": "another", "AK2": "SK2"}}}
			inBubble(t, cfg, func(w *world) {
				r := w.start(nil, modelarts.WithCredentials(modelarts.NewAKSK(sdkhmac.Key{AccessKey: "AK1", SecretKey: "SK1"}, "")))
				w.askIn(project, "b", n, 5*time.Second)
				time.Sleep(10 * time.Second)
				r.stop()
				r = w.start(nil, modelarts.WithCredentials(modelarts.NewAKSK(sdkhmac.Key{AccessKey: "AK2", SecretKey: "SK2"}, "")))
				defer r.stop()
				w.stopsEndSoon(15 * time.Second)
			})
		})
	}
}

// Where the API accepts one project again, its stops that were refused before go out at once.
func TestStopsGoOnWhenTheirProjectIsAcceptedAgain(t *testing.T) {
	cfg := modelartstest.Config{Latency: func(string) time.Duration { return 100 * time.Millisecond }}
	inBubble(t, cfg, func(w *world) {
		fault := w.sim.Inject(modelartstest.Fault{ProjectID: project, Operation: jobs.OperationStop, Reply: modelartstest.ReplyError(401, "APIGW.0301", "no")})
		r := w.start(func(c *worker.Config) { c.Release.Rate = 50 })
		defer r.stop()
		w.askIn(otherProject, "others", 100, time.Second)
		w.askIn(project, "b", 8, 5*time.Second)
		held := func() bool {
			for _, h := range w.holds() {
				if h.Scope == release.ScopeProject {
					return true
				}
			}
			return false
		}
		w.await(time.Minute, "a hold", held)
		time.Sleep(20 * time.Second)
		fault.Clear()
		w.await(3*time.Minute, "the end of the hold", func() bool { return !held() })
		w.stopsEndSoon(15 * time.Second)
	})
}

// A job that is always refused, while the credential is accepted for others, is not tried again with each of their
// calls: that would lock the access key.
func TestARefusedJobIsNotHurriedByOthers(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.Inject(modelartstest.Fault{ProjectID: project, Reply: modelartstest.ReplyError(401, "APIGW.0301", "no")})
		r := w.start(nil)
		defer r.stop()
		w.askIn(project, "b", 1, time.Second)
		for range 9 {
			time.Sleep(30 * time.Second)
			w.askIn(otherProject, "others", 3, time.Second)
		}
		time.Sleep(20 * time.Second)
		refused := 0
		for _, c := range w.sim.AllCalls() {
			if c.HTTPStatus == 401 {
				refused++
			}
		}
		if refused < 2 || refused > 3 {
			t.Errorf("%d refused calls in 5 minutes, want 3", refused)
		}
	})
}

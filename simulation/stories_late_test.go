package simulation

import (
	"bytes"
	"context"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/worker"
)

// slowConn delays the question for leave to call.
type slowConn struct {
	net.Conn
	delay time.Duration
}

func (c slowConn) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("}:throttle")) {
		time.Sleep(c.delay) // virtual: costs nothing
	}
	return c.Conn.Write(p)
}

// A worker that stood still between the question for leave and its answer does
// not call: there may be a pause since, or the deadline is over.
func TestLeaveThatComesLateIsNotUsed(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10"})
		r := w.start(func(c *worker.Config) {
			c.Redis.Close()
			c.Redis = redis.NewClient(&redis.Options{
				Dialer: func(context.Context, string, string) (net.Conn, error) {
					conn, err := w.dial()
					return slowConn{conn, time.Minute}, err
				},
				MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
			})
		})
		defer r.stop()
		asks := []ledger.Ask{{JobID: "10", Deadline: time.Now().Add(30 * time.Second)}}
		if _, err := w.producer.Ask(context.Background(), project, "b", asks); err != nil {
			t.Fatal(err)
		}
		wantOutcome(t, w.awaitEnd(10*time.Minute, "b")["10"], ledger.Expired, "before the stop call was accepted")
		if n := w.calls("10", modelarts.OperationStop); n != 0 {
			t.Errorf("%d stop calls after the deadline, want none", n)
		}
	})
}

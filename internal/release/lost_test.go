package release

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
)

// lossy loses one answer of Redis, once it is told to: Redis has done what it was asked.
type lossy struct {
	net.Conn
	lose *atomic.Bool
}

func (l lossy) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if l.lose.CompareAndSwap(true, false) {
		l.Conn.Close()
		return 0, io.EOF
	}
	return n, err
}

// losing is a releaser whose client, with go-redis' own defaults as redisconn has them, loses one answer.
func (w *world) losing(lose *atomic.Bool) *Releaser {
	o := *w.limited.Options()
	o.MaxRetries = 0 // the default: 3, as in redisconn
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return lossy{c, lose}, err
	}
	client := redis.NewClient(&o)
	w.t.Cleanup(func() { client.Close() })
	w.ok(client.Ping(w.t.Context()).Err())
	return New(client, "worker-1", w.now, Config{})
}

// untilProbe makes rounds as they fall due, and asks for none.
func (w *world) untilProbe(most time.Duration) time.Duration {
	var over []Settled
	for began := w.now(); w.now().Sub(began) < most; w.advance(25 * time.Millisecond) {
		turns, _ := w.turns(w.Releaser, over...)
		over = nil
		for _, turn := range turns {
			r := w.round(asLoop())
			over = append(over, Settled{Turn: turn, Next: r.Next})
			for _, m := range append(r.Stops, r.Polls...) {
				if c := w.tryClaim(m.StopID); c.Stop != nil {
					return w.now().Sub(began)
				}
			}
		}
	}
	return most
}

// canceledProbe has a stop become the probe of a hold, and canceled while its task waits in the queue; others wait.
func (w *world) canceledProbe() *ledger.Stop {
	w.t.Helper()
	id := w.open("b", 1)[0]
	w.open("others", 5)
	w.outage()
	w.ask()
	turns, _ := w.turns(w.Releaser)
	r := w.round(asLoop())
	if len(r.Stops) != 1 || r.Stops[0].StopID != id {
		w.t.Fatalf("released %v", r.Stops)
	}
	w.turns(w.Releaser, Settled{Turn: turns[0], Next: r.Next})
	step := w.get(id)
	_, err := w.ledger.Withdraw(w.t.Context(), project, id, "b", "a mistake")
	w.ok(err)
	w.ask() // as enqueue cancel does
	turns, _ = w.turns(w.Releaser)
	r = w.round(asLoop())
	w.turns(w.Releaser, Settled{Turn: turns[0], Next: r.Next})
	w.advance(20 * time.Millisecond)
	return step
}

// loses makes a claim whose answer is lost, which says whether it has passed the turn on, and wants the next probe soon.
func (w *world) loses(claim func(*Releaser) (passed bool, err error)) {
	w.t.Helper()
	var lose atomic.Bool
	b := w.losing(&lose)
	nobody := ledger.Member{StopID: "x", Hop: 1, JobID: "x"} // Redis knows the scripts after that
	_, err := b.NewClaim(project, nobody, ledger.KindStop).Do()
	w.ok(err)
	_, err = b.Shadow().Claim(w.t.Context(), project, []ledger.Member{nobody})
	w.ok(err)
	lose.Store(true)
	passed, err := claim(b)
	w.ok(err)
	if lose.Load() {
		w.t.Fatal("no answer was lost")
	}
	if passed { // as the claimer does
		w.ask()
	}
	if d := w.untilProbe(time.Hour); d > 3*time.Second {
		w.t.Errorf("the next probe goes out after %v", d)
	}
}

// The client repeats the claim by itself when its answer was lost: the turn is passed on, and nobody is told.
func TestThePassedTurnIsLostInTheClient(t *testing.T) {
	w := onRedis(t, Config{})
	step := w.canceledProbe()
	w.loses(func(b *Releaser) (bool, error) {
		c, err := b.NewClaim(project, step.Member(), step.Kind).Do()
		return c.Passed, err
	})
}

// Likewise of a step that is held back: wanted tomorrow.
func TestThePassedTurnOfAHeldStepIsLost(t *testing.T) {
	w := onRedis(t, Config{})
	day := 24 * time.Hour
	open := func(batch string, due time.Duration) string {
		o, err := w.ledger.Open(t.Context(), project, batch, []ledger.Ask{{JobID: "job", Due: w.now().Add(due), Deadline: w.now().Add(2 * day), Confirmed: true}})
		w.ok(err)
		return o[0].StopID
	}
	id := open("tomorrow", day)
	open("now", 0)
	w.advance(time.Millisecond)
	w.open("others", 5)
	w.outage()
	w.ask()
	turns, _ := w.turns(w.Releaser)
	r := w.round(asLoop())
	if len(r.Stops) != 1 || r.Stops[0].StopID != id {
		t.Fatalf("released %v", r.Stops)
	}
	w.turns(w.Releaser, Settled{Turn: turns[0], Next: r.Next})
	step := w.get(id)
	_, err := w.ledger.Withdraw(t.Context(), project, id, "now", "a mistake")
	w.ok(err)
	w.loses(func(b *Releaser) (bool, error) {
		c, err := b.NewClaim(project, step.Member(), step.Kind).Do()
		return c.Passed, err
	})
}

// A shadow claim that is repeated does not tell that it passed the turn on.
func TestThePassedTurnOfAShadowStopIsLost(t *testing.T) {
	w := onRedis(t, Config{})
	books := w.ledger.Shadow()
	_, err := books.Open(t.Context(), project, "s", []ledger.Ask{{JobID: "one", Deadline: w.now().Add(time.Hour), Confirmed: true}})
	w.ok(err)
	w.open("others", 5)
	w.outage()
	r, err := w.Shadow().Round(t.Context(), project, 5, 5*time.Second)
	w.ok(err)
	if len(r.Taken) != 1 {
		t.Fatalf("%+v", r)
	}
	w.ask()
	turns, _ := w.turns(w.Releaser)
	rr := w.round(asLoop()) // of real stops: somebody else has the turn
	w.turns(w.Releaser, Settled{Turn: turns[0], Next: rr.Next})
	_, err = books.Withdraw(t.Context(), project, r.Taken[0].StopID, "s", "a mistake")
	w.ok(err)
	w.loses(func(b *Releaser) (bool, error) {
		_, err := b.Shadow().Claim(t.Context(), project, r.Taken)
		return false, err // it asks for the round itself
	})
}

// A watched stop that has lost its hop is not taken, and keeps no other one from being taken.
func TestTakeBesideALostHop(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		var jobs []ledger.Member
		ids := w.open("b", 3)
		for _, id := range ids {
			s := w.follow(id, w.watch())
			jobs = append(jobs, ledger.Member{StopID: id, JobID: s.JobID}) // of whatever hop
		}
		for _, hop := range []string{"", "x"} {
			if w.rdb.HDel(t.Context(), keys.Stop(ids[1]), "hop"); hop != "" {
				w.rdb.HSet(t.Context(), keys.Stop(ids[1]), "hop", hop)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			taken, err := w.Take(ctx, project, jobs)
			cancel()
			if err != nil {
				t.Fatalf("hop %q: %v", hop, err)
			}
			if hop == "" && (len(taken) != 2 || taken[0].Stop.ID != ids[0] || taken[1].Stop.ID != ids[2]) {
				t.Errorf("taken %+v, want the first and the last", taken)
			}
		}
	})
}

// When a client repeats what has ended the hold of an account, the second answer is that nothing has ended. The next
// Refresh has the account's projects visited.
func TestTheEndOfAnAccountsHoldIsLost(t *testing.T) {
	w := onRedis(t, Config{})
	var lose atomic.Bool
	b := w.losing(&lose)
	none := []string{accountKey("none"), troubledKey}
	w.ok(answeredScript.Run(t.Context(), w.rdb, none, w.now().UnixMilli(), "none").Err()) // Redis knows the script
	w.refuse(b, projectB, "x")
	w.refuse(b, projectB, "y")
	w.turns(b, Pull(project, time.Hour))
	lose.Store(true)
	w.accept(b, projectB)
	if lose.Load() {
		t.Fatal("no answer was lost")
	}
	w.holdsAre()
	w.ok(b.Refresh(t.Context()))
	if turns, _ := w.turns(b); len(turns) != 1 || turns[0].ProjectID != project {
		t.Errorf("turns %v, want one of %s", turns, project)
	}
}

package control

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
)

// dying is the client of a process that dies right after a command.
type dying struct{ after func(redis.Cmder) bool }

func (d dying) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d dying) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (d dying) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil && d.after(cmd) {
			err = errDied
			cmd.SetErr(err)
		}
		return err
	}
}

var errDied = errors.New("the process has died")

// Whoever allows a batch may die in the middle: what it has confirmed by then gets its round soon.
func TestWhoAllowsABatchDies(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	rdb := server.Limited(t)
	d, err := Open(t.Context(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(from, n int) {
		var asks []ledger.Ask
		for i := range n {
			asks = append(asks, ledger.Ask{JobID: strconv.Itoa(from + i), Deadline: d.Fleet.Now().Add(time.Hour)})
		}
		if _, err := d.Ledger.Open(t.Context(), "p", "b", asks); err != nil {
			t.Fatal(err)
		}
	}
	ask(0, 250)
	ask(250, 50)
	due, err := d.Release.Turns(t.Context(), []release.Settled{release.Pull("p", time.Hour)}, release.Room{})
	if len(due.Turns) > 0 || err != nil {
		t.Fatal(due, err)
	}
	scripts := 0
	rdb.AddHook(dying{after: func(cmd redis.Cmder) bool {
		if !strings.HasPrefix(cmd.Name(), "eval") || cmd.Args()[3] == "vizstop:{-}:rounds" { // or it announces work
			return false
		}
		if scripts++; scripts == 1 { // the first 250 are confirmed; a round comes, which finds no more
			later := redis.Z{Score: float64(d.Fleet.Now().Add(time.Hour).UnixMilli()), Member: "p"}
			server.Client(t).ZAdd(t.Context(), "vizstop:{-}:rounds", later)
		}
		return scripts == 2
	}})
	batch := &Batch{ID: "b", Projects: []string{"p"}, Ledger: d.Ledger, desk: d}
	if n, err := batch.Allow(t.Context(), 0); !errors.Is(err, errDied) || n != 250 {
		t.Fatalf("%d allowed, %v", n, err)
	}
	at := server.Client(t).ZScore(t.Context(), "vizstop:{-}:rounds", "p").Val()
	if left := time.UnixMilli(int64(at)).Sub(d.Fleet.Now()); left > 5*time.Second {
		t.Errorf("the next round is due in %v, want it in 5 s", left)
	}
}

package report

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
)

// sizes notes what each command to Redis was and how many values its answer had.
type sizes struct{ of []string }

func (s *sizes) DialHook(next redis.DialHook) redis.DialHook { return next }
func (s *sizes) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		s.note(cmd)
		return err
	}
}

func (s *sizes) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			s.note(cmd)
		}
		return err
	}
}

func (s *sizes) note(cmd redis.Cmder) {
	n := 1
	switch c := cmd.(type) {
	case *redis.MapStringStringCmd:
		n = len(c.Val())
	case *redis.StringSliceCmd:
		n = len(c.Val())
	}
	s.of = append(s.of, fmt.Sprint(cmd.Name(), " ", n))
}

// A look at a batch costs the same however many stops it has or has joined.
func TestALookCostsTheSame(t *testing.T) {
	t.Parallel()
	var costs [][]string
	for _, n := range []int{200, 2000} {
		rdb := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr})
		t.Cleanup(func() { rdb.Close() })
		seen := &sizes{}
		rdb.AddHook(seen)
		l := ledger.New(rdb, time.Now)
		for _, batch := range []string{"own", "joined"} {
			for i := 0; i < n; i += ledger.OpenChunk {
				var asks []ledger.Ask
				for j := i; j < min(n, i+ledger.OpenChunk); j++ {
					asks = append(asks, ledger.Ask{JobID: fmt.Sprint(j), Deadline: time.Now().Add(time.Hour)})
				}
				if _, err := l.Open(t.Context(), project, batch, asks); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, batch := range []string{"own", "joined"} {
			f := Watch{Ledger: l, Batch: batch, Projects: []string{project}}.Follow()
			for range 3 { // the first look is dearer than the others
				seen.of = nil
				s, err := f.Look(t.Context())
				over, err2 := Over(t.Context(), l, project, batch)
				if err != nil || err2 != nil || s.Total != n || over {
					t.Fatalf("%+v, %v, %v, %v", s, over, err, err2)
				}
				costs = append(costs, seen.of)
			}
		}
	}
	for i, half := 0, len(costs)/2; i < half; i++ {
		if !slices.Equal(costs[i], costs[half+i]) || i%3 > 0 && len(costs[i]) != 2 {
			few, many := costs[i], costs[half+i]
			t.Errorf("look %d costs %d commands with 200 stops, %d with 2,000: %.80q… and %.80q…", i, len(few), len(many), few[:min(9, len(few))], many[:min(9, len(many))])
		}
	}
}

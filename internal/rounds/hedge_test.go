package rounds

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A page that fails is asked for again, one that hangs once more, and what comes first counts.
func TestHedged(t *testing.T) {
	const ms = time.Millisecond
	failed, refused := errors.New("failed"), finalError{errors.New("refused")}
	type call struct {
		waits, takes time.Duration
		err          error
	}
	for name, row := range map[string]struct {
		calls []call
		want  string // which call answered, or the error, when, and how many were made
	}{
		"at once":                           {[]call{{takes: 80 * ms}}, "0 <nil> 80ms 1"},
		"a little late":                     {[]call{{takes: 399 * ms}}, "0 <nil> 399ms 1"},
		"the first hangs":                   {[]call{{takes: time.Hour}, {takes: 80 * ms}}, "1 <nil> 480ms 2"},
		"the first is late, the second too": {[]call{{takes: 900 * ms}, {takes: time.Hour}}, "0 <nil> 900ms 2"},
		"both hang":                         {[]call{{takes: time.Hour}, {takes: time.Hour}, {takes: 80 * ms}}, "2 <nil> 1.08s 3"},
		"all hang":                          {[]call{{takes: time.Hour}, {takes: time.Hour}, {takes: time.Hour}}, "0 context deadline exceeded 5s 3"},
		"the first fails":                   {[]call{{takes: 50 * ms, err: failed}, {takes: 80 * ms}}, "1 <nil> 130ms 2"},
		"two fail":                          {[]call{{takes: 50 * ms, err: failed}, {err: failed}, {takes: 80 * ms}}, "2 <nil> 130ms 3"},
		"all fail":                          {[]call{{err: failed}, {err: failed}, {takes: 80 * ms, err: failed}}, "0 failed 80ms 3"},
		"it is refused":                     {[]call{{takes: 50 * ms, err: refused}, {takes: 80 * ms}}, "0 refused 50ms 1"},
		"it waits for its turn":             {[]call{{waits: time.Minute, takes: 80 * ms}}, "0 <nil> 1m0.08s 1"},
		"the second waits for its turn":     {[]call{{takes: 500 * ms}, {waits: time.Minute}}, "0 <nil> 500ms 1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, started, made := time.Now(), 0, 0
				sleep := func(ctx context.Context, d time.Duration) error {
					select {
					case <-time.After(d):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				answer, err := hedged(t.Context(), 400*ms, quickTries, func(ctx context.Context, limit time.Duration, begun func()) (int, error) {
					i := started
					started++
					if i >= len(row.calls) {
						t.Fatalf("call %d is made", i)
					}
					c := row.calls[i]
					if err := sleep(ctx, c.waits); err != nil {
						return 0, err
					}
					made++
					begun()
					ctx, cancel := context.WithTimeout(ctx, limit)
					defer cancel()
					if err := sleep(ctx, c.takes); err != nil {
						return 0, err
					}
					return i, c.err
				})
				if err != nil {
					answer = 0
				}
				if got := fmt.Sprint(answer, " ", err, " ", time.Since(began), " ", made); got != row.want {
					t.Errorf("%s, want %s", got, row.want)
				}
			})
		})
	}
}

// Where nobody knows how long a page takes, the second try begins when the first one has ended.
func TestHedgedWithoutPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, starts := time.Now(), []time.Duration{}
		_, err := hedged(t.Context(), quickTries[0], quickTries, func(ctx context.Context, limit time.Duration, begun func()) (int, error) {
			starts = append(starts, time.Since(began))
			begun()
			ctx, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			<-ctx.Done()
			return 0, ctx.Err()
		})
		if got := fmt.Sprint(starts, " ", err, " ", time.Since(began)); got != "[0s 1s 3s] context deadline exceeded 7s" {
			t.Error(got)
		}
	})
}

// A check that ends takes its calls with it.
func TestHedgedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		calls := 0
		_, err := hedged(ctx, time.Second, quickTries, func(ctx context.Context, _ time.Duration, begun func()) (int, error) {
			begun()
			calls++
			<-ctx.Done()
			return 0, ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || calls != 1 {
			t.Errorf("%v after %d calls", err, calls)
		}
	})
}

// How long a page is waited for follows from how long pages take, in bounds, and from looks
// as long as no page has come.
func TestPatience(t *testing.T) {
	const ms = time.Millisecond
	var times listTimes
	look := time.Duration(0)
	expect := func(want time.Duration, tries tryTimes) {
		t.Helper()
		got, gotTries := times.patience("p", look)
		for _, d := range []*time.Duration{&got, &gotTries[0], &gotTries[1], &gotTries[2]} {
			*d = d.Round(ms)
		}
		if got != want || gotTries != tries {
			t.Errorf("patience %v and %v, want %v and %v", got, gotTries, want, tries)
		}
	}
	expect(time.Second, quickTries) // nothing is known
	look = 800 * ms
	expect(3200*ms, tryTimes{3200 * ms, 3200 * ms, 4 * time.Second})
	look = time.Minute
	expect(4*time.Second, tryTimes{4 * time.Second, 4 * time.Second, 4 * time.Second})
	times.took("p", 100*ms)
	times.took("another", time.Second)
	expect(400*ms, quickTries)
	times.took("p", 180*ms)
	expect(440*ms, quickTries)
	for range 100 {
		times.took("p", 10*ms)
	}
	expect(250*ms, quickTries)
	for range 100 {
		times.took("p", 400*ms)
	}
	expect(1600*ms, tryTimes{1600 * ms, 2 * time.Second, 4 * time.Second})
	for i := range 3 * mostListTimes {
		times.took(fmt.Sprint(i), ms)
	}
	if n := len(times.mean); n > mostListTimes {
		t.Errorf("the times of %d projects are kept", n)
	}
}

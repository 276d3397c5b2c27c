package modelartstest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"vizstop/internal/jobs"
	v1 "vizstop/internal/modelarts/v1"
)

// sleepOn makes waiting move the clock.
func sleepOn(c *clock) Config {
	return Config{Now: c.now, Sleep: func(_ context.Context, d time.Duration) { c.advance(d) }}
}

func TestDefaultStatusSets(t *testing.T) {
	c := Config{}.withDefaults()
	for s := range v1.Status(23) {
		state := s.Job().State
		if got, want := c.stoppable(s), s == 1 || s == 2 || s == 4 || s == 7 || s == 8; got != want {
			t.Errorf("stoppable(%v) = %t", s, got)
		}
		if got, want := c.restartable(s), state == jobs.Ended || s == 14; got != want {
			t.Errorf("restartable(%v) = %t", s, got)
		}
		if got, want := c.deletable(s), s != 9; got != want {
			t.Errorf("deletable(%v) = %t", s, got)
		}
	}
}

func TestStrictStatusSets(t *testing.T) {
	c := Config{
		Stoppable:   []v1.Status{8},
		Restartable: []v1.Status{12},
		Deletable:   []v1.Status{},
	}.withDefaults()
	for s := range v1.Status(23) {
		if c.stoppable(s) != (s == 8) || c.restartable(s) != (s == 12) || c.deletable(s) {
			t.Errorf("status %v: stoppable %t, restartable %t, deletable %t",
				s, c.stoppable(s), c.restartable(s), c.deletable(s))
		}
	}
}

func TestSpreadRepeatsAndStaysInRange(t *testing.T) {
	spread := Spread(time.Second, 2*time.Second)
	seen := map[time.Duration]bool{}
	for i := range 20 {
		j := Job{ID: fmt.Sprint(i)}
		d := spread(j)
		if d < time.Second || d > 2*time.Second || d != spread(j) {
			t.Errorf("job %d: %v", i, d)
		}
		seen[d] = true
	}
	if len(seen) < 10 {
		t.Errorf("only %d different durations", len(seen))
	}
	if d := Spread(time.Second, time.Second)(Job{}); d != time.Second {
		t.Errorf("a range of one value gives %v", d)
	}
}

func TestConfigHidesSecrets(t *testing.T) {
	cfg := Config{Auth: Auth{
		AccessKeys:     map[string]string{"AK1": "hush"},
		SecurityTokens: map[string]string{"AK1": "hush"},
		Tokens:         []string{"hush"},
		Users:          []User{{Name: "n", Password: "hush", Domain: "d"}},
	}}
	s := New(cfg)
	for _, text := range []string{
		fmt.Sprint(cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg.Auth), fmt.Sprintf("%#v", cfg.Auth.Users),
		fmt.Sprint(s), fmt.Sprintf("%#v", s),
	} {
		if strings.Contains(text, "hush") {
			t.Errorf("%s shows a secret", text)
		}
	}
}

func TestDefaultSleepEndsWithTimeOrContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		sleep(t.Context(), time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		sleep(ctx, time.Hour)
		if d := time.Since(begin); d != 61*time.Second {
			t.Errorf("slept %v, want 1m1s", d)
		}
	})
}

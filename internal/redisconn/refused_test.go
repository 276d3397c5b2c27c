package redisconn

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/redistest"
)

// What Redis refuses takes a while, so that who asks again at once doesn't keep
// it busy; answers of every day don't wait.
func TestRefusalsAreHeldBack(t *testing.T) {
	t.Parallel()
	client := mustParse(t, redistest.Start(t, "--maxmemory", "1").URL).Client()
	defer client.Close()
	took := func(do func() error) (time.Duration, error) {
		began := time.Now()
		err := do()
		return time.Since(began), err
	}
	d, err := took(func() error { return client.Set(t.Context(), "vizstop:x", 1, 0).Err() })
	if !redis.HasErrorPrefix(err, "OOM") || d < refusalPause {
		t.Errorf("a full Redis: %v after %v, want OOM after %v at least", err, d, refusalPause)
	}
	for name, do := range map[string]func() error{
		"nothing there": func() error { return client.Get(t.Context(), "vizstop:none").Err() },
		"unknown script": func() error {
			return client.EvalSha(t.Context(), "0123456789012345678901234567890123456789", nil).Err()
		},
	} {
		if err := do(); isRefusal(err) || err == nil {
			t.Errorf("%s: %v would be held back", name, err)
		}
	}
}

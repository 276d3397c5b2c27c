package redistest

import "testing"

func TestCutLogForgetsTheLastWrites(t *testing.T) {
	t.Parallel()
	s := Start(t, "--appendonly", "yes", "--appendfsync", "always")
	client, ctx := s.Client(t), t.Context()
	set := func(key string) {
		if err := client.Set(ctx, key, "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("before")
	size := s.LogSize()
	set("after")
	s.Kill()
	s.CutLog(size)
	s.StartAgain()
	if before, after := client.Get(ctx, "before").Val(), client.Get(ctx, "after").Val(); before != "v" || after != "" {
		t.Errorf("before = %q, after = %q; want the first alone", before, after)
	}
}

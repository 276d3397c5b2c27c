package tasks

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

const project = "0123456789abcdef0123456789abcdef"

// roundDue is when the project's next round is due, by the score in Redis.
func roundDue(t *testing.T, rdb *redis.Client) (at float64, ok bool) {
	t.Helper()
	at, err := rdb.ZScore(t.Context(), "vizstop:{-}:rounds", project).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	return at, err == nil
}

// asks are wishes for n jobs, due now.
func asks(n int) (all []ledger.Ask) {
	for i := range n {
		all = append(all, ledger.Ask{JobID: strconv.Itoa(i + 1), Deadline: time.Now().Add(time.Hour)})
	}
	return all
}

// A producer, with the rights that it has, opens stops, has a round made at once and
// wakes the workers. Asking again doubles nothing.
func TestAsk(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	opts, err := redis.ParseURL(redistest.For("enqueue", s.URL))
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opts)
	defer rdb.Close()
	admin := s.Client(t)
	woken := admin.Subscribe(t.Context(), release.WakeChannel)
	defer woken.Close()
	if _, err := woken.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := ledger.New(rdb, time.Now)
	const n = 2*ledger.OpenChunk + 1
	for _, want := range []ledger.Result{ledger.Opened, ledger.Known} {
		openings, err := NewProducer(l, rdb).Ask(t.Context(), project, "b", asks(n))
		if err != nil || len(openings) != n {
			t.Fatalf("%d answers, %v, want %d", len(openings), err, n)
		}
		for i, o := range openings {
			if o.Result != want || o.JobID != strconv.Itoa(i+1) {
				t.Errorf("answer %d: %+v, want %s", i, o, want)
			}
		}
		if at, ok := roundDue(t, admin); !ok || at != 0 {
			t.Errorf("the next round is due at %v, %t, want at once", at, ok)
		}
	}
	if m, err := woken.ReceiveMessage(t.Context()); err != nil || m.Payload != project {
		t.Errorf("workers are woken by %+v, %v", m, err)
	}
}

// A producer that dies in the middle leaves no stop without a round.
func TestAskThatDies(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	rdb, admin := s.Limited(t), s.Client(t)
	ctx, die := context.WithCancel(t.Context())
	l := ledger.New(rdb, time.Now)
	rdb.AddHook(afterScript(die))
	if _, err := NewProducer(l, rdb).Ask(ctx, project, "b", asks(3)); err == nil {
		t.Error("no error")
	}
	load, err := l.Load(t.Context(), []string{project})
	if err != nil || load.Count[ledger.Pending] != 3 {
		t.Fatalf("load %+v, %v, want three stops", load, err)
	}
	at, ok := roundDue(t, admin)
	if due := time.Until(time.UnixMilli(int64(at))); !ok || due > 5*time.Second || due < 0 {
		t.Errorf("the next round is due in %v, %t, want within 5 s", due, ok)
	}
}

// afterScript runs what it is after the first script that does more than announce work.
type afterScript func()

func (afterScript) DialHook(next redis.DialHook) redis.DialHook { return next }
func (afterScript) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (a afterScript) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if strings.HasPrefix(cmd.Name(), "eval") && cmd.Args()[3] != "vizstop:{-}:rounds" && err == nil {
			a()
		}
		return err
	}
}

// What could leave its place in a key or a URL is refused before Redis is
// asked: there is none here.
func TestAskRefusesBadIDs(t *testing.T) {
	t.Parallel()
	p := NewProducer(nil, nil)
	for _, bad := range []string{"", "../x", "a/b", "%2f", "a?b", "a#b", "a}b", "{a}", "a:b", "-", "\x00", "a\n", "工作", "a\u202e", "\xff", strings.Repeat("a", 65)} {
		for what, ask := range map[string]func() error{
			"project": func() error { _, err := p.Ask(t.Context(), bad, "b", []ledger.Ask{{JobID: "10"}}); return err },
			"batch":   func() error { _, err := p.Ask(t.Context(), project, bad, []ledger.Ask{{JobID: "10"}}); return err },
			"job": func() error {
				_, err := p.Ask(t.Context(), project, "b", []ledger.Ask{{JobID: "9"}, {JobID: bad}})
				return err
			},
		} {
			if err := ask(); err == nil || !strings.HasPrefix(err.Error(), what+" id ") {
				t.Errorf("%s %q: %v", what, bad, err)
			}
		}
	}
}

// A payload says which job, and nothing else.
func TestPayloadChoosesNothingElse(t *testing.T) {
	t.Parallel()
	p, err := DecodePayload([]byte(`{"project_id":"p1","job_id":"10","endpoint":"https://evil.example","host":"evil.example","region":"x",
		"token":"t","headers":{"X-Auth-Token":"t"},"access_key":"a","url":"https://evil.example","notify":"https://evil.example"}`))
	if err != nil || p != (Payload{ProjectID: "p1", JobID: "10"}) {
		t.Errorf("payload %+v, %v", p, err)
	}
}

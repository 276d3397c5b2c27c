package rounds

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// said is an answer of Redis.
type said string

func (s said) Error() string { return string(s) }
func (said) RedisError()     {}

// What Redis refuses is told as long as it is so: a beat at once, rounds when they have failed for some seconds, and
// what another worker may have mended meanwhile for half a minute.
func TestTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		p, q := part{projectID: "p"}, part{projectID: "q", carry: true}
		wrong, full := said("WRONGTYPE of a key"), fmt.Errorf("a round: %w", said("OOM command not allowed"))
		want := func(when string, beat error, refuses bool, projects ...string) {
			t.Helper()
			failing, got, _ := l.Refused()
			ok := errors.Is(got, beat) && (got == nil) == (beat == nil) && l.RefusesWrites() == refuses && len(failing) == len(projects)
			for _, id := range projects {
				ok = ok && failing[id].Err != nil
			}
			if !ok {
				t.Errorf("%s: beat %v, refuses %t, failing %v; want %v, %t, %q", when, got, l.RefusesWrites(), failing, beat, refuses, projects)
			}
		}
		l.trouble.beaten(context.DeadlineExceeded)
		l.trouble.made(p, context.DeadlineExceeded)
		time.Sleep(5 * time.Second)
		l.trouble.made(p, context.DeadlineExceeded)
		want("no answers", nil, false)

		l.trouble.made(p, wrong)
		want("one failure", nil, false)
		time.Sleep(3 * time.Second)
		want("one failure a while ago", nil, false)
		l.trouble.made(p, wrong)
		l.trouble.made(part{projectID: "p", carry: true}, nil)
		want("failures for three seconds", nil, false, "p")
		time.Sleep(31 * time.Second)
		want("half a minute later", nil, false)
		l.trouble.made(p, wrong)
		want("a failure after a long time", nil, false)
		time.Sleep(20 * time.Second)
		l.trouble.made(p, wrong)
		want("another one, long after it", nil, false)

		l.trouble.beaten(errors.Join(full, nil))
		l.trouble.made(q, full)
		want("a beat that was refused", full, true)
		l.trouble.beaten(context.DeadlineExceeded)
		want("no answer since", full, true)
		time.Sleep(3 * time.Second)
		l.trouble.made(p, wrong)
		l.trouble.made(q, full)
		want("writes are refused for a while", full, true, "p", "q")
		l.trouble.beaten(nil)
		want("a beat that was taken", nil, false, "p")
		l.trouble.made(p, nil)
		want("a round that was made", nil, false)

		l.trouble.made(q, full) // on another server of a cluster
		l.trouble.beaten(nil)
		want("another server refuses writes", nil, true)
		queue := func(when string, want error) {
			t.Helper()
			if _, _, got := l.Refused(); !errors.Is(got, want) {
				t.Errorf("%s: the queue refuses %v, want %v", when, got, want)
			}
		}
		queue("the queue's server", full)
		l.trouble.made(q, nil)
		queue("a task was taken", nil)
		l.trouble.made(q, wrong)
		l.trouble.made(p, full)
		queue("another error, and a round of a project's server", nil)
		l.trouble.made(q, full)
		time.Sleep(31 * time.Second)
		queue("half a minute later", nil)
	})
}

package release

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Projects that wait for room have no round before there is some, or for some seconds; then who waits longest, and for
// the fewest steps, is first, also before projects that are due. Whose round found no room after all keeps its place;
// who waits anew is last.
func TestTurnsOfThoseWhoLackRoom(t *testing.T) {
	for name, row := range map[string]struct {
		lack Lack
		room Room
	}{
		"queue": {LackQueue, Room{Queue: 2}},
		"looks": {LackLook, Room{Looks: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, Config{}, func(t *testing.T, w *world) {
				row := row // both kinds of Redis go at once
				given := make(map[string]Turn)
				expect := func(room Room, over []Settled, want ...string) {
					t.Helper()
					w.advance(time.Millisecond)
					due, err := w.Turns(t.Context(), over, room)
					w.ok(err)
					var got []string
					for _, turn := range due.Turns {
						got = append(got, turn.ProjectID)
						given[turn.ProjectID] = turn
					}
					if !slices.Equal(got, want) {
						t.Errorf("rounds of %v, want %v", got, want)
					}
					if due.Lack != row.lack {
						t.Errorf("lack %d, want %d", due.Lack, row.lack)
					}
				}
				steps := map[string]int{"c": 1, "b": 2, "a": 3}
				waits := func(project string) []Settled {
					return []Settled{{Turn: given[project], Next: lackLongest, Lack: row.lack, Wait: steps[project]}}
				}
				for _, project := range []string{"c", "b", "a"} { // in the order in which they begin to wait
					due, err := w.Turns(t.Context(), []Settled{Pull(project, 0)}, Room{})
					w.ok(err)
					given[project] = due.Turns[0]
					expect(Room{}, waits(project))
				}
				expect(Room{}, nil)
				expect(row.room, nil, "c", "b")
				expect(row.room, nil, "a") // the others have one
				expect(Room{}, waits("c")) // in vain
				expect(Room{}, []Settled{{Turn: given["b"]}}, "b")
				steps["b"] = 4
				expect(Room{}, append(waits("a"), waits("b")...))
				expect(row.room, []Settled{Pull("due", 0)}, "c", "a", "due")
				expect(Room{}, append(waits("c"),
					Settled{Turn: given["a"], Next: time.Hour}, Settled{Turn: given["due"], Next: -1}))
				w.advance(lackLongest)
				expect(Room{}, nil, "b", "c") // as if nobody had them in line
				row.lack = 0
				expect(Room{}, []Settled{{Turn: given["b"], Next: time.Hour}, {Turn: given["c"], Next: -1}})
			})
		})
	}
}

// comes gives a project a round that ends with what it lacks, and with how many steps that wait.
func (w *world) comes(project string, lack Lack, steps int) {
	w.t.Helper()
	due, err := w.Turns(w.t.Context(), []Settled{Pull(project, 0)}, Room{})
	w.ok(err)
	if len(due.Turns) != 1 {
		w.t.Fatalf("%d rounds are due, want that of %s", len(due.Turns), project)
	}
	_, err = w.Turns(w.t.Context(), []Settled{{Turn: due.Turns[0], Next: time.Hour, Lack: lack, Wait: steps}}, Room{})
	w.ok(err)
}

// given expects the projects that are given a round where there is so much room.
func (w *world) given(room Room, want ...string) {
	w.t.Helper()
	due, err := w.Turns(w.t.Context(), nil, room)
	w.ok(err)
	var got []string
	for _, turn := range due.Turns {
		got = append(got, turn.ProjectID)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("rounds of %v, want %v", got, want)
	}
}

// Half of the room is for those who wait longest, half for those with the fewest steps.
func TestFewStepsGoFirstInLine(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		for i, project := range []string{"huge", "ten", "twenty", "two", "one"} {
			w.comes(project, LackQueue, []int{100_000, 10, 20, 2, 1}[i])
			w.advance(time.Minute)
		}
		w.time = w.time.Truncate(2 * time.Millisecond)
		w.given(Room{Queue: 1}, "huge")
		w.advance(time.Millisecond)
		w.given(Room{Queue: 1}, "one")
		w.given(Room{Queue: 5}, "two", "ten", "twenty")
	})
}

// A round that could not tell whether a look is free, as others kept them, changes no line for looks.
func TestPlacesWhileLooksAreKept(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.comes("first", LackLook, 1)
		w.advance(time.Millisecond)
		w.comes("second", LackLook, 1)
		w.advance(time.Millisecond)
		w.comes("first", LackKept, 0)
		w.comes("third", LackKept|LackQueue, 1)
		w.given(Room{Looks: 3}, "first", "second")
		w.given(Room{Queue: 3}, "third")
	})
}

// Who came to a line, or was given a round, while the fleet's time was far ahead waits no longer than others once it
// is right again.
func TestLinesWhenTheTimeIsSetBack(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.comes("given", LackQueue, 1)
		w.advance(time.Hour)
		w.given(Room{Queue: 1}, "given") // by a worker that dies
		w.comes("old", LackQueue, 1)
		w.advance(-time.Hour)
		w.advance(10 * time.Millisecond)
		w.comes("old", LackQueue, 1)
		w.advance(time.Millisecond)
		w.comes("new", LackQueue, 2)
		w.given(Room{Queue: 2}, "given", "old")
	})
}

// A worker whose clock is a little behind does not take another's round for one of before the time was set back.
func TestTurnsWhileClocksDiffer(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.comes("p", LackQueue, 1)
		w.advance(10 * time.Millisecond)
		w.given(Room{Queue: 1}, "p")
		w.advance(-3 * time.Millisecond)
		w.given(Room{Queue: 1})
	})
}

// A project's place in line is by the steps that could go out if there was room: no stop while it is paused, but one
// probe while it is held.
func TestStepsThatWait(t *testing.T) {
	for name, row := range map[string]struct {
		control []any
		want    int
	}{
		"as ever": {[]any{"else", 1}, 8},
		"paused":  {[]any{"paused", 1}, 1},
		"held":    {[]any{"hold", "outage", "probe_at", 1}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, Config{}, func(t *testing.T, w *world) {
				w.ok(w.rdb.HSet(t.Context(), keys.Control(), row.control...).Err())
				for lane, due := range map[string]int{keys.Small(): 3, keys.Large(): 2, keys.Limited(): 2, keys.Look(): 1} {
					for i := range due + 1 { // the last comes later
						at := w.now().UnixMilli() + int64(i/due)*time.Hour.Milliseconds()
						w.ok(w.rdb.ZAdd(t.Context(), lane, redis.Z{Score: float64(at), Member: fmt.Sprint("stop ", i)}).Err())
					}
				}
				full := wide()
				full.Most = 0
				if r := w.round(full); r.Lack != LackQueue || r.Wait != row.want || r.Next != lackLongest {
					t.Errorf("lack %d, %d wait, next in %v, want %d, %d, in %v", r.Lack, r.Wait, r.Next, LackQueue, row.want, lackLongest)
				}
			})
		})
	}
}

// What is due and finds no room in the queue, or no worker who is free to look, waits for that alone, in line.
func TestWhatARoundLacks(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		expect := func(what string, need Need, lack Lack, next time.Duration) {
			t.Helper()
			wait := 0
			if lack != 0 {
				wait = 3
			}
			if r := w.round(need); r.Lack != lack || r.Next != next || r.Wait != wait {
				t.Errorf("%s: lack %d, next in %v, %d wait, want %d, in %v, %d", what, r.Lack, r.Next, r.Wait, lack, next, wait)
			}
		}
		w.open("s", 3)
		full := wide()
		full.Most = 0
		expect("three stops and a full queue", full, LackQueue, lackLongest)
		w.rdb.HSet(t.Context(), keys.Control(), "paused", "1")
		if r := w.round(full); r.Lack != 0 {
			t.Errorf("lack %d while paused, want 0", r.Lack)
		}
		w.rdb.HDel(t.Context(), keys.Control(), "paused")
		if r := w.round(wide()); len(r.Stops) != 3 || r.Lack != 0 {
			t.Errorf("%d stops went out, lack %d, want 3 and 0", len(r.Stops), r.Lack)
		}
		w.watched(3)
		w.advance(time.Second)
		w.checked(ListCheck{Began: w.now(), Next: 2 * time.Second, Result: ListRead}, false)
		need := listing(1)
		need.Inline = 0
		expect("three to look at, and no look left for their project", need, 0, 25*time.Millisecond)
		need.Busy = true
		expect("three to look at, and no look left for anybody", need, LackLook, lackLongest) // they go before the list
		need.Inline = 4
		if r := w.round(need); len(r.Left) != 3 || r.Lack != 0 || r.Wait != 0 {
			t.Errorf("%d jobs to look at, lack %d, %d wait, want 3, 0 and 0", len(r.Left), r.Lack, r.Wait)
		}
	})
}

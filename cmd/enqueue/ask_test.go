package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"vizstop/internal/control"
	"vizstop/internal/joblist"
	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
	"vizstop/internal/when"
)

// slowly is a person who takes a while to answer.
type slowly struct {
	answer *strings.Reader
	pass   func()
}

func (s slowly) Read(p []byte) (int, error) {
	s.pass()
	return s.answer.Read(p)
}

// The time for which a question stands open takes nothing from a deadline, and
// "in 30 seconds" begins with the answer.
func TestTimesCountFromTheAnswer(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Limited(t)
	for name, tt := range map[string]struct {
		spec when.Spec
		want time.Duration // from the answer until it is due
	}{
		"at-once": {when.Spec{Deadline: "30s"}, 0},
		"in":      {when.Spec{Deadline: "30s", In: "30s"}, 30 * time.Second},
	} {
		desk, err := control.Open(t.Context(), rdb)
		if err != nil {
			t.Fatal(err)
		}
		asked := desk.Ledger.Now()
		now, answered := asked, asked.Add(40*time.Second)
		var items []joblist.Item
		for i := range askAbove + 1 {
			items = append(items, joblist.Item{ProjectID: project, JobID: fmt.Sprint(name, i)})
		}
		jobs, err := survey(fixed(items))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		c := &stopCmd{now: func() time.Time { return now }, spec: tt.spec, batch: name, streams: streams{
			in: slowly{strings.NewReader("21\n"), func() { now = answered }}, out: &out, err: &out, terminal: true}}
		plan, err := when.Parse(c.spec, c.now())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.ask(t.Context(), desk, jobs, plan, ledger.Meta{}, func(string) string { return "" }); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "This would stop 21 jobs. Type the number") {
			t.Errorf("%s: nobody was asked:\n%s", name, &out)
		}
		stops, _, err := desk.Ledger.BatchStops(t.Context(), project, name, 0, 100)
		if err != nil || len(stops) != askAbove+1 {
			t.Fatal(len(stops), err)
		}
		for _, s := range stops {
			want := answered.Add(tt.want).Truncate(time.Millisecond)
			if !s.Due.Equal(want) || !s.Deadline.Equal(want.Add(30*time.Second)) {
				t.Fatalf("%s: due at %v until %v, want %v and 30 s", name, s.Due, s.Deadline, want)
			}
		}
	}
}

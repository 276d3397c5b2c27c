package ledger_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vizstop/internal/ledger"
	"vizstop/internal/plain"
)

var historyAt = time.Date(2026, 11, 26, 17, 45, 0, 123e6, time.UTC)

// noted is what is left of a step when it was noted.
func noted(h ledger.HistoryStep) []ledger.HistoryStep {
	var s ledger.Stop
	s.Note(h)
	return s.History()
}

func TestHistoryStep(t *testing.T) {
	request := strings.Repeat("0123456789abcdef", 2)
	for name, tt := range map[string]struct{ in, want ledger.HistoryStep }{
		"accepted": {ledger.HistoryStep{At: historyAt, Call: ledger.HistoryStop, Answer: "accepted", RequestID: request},
			ledger.HistoryStep{Call: ledger.HistoryStop, Answer: "accepted", RequestID: request}},
		"status": {ledger.HistoryStep{At: historyAt, Call: ledger.HistoryDetail, Answer: "ok", Status: "9 (stopping)", RequestID: request},
			ledger.HistoryStep{Call: ledger.HistoryDetail, Answer: "ok", Status: "9 (stopping)", RequestID: request}},
		"list": {ledger.HistoryStep{At: historyAt.Add(time.Microsecond), Call: ledger.HistoryList, Answer: "not shown"},
			ledger.HistoryStep{Call: ledger.HistoryList, Answer: "not shown"}},
		"nothing": {ledger.HistoryStep{At: historyAt, Call: ledger.HistoryStop}, ledger.HistoryStep{Call: ledger.HistoryStop}},
		"hostile": {ledger.HistoryStep{At: historyAt, Call: ledger.HistoryStop, Answer: "a\tb\r\nc\x00\x1b[31m\u202e\xff d", Status: "\t1\t", RequestID: "\n"},
			ledger.HistoryStep{Call: ledger.HistoryStop, Answer: "a b c [31m d", Status: "1"}},
		"long": {ledger.HistoryStep{At: historyAt, Call: ledger.HistoryDetail, Answer: strings.Repeat("x", 1<<20), Status: strings.Repeat("é", 1<<20),
			RequestID: strings.Repeat("r", 1<<20)},
			ledger.HistoryStep{Call: ledger.HistoryDetail, Answer: strings.Repeat("x", 51) + "...", Status: strings.Repeat("é", 14) + "...",
				RequestID: strings.Repeat("r", 61) + "..."}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.want.N, tt.want.At = 1, historyAt
			if got := noted(tt.in); len(got) != 1 || got[0] != tt.want {
				t.Errorf("noted %+v, want %+v", got, tt.want)
			}
		})
	}
}

// Whatever stands in a stop's fields, its history is read without harm and can be shown.
func TestHistoryOfAnything(t *testing.T) {
	for name, f := range map[string]map[string]string{
		"none":           {},
		"no steps":       {"steps": "3"},
		"negative":       {"steps": "-1", "step:0": "1 sok"},
		"no number":      {"steps": "x", "step:0": "1 sok"},
		"too many":       {"steps": "9223372036854775807", "step:0": "1 sok"},
		"no call":        {"steps": "1", "step:0": "1 "},
		"unknown call":   {"steps": "1", "step:0": "1 zok"},
		"no time":        {"steps": "1", "step:0": "- sok"},
		"time before":    {"steps": "1", "step:0": "-1 sok"},
		"time after all": {"steps": "1", "step:0": "zzzzzzzzzz sok"},
		"control":        {"steps": "1", "step:0": "1 so\x1bk"},
		"invalid":        {"steps": "1", "step:0": "1 so\xffk"},
		"more parts":     {"steps": "1", "step:0": "1 sok\ta\tb"},
		"too long":       {"steps": "1", "step:0": "1 s" + strings.Repeat("x", 1<<20)},
	} {
		if got := ledger.Decode(project, "s", f).History(); len(got) > 0 {
			t.Errorf("%s: read %+v", name, got)
		}
	}
	damaged := map[string]string{"steps": "3", "step:0": "1 sok", "step:1": "?", "step:2": "2 dok", "req:2": "a\x00b"}
	if got := ledger.Decode(project, "s", damaged).History(); len(got) != 2 || got[0].N != 1 || got[1].N != 3 || got[1].RequestID != "" {
		t.Errorf("read %+v of a history with a damaged step, want the others", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		f := map[string]string{"steps": rapid.OneOf(rapid.StringMatching("[0-9]{1,12}"), rapid.String()).Draw(t, "steps")}
		for range rapid.IntRange(0, 5).Draw(t, "fields") {
			f[rapid.SampledFrom([]string{"step:", "req:"}).Draw(t, "field")+rapid.StringMatching("[0-9]{1,2}").Draw(t, "slot")] =
				rapid.OneOf(rapid.String(), rapid.StringMatching("[0-9a-z]{1,12} [sdl][ -~]*\t[ -~]*")).Draw(t, "step")
		}
		s := ledger.Decode(project, "s", f)
		s.Note(ledger.HistoryStep{At: time.UnixMilli(rapid.Int64().Draw(t, "at")), Call: ledger.HistoryList, Answer: rapid.String().Draw(t, "answer")})
		got := s.History()
		if len(got) > 33 {
			t.Fatalf("%d steps", len(got))
		}
		for _, h := range got {
			if !plain.Fits(h.Answer) || !plain.Fits(h.Status) || !plain.Fits(h.RequestID) {
				t.Fatalf("%+v can't be shown", h)
			}
			if _, err := json.Marshal(h); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A stop keeps its first step and the newest 32, however many there are, and nothing else
// of its fields grows with them.
func TestHistoryIsBounded(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		s := w.get(t, w.opened(t, "b", "10")[0])
		for n := 1; n <= 10_000; n++ {
			s.Note(ledger.HistoryStep{At: historyAt.Add(time.Duration(n) * time.Second), Call: ledger.HistoryDetail,
				Answer: fmt.Sprintf("%d %s", n, strings.Repeat("é", 1000)), Status: strings.Repeat("s", 100), RequestID: strings.Repeat("r", 100)})
			if n%2000 == 7 || n == 10_000 {
				if moved, err := w.ledger.Advance(t.Context(), s, ledger.Step{Kind: ledger.KindPoll, Due: w.now()}); !moved || err != nil {
					t.Fatal(moved, err)
				}
				s = w.get(t, s.ID)
			}
		}
		var numbers []int
		for _, h := range s.History() {
			numbers = append(numbers, h.N)
			if !strings.HasPrefix(h.Answer, fmt.Sprintf("%d ", h.N)) {
				t.Errorf("step %d: %q", h.N, h.Answer)
			}
		}
		want := []int{1}
		for n := 9969; n <= 10_000; n++ {
			want = append(want, n)
		}
		if !slices.Equal(numbers, want) {
			t.Errorf("kept %v, want %v", numbers, want)
		}
		bytes := 0
		for name, value := range w.rdb.HGetAll(t.Context(), keys.Stop(s.ID)).Val() {
			if strings.HasPrefix(name, "step") || strings.HasPrefix(name, "req:") {
				bytes += len(value)
			}
			if len(value) > 96 {
				t.Errorf("%s has %d bytes", name, len(value))
			}
		}
		if bytes < 32*100 || bytes > 33*160+10 {
			t.Errorf("the history has %d bytes, want at most 33 steps of 160", bytes)
		}
	})
}

// A stop that ends has its last step, too; noting one call as lost twice is once.
func TestHistoryOfAnEndedStop(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		s := w.get(t, w.opened(t, "b", "10")[0])
		s.Marked = historyAt
		s.LostCall(s.Marked.Add(33 * time.Second))
		if moved, err := w.ledger.Advance(t.Context(), s, ledger.Step{Kind: ledger.KindPoll, Due: w.now()}); !moved || err != nil {
			t.Fatal(moved, err)
		}
		s = w.get(t, s.ID)
		s.LostCall(s.Marked.Add(33 * time.Second))
		s.Note(ledger.HistoryStep{At: historyAt.Add(time.Second), Call: ledger.HistoryDetail, Answer: "ok", Status: "12 (killed)"})
		if moved, err := w.ledger.Finish(t.Context(), s, ledger.Stopped, "", 0); !moved || err != nil {
			t.Fatal(moved, err)
		}
		got := w.get(t, s.ID).History()
		want := []ledger.HistoryStep{
			{N: 1, At: historyAt, Call: ledger.HistoryStop, Answer: "no answer: the worker died in this call"},
			{N: 2, At: historyAt.Add(time.Second), Call: ledger.HistoryDetail, Answer: "ok", Status: "12 (killed)"},
		}
		if !slices.Equal(got, want) {
			t.Errorf("history %+v, want %+v", got, want)
		}
	})
}

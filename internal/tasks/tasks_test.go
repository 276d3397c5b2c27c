package tasks

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
)

func TestDecodePayload(t *testing.T) {
	for _, tt := range []struct{ in, project, job, err string }{
		{in: `{"project_id":"p1","job_id":"10"}`, project: "p1", job: "10"},
		{in: `{"project_id":"p1","job_id":10}`, project: "p1", job: "10"},
		{in: `{"job_id":"10","project_id":"p1","team":"x","endpoint":"https://evil.example"}`, project: "p1", job: "10"},
		{in: ``, err: "payload is not"},
		{in: `[]`, err: "payload is not"},
		{in: `"10"`, err: "payload is not"},
		{in: `{"project_id":"p1"}`, project: "p1", err: `job id "" is not valid`},
		{in: `{"project_id":"p1","job_id":null}`, project: "p1", err: `job id "" is not valid`},
		{in: `{"job_id":"10"}`, job: "10", err: `project id "" is not valid`},
		{in: `{"project_id":7,"job_id":"10"}`, err: "payload is not"},
		{in: `{"project_id":"p1","job_id":"../../x"}`, project: "p1", job: "../../x", err: "is not valid"},
		{in: `{"project_id":"p1","job_id":"a/b"}`, project: "p1", job: "a/b", err: "is not valid"},
		{in: `{"project_id":"p1","job_id":"%2e"}`, project: "p1", job: "%2e", err: "is not valid"},
		{in: `{"project_id":"p1","job_id":"1\n2"}`, project: "p1", job: "1\n2", err: "is not valid"},
		{in: `{"project_id":"p1","job_id":["10"]}`, project: "p1", job: `["10"]`, err: "is not valid"},
		{in: `{"project_id":"p1","job_id":"` + strings.Repeat("1", 65) + `"}`, project: "p1", job: strings.Repeat("1", 65), err: "is not valid"},
		{in: strings.Repeat(" ", maxPayload+1), err: "the limit is"},
	} {
		p, err := DecodePayload([]byte(tt.in))
		if p.ProjectID != tt.project || p.JobID != tt.job {
			t.Errorf("%.60q: got %+v, want %s and %s", tt.in, p, tt.project, tt.job)
		}
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%.60q: error %v, want %q", tt.in, err, tt.err)
		}
	}
}

// Whatever stands in a payload, what comes out can be part of a URL and of a
// line of log, or is refused.
func FuzzDecodePayload(f *testing.F) {
	f.Add([]byte(`{"project_id":"p1","job_id":"10"}`))
	f.Add([]byte(`{"project_id":"p1","job_id":10}`))
	f.Add([]byte(`{"project_id":"","job_id":"\u0000"}`))
	f.Add([]byte(`{"job_id":"\"10"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodePayload(b)
		if err != nil {
			if strings.ContainsFunc(oneLine(err), unicode.IsControl) {
				t.Errorf("%q: the error is %q", b, err)
			}
			return
		}
		if modelarts.ValidateID("project", p.ProjectID) != nil || modelarts.ValidateID("job", p.JobID) != nil {
			t.Errorf("%q gave %+v", b, p)
		}
		body, err := json.Marshal(p) // as enqueue does
		if err != nil {
			t.Fatal(err)
		}
		if again, err := DecodePayload(body); err != nil || again != p {
			t.Errorf("%q gave %+v, which our own task carries as %+v, %v", b, p, again, err)
		}
	})
}

// A task id is ours only if it is just what we would have written.
func FuzzTaskID(f *testing.F) {
	f.Add(taskID{ledger.KindPoll, ledger.StopID("b", "p", "j"), 12}.String())
	f.Add("stop:" + ledger.StopID("b", "p", "j") + ":999999999")
	f.Add("stop:" + ledger.StopID("b", "p", "j") + ":01")
	f.Add("poll:" + ledger.StopID("b", "p", "j") + ":1\n")
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := parseTaskID(s)
		if !ok {
			return
		}
		if id.String() != s || id.hop < 1 || len(id.stopID) != ledger.IDLength || id.kind != ledger.KindStop && id.kind != ledger.KindPoll {
			t.Errorf("%q parsed as %+v", s, id)
		}
	})
}

func TestTaskID(t *testing.T) {
	stop := ledger.StopID("b", "p", "j")
	id := taskID{ledger.KindPoll, stop, 12}
	if got, ok := parseTaskID(id.String()); !ok || got != id {
		t.Errorf("%s parsed as %v, %v", id, got, ok)
	}
	for _, foreign := range []string{"", "stop", "stop:10:1", "stop:" + stop + ":0", "stop:" + stop + ":01",
		"wait:" + stop + ":1", "stop:" + stop + ":1 ", "3f2c8f0e-7d43-4c1d-9c3b-0d6e4a0c9a11"} {
		if id, ok := parseTaskID(foreign); ok {
			t.Errorf("%q taken for ours: %v", foreign, id)
		}
	}
}

func TestEnqueuedTask(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	defer rdb.Close()
	next := time.Now().Add(time.Hour)
	s := &ledger.Stop{ID: ledger.StopID("b", "p", "10"), ProjectID: "p", JobID: "10", Hop: 3, Kind: ledger.KindPoll, Next: next}
	for range 2 { // a task that is there already is as good
		if err := enqueue(t.Context(), asynq.NewClientFromRedisClient(rdb), s); err != nil {
			t.Fatal(err)
		}
	}
	info, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo(QueuePoll, currentTask(s).String())
	if err != nil {
		t.Fatal(err)
	}
	if info.Type != TypePoll || string(info.Payload) != `{"project_id":"p","job_id":"10"}` || info.Timeout != taskTimeout {
		t.Errorf("task %+v", info)
	}
	if off := info.NextProcessAt.Sub(next).Abs(); off > 500*time.Millisecond {
		t.Errorf("due %v from its time, want half a second at most", off)
	}
}

// What is due must not wait for the next whole second.
func TestWholeSecond(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 700e6, time.UTC)
	for in, want := range map[time.Duration]time.Duration{
		-time.Hour:              -time.Hour,
		0:                       0,
		100 * time.Millisecond:  300 * time.Millisecond,
		700 * time.Millisecond:  300 * time.Millisecond,
		1000 * time.Millisecond: 1300 * time.Millisecond,
	} {
		if got := wholeSecond(now, now.Add(in)).Sub(now); got != want {
			t.Errorf("due in %v: comes in %v, want %v", in, got, want)
		}
	}
}

package tasks

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
)

func TestDecodePayload(t *testing.T) {
	for _, tt := range []struct{ in, project, job, err string }{
		{in: `{"project_id":"p1","job_id":"10"}`, project: "p1", job: "10"},
		{in: `{"project_id":"p1","job_id":10}`, project: "p1", job: "10"},
		{in: `{"job_id":"10","project_id":"p1","team":"x","endpoint":"https://evil.example"}`, project: "p1", job: "10"},
		{in: ``, err: "payload: is not a JSON object"},
		{in: `[]`, err: "payload: is not a JSON object"},
		{in: `"10"`, err: "payload: is not a JSON object"},
		{in: `{"project_id":"p1"}`, project: "p1", err: `job id "" is not valid`},
		{in: `{"project_id":"p1","job_id":null}`, project: "p1", err: `job id "" is not valid`},
		{in: `{"job_id":"10"}`, job: "10", err: `project id "" is not valid`},
		{in: `{"project_id":7,"job_id":" 10 "}`, project: "7", job: "10"},
		{in: `{"project_id":"p1","job_id":true}`, project: "p1", err: "job_id is neither text nor a number"},
		{in: `{"project_id":"p1","job_id":1e3}`, project: "p1", err: "job_id 1e3 is not a whole number"},
		{in: `{"job_id":-1,"project_id":"p1"}`, project: "p1", err: "job_id -1 is not a whole number"},
		{in: `{"project_id":"p1","job_id":"10","JOB_ID":"11"}`, project: "p1", job: "10", err: "job_id is there twice"},
		{in: `{"project_id":"p1","job_id":"","job_id":"11"}`, project: "p1", err: "job_id is there twice"},
		{in: `{"project_id":"p1","job_id":"10","project_id":"p2"}`, project: "p1", job: "10", err: "project_id is there twice"},
		{in: `{"project_id":"p1","job_id":"10"} {"job_id":"11"}`, project: "p1", job: "10", err: "more than one object"},
		{in: `{"project_id":"p1","job_id":"../../x"}`, project: "p1", job: "../../x", err: "is not valid"},
		{in: `{"project_id":"p1","job_id":"a/b"}`, project: "p1", job: "a/b", err: "is not valid"},
		{in: `{"project_id":"p1","job_id":"%2e"}`, project: "p1", job: "%2e", err: "is not valid"},
		{in: `{"project_id":"p1","job_id":"1\n2"}`, project: "p1", job: "1\n2", err: "is not valid"},
		{in: `{"project_id":"p1","job_id":["10"]}`, project: "p1", err: "job_id is neither text nor a number"},
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
			if text := oneLine(err); strings.ContainsFunc(text, unicode.IsControl) || strings.Contains(text, "Go struct") || strings.Contains(text, "Go value") {
				t.Errorf("%q: the error is %q", b, err)
			}
			return
		}
		if jobs.ValidateID("project", p.ProjectID) != nil || jobs.ValidateID("job", p.JobID) != nil {
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

// A released step is carried by one task, however often it is put into the queue.
func TestCarry(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	defer rdb.Close()
	inspect, carrier := asynq.NewInspectorFromRedisClient(rdb), NewCarrier(asynq.NewClientFromRedisClient(rdb))
	one := ledger.Member{StopID: ledger.StopID("b", "p", "10"), Hop: 3, JobID: "10"}
	many := []ledger.Member{one}
	for i := range 200 {
		many = append(many, ledger.Member{StopID: ledger.StopID("b", "p", strconv.Itoa(100+i)), Hop: 1, JobID: strconv.Itoa(100 + i)})
	}
	for _, steps := range [][]ledger.Member{nil, {one}, many, many} {
		if err := carrier.Carry(t.Context(), "p", ledger.KindPoll, steps); err != nil {
			t.Fatal(err)
		}
	}
	if err := carrier.Carry(t.Context(), "p", ledger.KindStop, many[1:2]); err != nil {
		t.Fatal(err)
	}
	queue, err := inspect.GetQueueInfo(Queue)
	if err != nil || queue.Pending != len(many)+1 || queue.Size != queue.Pending {
		t.Errorf("queue %+v, %v, want %d tasks that are ready", queue, err, len(many)+1)
	}
	for id, want := range map[string]string{TaskID(ledger.KindPoll, one): TypePoll, TaskID(ledger.KindStop, many[1]): TypeStop} {
		info, err := inspect.GetTaskInfo(Queue, id)
		if err != nil || info.Type != want || info.Timeout != taskTimeout {
			t.Errorf("task %s: %+v, %v", id, info, err)
		}
		if p, err := DecodePayload(info.Payload); err != nil || p.ProjectID != "p" {
			t.Errorf("payload %s: %v", info.Payload, err)
		}
	}
}

// What stands under a name of ours with another's payload is not ours.
func TestForeign(t *testing.T) {
	ours, good := TaskID(ledger.KindStop, ledger.Member{StopID: ledger.StopID("b", "p", "j"), Hop: 1}), `{"project_id":"p1","job_id":"10"}`
	for _, tt := range []struct {
		name, payload string
		want          bool
	}{{ours, good, false}, {ours, "", false}, {ours, `{"project_id":"p1","job_id":"../x"}`, true}, {"theirs", good, true}, {"theirs", "", true}} {
		if got := isForeign(tt.name, []byte(tt.payload)); got != tt.want {
			t.Errorf("%s with %q: foreign %t, want %t", tt.name, tt.payload, got, tt.want)
		}
	}
}

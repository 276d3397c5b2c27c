package modelartstest

import (
	"reflect"
	"testing"
	"time"
)

func TestCallsAreRecorded(t *testing.T) {
	r := start(t, Config{})
	r.AddJob("p1", Job{ID: "1"})
	at := r.clock.now()
	r.call("POST", jobsPath+"/1/stop", "")
	r.clock.advance(time.Second)
	r.call("POST", jobsPath+"/1/stop", "")
	r.call("GET", jobsPath, "")
	want := []Call{
		{Operation: OpStop, Generation: V1, ProjectID: "p1", JobID: "1", At: at, HTTPStatus: 200, RequestID: requestID(1), Seq: 1},
		{Operation: OpStop, Generation: V1, ProjectID: "p1", JobID: "1", At: at.Add(time.Second), HTTPStatus: 400,
			ErrorCode: "ModelArts.0105", RequestID: requestID(2), Seq: 2},
		{Operation: OpList, Generation: V1, ProjectID: "p1", At: at.Add(time.Second), HTTPStatus: 200, RequestID: requestID(3), Seq: 3},
	}
	if got := r.Calls("p1", "1"); !reflect.DeepEqual(got, want[:2]) {
		t.Errorf("Calls = %+v", got)
	}
	if got := r.Calls("p1", ""); !reflect.DeepEqual(got, want[2:]) {
		t.Errorf("Calls without job = %+v", got)
	}
	if got := r.AllCalls(); !reflect.DeepEqual(got, want) {
		t.Errorf("AllCalls = %+v", got)
	}
	if got := r.Counts(); !reflect.DeepEqual(got, map[string]int{OpStop: 2, OpList: 1}) {
		t.Errorf("Counts = %v", got)
	}
}

func TestCallsPerJob(t *testing.T) {
	for _, tt := range []struct{ keep, want int }{{0, 10}, {3, 3}, {10, 10}, {100, 10}, {-1, 0}} {
		l := newCallLog(tt.keep)
		for i := range 10 {
			l.add(Call{Operation: OpDetail, JobID: "1", Seq: uint64(i + 1)})
		}
		got := l.newest(l.byJob[jobKey{"", "1"}])
		if len(got) != tt.want || l.counts[answerKind{OpDetail, 0}] != 10 {
			t.Errorf("keep %d: %d calls, count %d", tt.keep, len(got), l.counts[answerKind{OpDetail, 0}])
		}
		if len(got) > 0 && got[len(got)-1].Seq != 10 {
			t.Errorf("keep %d: the newest is %+v", tt.keep, got[len(got)-1])
		}
	}
}

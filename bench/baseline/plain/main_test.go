package main

import (
	"net/http"
	"testing"
	"time"

	"vizstop/internal/modelarts/modelartstest"
)

// What an honest retry loop repeats is repeated, and what says that the job is being stopped is success.
func TestCallIsMadeAgain(t *testing.T) {
	server, err := modelartstest.Start(modelartstest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	server.AddJob("p", modelartstest.Job{ID: "1", StopTime: time.Hour})
	p := &program{base: server.URL + "/v1/p/visualization-jobs/", http: &http.Client{Timeout: 10 * time.Second}}
	for name, reply := range map[string]modelartstest.Reply{
		"500":         modelartstest.ReplyError(500, "ModelArts.0010", "Internal error"),
		"503":         modelartstest.ReplyHTML(503),
		"429":         modelartstest.ReplyError(429, "APIGW.0308", "Too much"),
		"not success": modelartstest.ReplyNotSuccess("ModelArts.0010", "Internal error"),
		"reset":       modelartstest.ReplyReset(),
		"cut":         modelartstest.ReplyCut(),
	} {
		fault := server.Inject(modelartstest.Fault{Operation: modelartstest.OpDetail, Reply: reply})
		if ok, err := p.call(http.MethodGet, "1", new(answer)); ok || err != nil {
			t.Errorf("%s: %t, %v; want it to be asked again", name, ok, err)
		}
		fault.Clear()
	}
	for range 2 { // the second is refused, since the first has worked
		if ok, err := p.call(http.MethodPost, "1/stop", nil); !ok || err != nil {
			t.Errorf("stop: %t, %v", ok, err)
		}
	}
	var job answer
	if ok, err := p.call(http.MethodGet, "1", &job); !ok || err != nil || job.Status != 9 {
		t.Errorf("detail: %t, %v, status %d; want 9", ok, err, job.Status)
	}
	if ok, err := p.call(http.MethodPost, "2/stop", nil); ok || err == nil {
		t.Errorf("a job that does not exist: %t, %v; want an error", ok, err)
	}
}

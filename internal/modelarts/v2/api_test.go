package v2_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	v2 "vizstop/internal/modelarts/v2"
	"vizstop/internal/plain"
)

// detail is the whole of a detail answer.
const detail = `{"kind":"visualization_job","metadata":{"id":"` + jobID + `","name":"loss-board","description":"nightly",
	"create_time":1711000000123,"workspace_id":"0","annotations":{"job_template":"Template DL"}},
	"status":{"phase":"Running","secondary_phase":"Running","duration":33000,"start_time":1711000000999,"running_records":[{"start_at":1711000000}]},
	"spec":{"auto_stop":{"time_unit":"HOURS","duration":2},"resource":{"flavor_id":"modelarts.vm.cpu.2u","node_count":1}},
	"endpoints":{"tensorboard":{"url":"https://console.example/tensorboard/1"}}}`

// bare is the least that an answer about a job must say, with more behind it.
func bare(more string) string { return `{"metadata":{"id":"` + jobID + `"}` + more + `}` }

func TestGet(t *testing.T) {
	least := jobs.Job{ID: jobID, RequestID: "h1"}
	running := jobs.Status{Code: "Running", Name: "running", State: jobs.Active}
	for _, tt := range []struct {
		name, body string
		want       func(j *jobs.Job)
	}{
		{"all", detail, func(j *jobs.Job) {
			j.Name, j.Description, j.Status = "loss-board", "nightly", running
			j.CreateTime, j.Duration, j.AutoStop = time.UnixMilli(1711000000123), 33*time.Second, 2*time.Hour
			j.ServiceURL = "https://console.example/tensorboard/1"
		}},
		{"id alone", bare(""), func(*jobs.Job) {}},
		{"parts are null", bare(`,"kind":null,"status":null,"spec":null,"endpoints":null`), func(*jobs.Job) {}},
		{"parts are of other types", bare(`,"kind":{},"status":"Running","spec":[],"endpoints":7`), func(*jobs.Job) {}},
		{"an odd part spoils no other", bare(`,"endpoints":"none","status":{"phase":"Running"}`), func(j *jobs.Job) { j.Status = running }},
		{"texts as numbers", `{"metadata":{"id":"` + jobID + `","name":7,"create_time":"1711000000123"},"status":{"duration":"33000"}}`,
			func(j *jobs.Job) {
				j.Name, j.CreateTime, j.Duration = "7", time.UnixMilli(1711000000123), 33*time.Second
			}},
		{"odd values", `{"metadata":{"id":"` + jobID + `","name":[],"create_time":"yesterday","annotations":[1]},"status":{"phase":12,"duration":-5}}`,
			func(j *jobs.Job) { j.Status = jobs.Status{Code: "12", Name: "undocumented"} }},
		{"huge values", `{"metadata":{"id":"` + jobID + `","create_time":9223372036854775807},"status":{"duration":9223372036854775807},
			"spec":{"auto_stop":{"time_unit":"HOURS","duration":9223372036854775807}}}`, func(*jobs.Job) {}},
		{"another unit", bare(`,"spec":{"auto_stop":{"time_unit":"DAYS","duration":2}}`), func(*jobs.Job) {}},
		{"only the secondary phase", bare(`,"status":{"secondary_phase":"Terminated"}`), func(*jobs.Job) {}},
		{"a phase elsewhere", bare(`,"phase":"Terminated","status":{"state":"Terminated"}`), func(*jobs.Job) {}},
		{"an undocumented phase", bare(`,"status":{"phase":"Hibernated"}`), func(j *jobs.Job) {
			j.Status = jobs.Status{Code: "Hibernated", Name: "undocumented"}
		}},
	} {
		want := least
		if tt.name != "all" { // what does not tell its kind gets no stop call
			want.Refusal = "not a visualization job: the API does not tell its kind, and it has none of the annotations of one"
		}
		tt.want(&want)
		job, err := fixed(t, 200, tt.body).Get(t.Context(), project, jobID)
		if err != nil || *job != want {
			t.Errorf("%s: got %+v, %v\nwant %+v", tt.name, job, err, want)
		}
	}
}

// An answer that does not say which job it is about is none.
func TestGetWithoutJob(t *testing.T) {
	for _, body := range []string{"", "{}", "null", "[]", `"x"`, "<html></html>", detail[:200], `{"status":{"phase":"Terminated"}}`,
		`{"id":"` + jobID + `","status":{"phase":"Terminated"}}`, `{"metadata":{"id":null},"status":{"phase":"Terminated"}}`,
		`{"metadata":"` + jobID + `","status":{"phase":"Terminated"}}`, `[` + detail + `]`} {
		job, err := fixed(t, 200, body).Get(t.Context(), project, jobID)
		if job != nil || jobs.KindOf(err) != jobs.KindUnavailable {
			t.Errorf("%q: %v, %v", body, job, err)
		}
	}
}

func TestAnotherJobsAnswer(t *testing.T) {
	other := strings.ReplaceAll(visualization("Terminated"), jobID, "another")
	for operation, call := range every {
		if operation == "list" {
			continue
		}
		apiErr := asError(t, call(t, refusing(t, operation, 202, other)))
		if apiErr.Kind != jobs.KindUnavailable || !apiErr.MaybeSent || !strings.Contains(apiErr.Error(), `about job "another"`) {
			t.Errorf("%s: %+v", operation, apiErr)
		}
	}
}

// A 2xx answer to a stop call is accepted, unless it is about something else. Only one
// that shows this job's end says that it has ended.
func TestStopAnswers(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		want   jobs.Accepted
		kind   jobs.Kind
	}{
		{202, visualization("Terminating"), jobs.Accepted{RequestID: "h1"}, 0},
		{202, visualization("Running"), jobs.Accepted{RequestID: "h1"}, 0},
		{202, visualization("Terminated"), jobs.Accepted{RequestID: "h1", Ended: true}, 0},
		{200, visualization("Completed"), jobs.Accepted{RequestID: "h1", Ended: true}, 0},
		{202, visualization("Abnormal"), jobs.Accepted{RequestID: "h1"}, 0},
		{202, `{"status":{"phase":"Terminated"}}`, jobs.Accepted{RequestID: "h1"}, 0},
		{202, "", jobs.Accepted{RequestID: "h1"}, 0},
		{204, "", jobs.Accepted{RequestID: "h1"}, 0},
		{202, "{}", jobs.Accepted{RequestID: "h1"}, 0},
		{202, `{"request_id":"b1"}`, jobs.Accepted{RequestID: "b1"}, 0},
		{202, "null", jobs.Accepted{}, jobs.KindUnavailable},
		{202, "[]", jobs.Accepted{}, jobs.KindUnavailable},
		{202, "<html></html>", jobs.Accepted{}, jobs.KindUnavailable},
		{202, visualization("Terminated")[:60], jobs.Accepted{}, jobs.KindUnavailable},
		{202, strings.ReplaceAll(visualization("Terminated"), jobID, "another"), jobs.Accepted{}, jobs.KindUnavailable},
		{202, `{"is_success":false}`, jobs.Accepted{}, jobs.KindUnavailable},
		{202, errorBody(`"ModelArts.2796"`, "no"), jobs.Accepted{}, jobs.KindNotAllowed},
	} {
		accepted, err := refusing(t, "stop", tt.status, tt.body).Stop(t.Context(), project, jobID)
		if accepted != tt.want || jobs.KindOf(err) != tt.kind {
			t.Errorf("%d %s: %+v, %v; want %+v, %v", tt.status, tt.body, accepted, err, tt.want, tt.kind)
		}
	}
}

func TestCallsOnTheWire(t *testing.T) {
	a := &answers{answer: func(string, *http.Request) (int, string) { return 200, visualization("Running") }}
	api := a.api(t, v2.Options{})
	if _, err := api.Stop(t.Context(), project, jobID); err != nil {
		t.Fatal(err)
	}
	path := "/v2/" + project + "/training-jobs/" + jobID
	if a.last.Method != "POST" || a.last.URL.Path != path+"/actions" || a.last.URL.RawQuery != "" || a.body != `{"action_type":"terminate"}` {
		t.Errorf("stop is %s %s %s", a.last.Method, a.last.URL, a.body)
	}
	if _, err := api.Get(t.Context(), project, jobID); err != nil {
		t.Fatal(err)
	}
	if a.last.Method != "GET" || a.last.URL.Path != path || a.body != "" {
		t.Errorf("detail is %s %s %s", a.last.Method, a.last.URL, a.body)
	}
}

// No request goes out with an id that could change the URL, and none to restart.
func TestNothingIsSent(t *testing.T) {
	a := &answers{answer: func(string, *http.Request) (int, string) { return 200, visualization("Running") }}
	api := a.api(t, v2.Options{})
	for _, id := range []string{"", "-1", "a b", "a/b", "..", "10?x=1", "10#", "10%2e", "10\n", "工作", "10/../11"} {
		_, stop := api.Stop(t.Context(), project, id)
		_, show := api.Get(t.Context(), project, id)
		_, list := api.List(t.Context(), id, jobs.Query{})
		for _, err := range []error{stop, show, list} {
			if apiErr := asError(t, err); apiErr.Kind != jobs.KindInvalid || apiErr.MaybeSent || apiErr.HTTPStatus != 0 {
				t.Errorf("id %q: %#v", id, apiErr)
			}
		}
	}
	_, err := api.Restart(t.Context(), project, jobID)
	if apiErr := asError(t, err); api.Restarts(project) || apiErr.Kind != jobs.KindInvalid || apiErr.MaybeSent || apiErr.Operation != jobs.OperationRestart {
		t.Errorf("restart: %#v", apiErr)
	}
	if len(a.calls) > 0 {
		t.Errorf("sent: %v", a.calls)
	}
}

// Answers go to logs, the ledger and tables: as single lines, and without our token.
func TestAnswersAreCleaned(t *testing.T) {
	const nasty = `\u001b[2Jevil\nline \u202e` + "\u009b" + ` `
	long := strings.Repeat("x", 1<<13)
	body := func(kind, token string) string {
		text := token + nasty + long
		return `{"request_id":"` + text + `","kind":"` + kind + `","metadata":{"id":"` + jobID + `","name":"` + text + `","description":"` + text + `"},
			"status":{"phase":"` + text + `"},"endpoints":{"tensorboard":{"url":"` + text + `"}}}`
	}
	kind := "visualization_job"
	a := &answers{answer: func(operation string, req *http.Request) (int, string) {
		job := body(kind, req.Header.Get("X-Auth-Token"))
		if operation == "list" {
			return 200, `{"total":1,"items":[` + job + `],` + job[1:]
		}
		return 200, job
	}}
	api := a.api(t, v2.Options{}, modelarts.WithCredentials(modelarts.NewToken(testToken)))
	accepted, stopErr := api.Stop(t.Context(), project, jobID)
	job, showErr := api.Get(t.Context(), project, jobID)
	page, listErr := api.List(t.Context(), project, jobs.Query{})
	if stopErr != nil || showErr != nil || listErr != nil {
		t.Fatal(stopErr, showErr, listErr)
	}
	texts := []string{accepted.RequestID}
	for _, j := range []jobs.Job{*job, page.Jobs[0]} {
		texts = append(texts, j.Name, j.Description, j.Status.Code, j.ServiceURL, j.RequestID)
	}
	for _, text := range texts {
		if !plain.Fits(text) || len(text) > 600 || !strings.Contains(text, "evil line") || strings.Contains(text, testToken) {
			t.Errorf("%.200q came through", text)
		}
	}
	// What is refused is named without it, too.
	kind = testToken + nasty + long
	_, err := a.api(t, v2.Options{}, modelarts.WithCredentials(modelarts.NewToken(testToken))).Stop(t.Context(), project, jobID)
	if text := err.Error(); strings.Contains(text, testToken) || !plain.Fits(text) || len(text) > 600 || !strings.Contains(text, "[hidden]") {
		t.Errorf("got %q", text)
	}
	other := &answers{answer: func(_ string, req *http.Request) (int, string) {
		return 200, strings.ReplaceAll(visualization("Running"), jobID, req.Header.Get("X-Auth-Token"))
	}}
	_, err = other.api(t, v2.Options{}, modelarts.WithCredentials(modelarts.NewToken(testToken))).Get(t.Context(), project, jobID)
	if err == nil || !strings.Contains(err.Error(), `about job "[hidden]"`) {
		t.Errorf("got %v", err)
	}
}

// A whole life at the simulator.
func TestALife(t *testing.T) {
	sim, api := simulate(t, modelartstest.Config{}, v2.Options{})
	added := sim.AddJob(project, modelartstest.Job{Generation: modelartstest.V2, Name: "board", AutoStop: 2 * time.Hour, StopTime: time.Hour})
	job, err := api.Get(t.Context(), project, added.ID)
	if err != nil || job.Name != "board" || !job.Status.Running() || job.AutoStop != 2*time.Hour || job.ServiceURL == "" || job.RequestID == "" ||
		!job.CreateTime.Equal(added.CreateTime.Truncate(time.Millisecond)) {
		t.Fatalf("got %+v, %v", job, err)
	}
	if accepted, err := api.Stop(t.Context(), project, added.ID); err != nil || accepted.Ended || accepted.RequestID == "" {
		t.Errorf("got %+v, %v", accepted, err)
	}
	if job, err := api.Get(t.Context(), project, added.ID); err != nil || job.Status.State != jobs.Stopping {
		t.Errorf("got %+v, %v", job, err)
	}
	if _, err := api.Get(t.Context(), project, modelartstest.NumberedTraining(99)); jobs.KindOf(err) != jobs.KindNotFound {
		t.Errorf("got %v", err)
	}
}

// A job that ends at once is shown as ended by the answer to the stop call.
func TestAStopThatTakesNoTime(t *testing.T) {
	sim, api := simulate(t, modelartstest.Config{Phases: modelartstest.Phases{Stop: modelartstest.Fixed(0)}}, v2.Options{})
	id := sim.AddJob(project, modelartstest.Job{Generation: modelartstest.V2}).ID
	if accepted, err := api.Stop(t.Context(), project, id); err != nil || !accepted.Ended {
		t.Errorf("got %+v, %v", accepted, err)
	}
}

package modelartstest

import (
	"strings"
	"testing"
	"time"
)

func TestErrorField(t *testing.T) {
	const text = "This job can't be stop. job status: 10"
	for _, tt := range []struct{ field, msg, message string }{
		{"", "", text},
		{"error_message", "", text},
		{"error_msg", text, ""},
		{"both", text, text},
	} {
		r := start(t, Config{ErrorField: tt.field})
		r.AddJob("p1", Job{ID: "1", Status: 10})
		g := r.call("POST", jobsPath+"/1/stop", "")
		if g.text("error_msg") != tt.msg || g.text("error_message") != tt.message {
			t.Errorf("field %q: %s", tt.field, g.raw)
		}
	}
}

func TestBusinessFailureStatus(t *testing.T) {
	for _, status := range []int{200, 400, 403, 409} {
		r := start(t, Config{BusinessFailureStatus: status})
		r.AddJob("p1", Job{ID: "1", Status: 9})
		g := r.call("POST", jobsPath+"/1/stop", "")
		if g.expect(t, status, "ModelArts.0105"); g.body["is_success"] != false {
			t.Errorf("stop = %s", g.raw)
		}
	}
}

func TestOmitIsSuccess(t *testing.T) {
	for _, omit := range []bool{false, true} {
		r := start(t, Config{OmitIsSuccess: omit})
		r.AddJob("p1", Job{ID: "1"})
		for _, path := range []string{"/1", "/2"} {
			g := r.call("GET", jobsPath+path, "")
			if _, present := g.body["is_success"]; present == omit {
				t.Errorf("omit %t: detail = %s", omit, g.raw)
			}
		}
		if g := r.call("POST", jobsPath+"/1/stop", ""); g.body["is_success"] != true {
			t.Errorf("stop = %s", g.raw)
		}
	}
}

func TestExtras(t *testing.T) {
	for _, tt := range []struct {
		cfg                  Config
		remaining, schedules bool
		unit                 string
	}{
		{Config{}, false, false, ""},
		{Config{Extras: true}, true, true, `"timeUnit":"HOURS"`},
		{Config{Extras: true, ScheduleKey: "time_unit"}, true, true, `"time_unit":"HOURS"`},
	} {
		r := start(t, tt.cfg)
		r.AddJob("p1", Job{ID: "1", AutoStop: 2 * time.Hour})
		list, detail := r.call("GET", jobsPath, ""), r.call("GET", jobsPath+"/1", "")
		for _, g := range []got{list, detail} {
			if strings.Contains(g.raw, `"remaining_duration":null`) != tt.remaining {
				t.Errorf("extras %t: %s", tt.cfg.Extras, g.raw)
			}
		}
		if strings.Contains(list.raw, `"schedule":[{"duration":2,`) != tt.schedules || !strings.Contains(list.raw, tt.unit) {
			t.Errorf("extras %t: %s", tt.cfg.Extras, list.raw)
		}
		g := r.call("POST", jobsPath, creationBody(nil))
		if (g.text("service_url") != "") != tt.cfg.Extras {
			t.Errorf("create = %s", g.raw)
		}
	}
}

func TestGatewayPrefix(t *testing.T) {
	r := start(t, Config{GatewayPrefix: "APIG", ErrorField: "error_message"})
	g := r.call("GET", "/", "")
	g.expect(t, 404, "APIG.0101")
	if _, ok := g.body["is_success"]; ok || g.text("error_msg") == "" || g.text("error_message") != "" {
		t.Errorf("gateway body = %s", g.raw)
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	r := start(t, Config{})
	r.call("GET", jobsPath, "")
	r.clock.advance(time.Second)
	g := r.call("GET", "/", "")
	const id = "00000000000000000000000000000002"
	if got, want := g.header.Get("X-Request-Id"), id+"-1704164646000-simulator"; got != want {
		t.Errorf("X-Request-Id = %q, want %q", got, want)
	}
	if g.text("request_id") != id {
		t.Errorf("request_id = %q, want %q", g.text("request_id"), id)
	}
	if got := g.header.Get("Date"); got != "Tue, 02 Jan 2024 03:04:06 GMT" {
		t.Errorf("Date = %q", got)
	}
	if got := g.header.Get("Content-Type"); got != "application/json; charset=UTF-8" {
		t.Errorf("Content-Type = %q", got)
	}
}

package modelartstest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func creationBody(fields map[string]any) string {
	body := map[string]any{"job_name": "n", "train_url": "/bucket/dir/"}
	for k, v := range fields {
		body[k] = v
	}
	data, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func TestCreateValidation(t *testing.T) {
	hours := func(n any) map[string]any {
		return map[string]any{"type": "stop", "time_unit": "HOURS", "duration": n}
	}
	for _, tt := range []struct {
		name   string
		fields map[string]any
		text   string // "" means that it is accepted
	}{
		{"name of 20", map[string]any{"job_name": strings.Repeat("n", 20)}, ""},
		{"name of 21", map[string]any{"job_name": strings.Repeat("n", 21)}, "Illegal name: " + strings.Repeat("n", 21)},
		{"name empty", map[string]any{"job_name": ""}, "Illegal name: "},
		{"name with signs", map[string]any{"job_name": "%%123"}, "Illegal name: %%123"},
		{"name with blank", map[string]any{"job_name": "a b"}, "Illegal name: a b"},
		{"name with line end", map[string]any{"job_name": "ab\n"}, "Illegal name: ab\n"},
		{"name of all kinds", map[string]any{"job_name": "aZ09_-"}, ""},
		{"description of 256", map[string]any{"job_desc": strings.Repeat("测", 256)}, ""},
		{"description of 257", map[string]any{"job_desc": strings.Repeat("测", 257)}, "The length of job desc should be in [0,256]"},
		{"no train url", map[string]any{"train_url": ""}, "Illegal train url: "},
		{"train url without slash", map[string]any{"train_url": "bucket/dir/"}, "Illegal train url: bucket/dir/"},
		{"mindinsight", map[string]any{"job_type": "mindinsight"}, ""},
		{"other type", map[string]any{"job_type": "other"}, "Illegal job type: other"},
		{"flavor", map[string]any{"flavor": map[string]any{"code": "c"}}, ""},
		{"flavor without code", map[string]any{"flavor": map[string]any{}}, "The flavor code is required"},
		{"schedule", map[string]any{"schedule": []any{hours(24)}}, ""},
		{"schedule as object", map[string]any{"schedule": hours(0)}, ""},
		{"schedule too long", map[string]any{"schedule": []any{hours(25)}}, "Illegal schedule"},
		{"schedule without duration", map[string]any{"schedule": []any{map[string]any{"type": "stop", "time_unit": "HOURS"}}}, "Illegal schedule"},
		{"two schedules", map[string]any{"schedule": []any{hours(1), hours(2)}}, "Only one schedule is allowed"},
		{"wrong type", map[string]any{"job_name": 7}, "The request body is invalid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, Config{})
			g := r.call("POST", jobsPath, creationBody(tt.fields))
			if tt.text == "" {
				g.expect(t, 200, "")
				return
			}
			if g.expect(t, 400, "ModelArts.0104"); g.message() != tt.text {
				t.Errorf("message = %q, want %q", g.message(), tt.text)
			}
		})
	}
}

func TestCreateDuplicateName(t *testing.T) {
	r := start(t, Config{})
	r.call("POST", jobsPath, creationBody(nil)).expect(t, 200, "")
	g := r.call("POST", jobsPath, creationBody(nil))
	if g.expect(t, 400, "ModelArts.0103"); g.message() != "Job name:n is existed" {
		t.Errorf("message = %q", g.message())
	}
	r.call("POST", "/v1/p2/visualization-jobs", creationBody(nil)).expect(t, 200, "")
}

func TestCreateLimit(t *testing.T) {
	r := start(t, Config{MaxJobs: 1})
	r.AddJob("p1", Job{Name: "other"})
	r.call("POST", jobsPath, creationBody(nil)).expect(t, 400, "ModelArts.0106")
}

func TestCreateQuotesNumbers(t *testing.T) {
	r := start(t, Config{QuoteNumbers: true})
	g := r.call("POST", jobsPath, creationBody(nil))
	if g.text("job_id") != "1" || g.text("status") != "1" || g.text("create_time") != "1704164645000" {
		t.Errorf("create = %s", g.raw)
	}
}

func TestCreateStartsTheSchedule(t *testing.T) {
	r := start(t, Config{Phases: Phases{Create: Fixed(time.Minute)}})
	r.call("POST", jobsPath, creationBody(map[string]any{
		"schedule": []any{map[string]any{"type": "stop", "time_unit": "HOURS", "duration": 2}},
	})).expect(t, 200, "")
	r.clock.advance(time.Minute + 2*time.Hour - time.Second)
	r.wantStatus("1", 8)
	r.clock.advance(time.Second)
	r.wantStatus("1", 9)
}

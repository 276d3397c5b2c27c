package v2_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	v2 "vizstop/internal/modelarts/v2"
)

// kinds is the table of the documents, by the number of the code.
var kinds = map[string]jobs.Kind{
	"2775": jobs.KindNotFound,
	"2786": jobs.KindPermission,
	"2836": jobs.KindNoAPI,
	"2796": jobs.KindNotAllowed,
	"2878": jobs.KindNotAllowed,
	"2813": jobs.KindNotAllowed,
	"2799": jobs.KindThrottled,
	"2837": jobs.KindCredentials,
	"2838": jobs.KindPermission,
	"2784": jobs.KindCredentials,
	"2785": jobs.KindPermission,
	"2807": jobs.KindInvalid,
	"2808": jobs.KindInvalid,
	"2809": jobs.KindInvalid,
	"0101": jobs.KindInvalid,
	"2787": jobs.KindInvalid,
	"2788": jobs.KindInvalid,
	"2812": jobs.KindInvalid,
	"0010": jobs.KindUnavailable,
}

// errorBody is an error in the shape of v2, whose code is a text or a number.
func errorBody(code any, message string) string {
	return fmt.Sprintf(`{"error_code":%s,"error_msg":%q}`, code, message)
}

// every is each method that calls the API, with a job that the guard lets pass.
var every = map[string]func(t *testing.T, api *v2.API) error{
	"detail": func(t *testing.T, api *v2.API) error {
		_, err := api.Get(t.Context(), project, jobID)
		return err
	},
	"stop": func(t *testing.T, api *v2.API) error {
		_, err := api.Stop(t.Context(), project, jobID)
		return err
	},
	"list": func(t *testing.T, api *v2.API) error {
		_, err := api.List(t.Context(), project, jobs.Query{})
		return err
	},
}

// refusing is an API that gives one operation an answer; looks go well otherwise.
func refusing(t *testing.T, operation string, status int, body string) *v2.API {
	t.Helper()
	a := answers{answer: func(op string, _ *http.Request) (int, string) {
		if op == operation {
			return status, body
		}
		return 200, visualization("Running")
	}}
	return a.api(t, v2.Options{})
}

// The code decides, whatever the HTTP status says, and however the code is written.
func TestErrorTable(t *testing.T) {
	rows := modelartstest.V2Errors()
	if len(rows) != len(kinds) {
		t.Errorf("%d rows, want %d", len(rows), len(kinds))
	}
	for _, row := range rows {
		number := strings.TrimPrefix(row.Code, "ModelArts.")
		want, ok := kinds[number]
		if !ok {
			t.Errorf("nobody says what %s means", row.Code)
		}
		codes := []string{`"` + row.Code + `"`, `"` + strings.ToUpper(row.Code) + `"`, `"` + number + `"`}
		if number[0] != '0' {
			codes = append(codes, number)
		}
		for operation, call := range every {
			for _, status := range []int{row.HTTPStatus, 200, 400, 404, 409, 500} {
				for _, code := range codes {
					err := call(t, refusing(t, operation, status, errorBody(code, row.Message)))
					apiErr := asError(t, err)
					sent := want == jobs.KindUnavailable
					if apiErr.Kind != want || apiErr.HTTPStatus != status || !strings.Contains(apiErr.Code, number) || apiErr.MaybeSent != sent ||
						apiErr.Operation != operation || apiErr.JobStatus != (jobs.Status{}) || !strings.Contains(err.Error(), row.Message) {
						t.Errorf("%s with %d %s: kind %v, %+v; want %v", operation, status, code, apiErr.Kind, apiErr, want)
					}
				}
			}
		}
	}
}

// So does a simulator of the documents.
func TestErrorTableOfTheSimulator(t *testing.T) {
	sim, api := simulate(t, modelartstest.Config{}, v2.Options{})
	sim.AddJob(project, modelartstest.Job{ID: jobID, Generation: modelartstest.V2})
	for _, row := range modelartstest.V2Errors() {
		sim.Inject(modelartstest.Fault{Generation: modelartstest.V2, Reply: modelartstest.ReplyV2Error(row.Code)})
		for operation, call := range every {
			apiErr := asError(t, call(t, api))
			if want := kinds[strings.TrimPrefix(row.Code, "ModelArts.")]; apiErr.Kind != want || apiErr.Code != row.Code || apiErr.HTTPStatus != row.HTTPStatus {
				t.Errorf("%s with %s: %v, kind %v; want %v", operation, row.Code, apiErr, apiErr.Kind, want)
			}
		}
		sim.ClearFaults()
	}
}

// A refusal with a code of the gateway, or with none that the v2 API documents, means
// what it means in v1.
func TestOtherCodes(t *testing.T) {
	for _, tt := range []struct {
		status int
		code   string
		want   jobs.Kind
	}{
		{404, `"APIG.0101"`, jobs.KindNoAPI},
		{401, `"APIGW.0301"`, jobs.KindCredentials},
		{429, `"APIGW.0308"`, jobs.KindThrottled},
		{404, `"ModelArts.0015"`, jobs.KindNotFound},
		{409, `"ModelArts.9999"`, jobs.KindNotAllowed},
		{500, `"ModelArts.9999"`, jobs.KindUnavailable},
		{404, `"9999"`, jobs.KindNoAPI},
	} {
		for operation, call := range every {
			if err := call(t, refusing(t, operation, tt.status, errorBody(tt.code, "no"))); jobs.KindOf(err) != tt.want {
				t.Errorf("%s with %d %s: %v, kind %v; want %v", operation, tt.status, tt.code, err, jobs.KindOf(err), tt.want)
			}
		}
	}
	if err := every["stop"](t, refusing(t, "stop", 404, errorBody(`"ModelArts.2836"`, "no"))); !strings.Contains(err.Error(), "does not offer the v2 training-jobs API") {
		t.Errorf("got %v", err)
	}
}

// What comes from somebody else on the way never says something about a job.
func TestForeignAnswers(t *testing.T) {
	bodies := []string{
		"", " ", "404 page not found", "<html><body>404</body></html>", "null", "[]", `"x"`, "12",
		`{"message":"no Route matched with those values"}`,
		`{"code":404,"message":"not found"}`,
		`{"code":"NOT_FOUND","message":"The job does not exist"}`,
		`{"error":{"code":"2775x","message":"x"}}`,
		`{"error_code":"IAM.2775","error_msg":"x"}`,
		`{"error_code":"Other.2796","error_msg":"job status: 12"}`,
		`{"timestamp":1,"status":409,"error":"Conflict"}`,
	}
	about := []jobs.Kind{jobs.KindNotFound, jobs.KindNotAllowed, jobs.KindInvalid}
	for operation, call := range every {
		for _, status := range []int{200, 202, 204, 302, 400, 401, 403, 404, 405, 409, 410, 418, 422, 429, 500, 502, 503} {
			for _, body := range bodies {
				err := call(t, refusing(t, operation, status, body))
				empty := operation == "stop" && (strings.TrimSpace(body) == "" || strings.HasPrefix(body, "{"))
				if status/100 == 2 && empty {
					continue // see TestStopAnswers
				}
				if kind := jobs.KindOf(err); kind == jobs.KindOK || slices.Contains(about, kind) {
					t.Errorf("%s with %d %q: kind %v, %v", operation, status, body, kind, err)
				}
			}
		}
	}
}

type fixedAnswer struct {
	status int
	body   string
}

func (f fixedAnswer) RoundTrip(req *http.Request) (*http.Response, error) {
	body := io.NopCloser(strings.NewReader(f.body))
	return &http.Response{StatusCode: f.status, Header: http.Header{}, Body: body, Request: req}, nil
}

// The codes of the service come with their prefix or bare (modelarts-v2.md, part 2).
func TestBareCodes(t *testing.T) {
	for _, tt := range []struct {
		status int
		code   string
	}{
		{409, "0105"}, {400, "0104"}, {400, "0107"}, {400, "0114"}, {400, "0010"}, {404, "2775"}, {400, "0202"}, {400, "0112"},
		{200, "0114"},
	} {
		kinds := map[jobs.Kind][]string{}
		for _, prefix := range []string{"ModelArts.", ""} {
			body := `{"error_code":"` + prefix + tt.code + `","error_msg":"x job"}`
			api := newAPI(t, v2.Options{}, modelarts.WithHTTPClient(&http.Client{Transport: fixedAnswer{tt.status, body}}))
			_, err := api.Get(t.Context(), project, jobID)
			kinds[jobs.KindOf(err)] = append(kinds[jobs.KindOf(err)], prefix+tt.code)
		}
		if len(kinds) != 1 {
			t.Errorf("%d %s: %v", tt.status, tt.code, kinds)
		}
	}
}

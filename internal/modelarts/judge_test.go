package modelarts

import (
	"errors"
	"net/http"
	"testing"
	"time"
	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/samples"
)

func TestJudgeSamples(t *testing.T) {
	tests := []struct {
		name    string
		status  int
		body    string
		kind    jobs.Kind
		code    string
		message string
	}{
		{name: "detail", status: 200, body: samples.Detail},
		{name: "detail without is_success", status: 200, body: samples.DetailBare},
		{name: "create", status: 200, body: samples.Create},
		{name: "list", status: 200, body: samples.List},
		{name: "stop", status: 202, body: samples.Stop},
		{name: "stop refused, old field", status: 200, body: samples.StopOld, kind: jobs.KindNotAllowed, code: "ModelArts.0105",
			message: "This job can't be stop. job status: 10"},
		{name: "stop refused, new field", status: 400, body: samples.StopNew, kind: jobs.KindNotAllowed, code: "ModelArts.0105",
			message: "This job can't be stop. job status: 10"},
		{name: "restart refused", status: 403, body: samples.Restart, kind: jobs.KindNotAllowed, code: "ModelArts.0105",
			message: "This job can't be resubmit. job status: 8"},
		{name: "delete refused", status: 409, body: samples.Delete, kind: jobs.KindNotAllowed, code: "ModelArts.0105",
			message: "This job can't be delete. job status: 9"},
		{name: "search", status: 200, body: samples.Search, kind: jobs.KindInvalid, code: "ModelArts.0104",
			message: "The length of search content should be in [0,100]"},
		{name: "search without is_success", status: 200, body: samples.SearchBare, kind: jobs.KindInvalid, code: "ModelArts.0104",
			message: "The length of search content should be in [0,100]"},
		{name: "name", status: 400, body: samples.Name, kind: jobs.KindInvalid, code: "ModelArts.0104", message: "Illegal name: %%123"},
		{name: "filler", status: 200, body: samples.Filler, kind: jobs.KindInvalid, code: "ModelArts.0103", message: "error message"},
		{name: "gateway", status: 401, body: samples.Gateway, kind: jobs.KindCredentials, code: "APIGW.0301",
			message: "Incorrect IAM authentication information: decrypt token fail"},
		{name: "echo", status: 401, body: samples.Echo, kind: jobs.KindCredentials, code: "APIG.0301",
			message: "Incorrect IAM authentication information: verify aksk signature fail,"},
		{name: "throttled", status: 429, body: samples.Throttled, kind: jobs.KindThrottled, code: "APIG.0308",
			message: "The throttling threshold has been reached: policy user over ratelimit,limit:5,time:1 minute"},
		{name: "no API", status: 404, body: samples.NoAPI, kind: jobs.KindNoAPI, code: "APIGW.0101",
			message: "The API does not exist or has not been published in the environment"},
		{name: "IAM's shape", status: 401, body: samples.IAM, kind: jobs.KindCredentials, code: "401",
			message: "The username or password is wrong."},
		{name: "page", status: 502, body: samples.Page502, kind: jobs.KindUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			apiErr := judgeBody(jobs.OperationStop, tt.status, tt.body)
			if apiErr == nil {
				if tt.kind != jobs.KindOK {
					t.Fatalf("taken for a success, want %v", tt.kind)
				}
				return
			}
			if apiErr.Kind != tt.kind || apiErr.Code != tt.code || apiErr.Message != tt.message || apiErr.HTTPStatus != tt.status {
				t.Errorf("got %v %q %q %d", apiErr.Kind, apiErr.Code, apiErr.Message, apiErr.HTTPStatus)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                     0,
		"0":                    0,
		"7":                    7 * time.Second,
		" 7 ":                  7 * time.Second,
		"1.5":                  1500 * time.Millisecond,
		"-7":                   0,
		"600":                  10 * time.Minute,
		"601":                  10 * time.Minute,
		"99999999999999999999": 10 * time.Minute,
		"1e999":                10 * time.Minute,
		"NaN":                  0,
		"soon":                 0,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		now.Add(time.Hour).Format(http.TimeFormat):        10 * time.Minute,
		now.Add(-time.Hour).Format(http.TimeFormat):       0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("Retry-After %q = %v, want %v", text, got, want)
		}
	}
}

// A date in Retry-After is the server's, so a wrong clock here does not matter.
func TestRetryAfterDateUnderSkew(t *testing.T) {
	c := newClock()
	server := c.Now().Add(3 * time.Hour)
	a := &Answer{Status: 429, Header: http.Header{
		"Date":        {server.Format(http.TimeFormat)},
		"Retry-After": {server.Add(30 * time.Second).Format(http.TimeFormat)},
	}}
	apiErr := judge(&Call{Operation: jobs.OperationList}, a, nil, c.Now())
	if apiErr.ClockSkew != 3*time.Hour || apiErr.RetryAfter != 30*time.Second {
		t.Errorf("skew %v, retry after %v", apiErr.ClockSkew, apiErr.RetryAfter)
	}
}

func TestJudgeUnreadable(t *testing.T) {
	broken := errors.New("makes no sense")
	cl := &Call{Operation: jobs.OperationDetail, Accept: func(*Answer) error { return broken }}
	apiErr := judge(cl, &Answer{Status: 200, Body: []byte("<html>")}, nil, time.Time{})
	if apiErr.Kind != jobs.KindUnavailable || !apiErr.MaybeSent || !errors.Is(apiErr, broken) {
		t.Errorf("got %+v", apiErr)
	}
}

func TestJudgeRequestID(t *testing.T) {
	header := http.Header{"X-Request-Id": {"from-header"}}
	for body, want := range map[string]string{
		`{"error_code":"x","request_id":"from-body"}`: "from-body",
		`{"error_code":"x","request_id":null}`:        "from-header",
		`{"error_code":"x"}`:                          "from-header",
		"<html>":                                      "from-header",
		`{"error":{"code":"x","message":"m","request_id":"nested"}}`: "nested",
	} {
		a := &Answer{Status: 500, Header: header, Body: []byte(body)}
		if got := judge(&Call{}, a, nil, time.Time{}).RequestID; got != want {
			t.Errorf("request id of %s = %q, want %q", body, got, want)
		}
	}
}

func TestLimitInARefusal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"The throttling threshold has been reached: policy ip over ratelimit,limit:5,time:1 minute": 5.0 / 60,
		"policy user over ratelimit,limit:100,time:1 second":                                        100,
		"Limit: 7200, time: 2 HOURS":                                                                1,
		"The throttling threshold has been reached":                                                 0,
		"limit:60,time:1 hour":                                                                      1.0 / 60,
		"limit:1,time:1 day":                                                                        0, // not believed
		"limit:5,time:0 minute":                                                                     0,
		"limit:99999999999999999999999999,time:1 minute":                                            0,
		"limit:five,time:1 minute; time:1 minute, limit:5":                                          0,
	} {
		if got := limitIn(text); got != want {
			t.Errorf("limitIn(%q) = %v, want %v", text, got, want)
		}
	}
}

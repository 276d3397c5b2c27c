package modelarts

import (
	"strings"
	"testing"
	"time"
	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/samples"
)

func TestHint(t *testing.T) {
	v1 := &Generation{Name: "v1 visualization-jobs API"}
	for want, err := range map[string]*jobs.Error{
		"this region or endpoint does not offer the v1 visualization-jobs API":            {Operation: jobs.OperationStop, Kind: jobs.KindNoAPI},
		"this endpoint does not offer the IAM token API":                                  {Operation: jobs.OperationToken, Kind: jobs.KindNoAPI},
		"IAM gives no token for this project: check its id, and that the user may use it": {Operation: jobs.OperationToken, Kind: jobs.KindPermission},
		"too many refused calls have locked the key, right or wrong: make no other call for five minutes, " +
			"and renew it only if it is refused for another reason then": {Operation: jobs.OperationStop,
			Kind: jobs.KindCredentials, Message: "Incorrect IAM authentication information: AK access failed to reach the limit,forbidden."},
		"this machine's clock differs from the server's by 16m0s (behind): set the clock": {Operation: jobs.OperationStop, ClockSkew: 16 * time.Minute, Kind: jobs.KindCredentials},
		"this machine's clock differs from the server's by 1h0m0s (ahead): set the clock": {Operation: jobs.OperationStop, ClockSkew: -time.Hour, Kind: jobs.KindCredentials},
	} {
		if got := hint(err, v1); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, err := range []*jobs.Error{
		{Operation: jobs.OperationStop, ClockSkew: time.Minute, Kind: jobs.KindCredentials},
		{Operation: jobs.OperationToken, ClockSkew: time.Hour, Kind: jobs.KindCredentials},
		{Operation: jobs.OperationStop, ClockSkew: time.Hour, Kind: jobs.KindPermission},
	} {
		if got := hint(err, v1); got != "" {
			t.Errorf("%+v has the hint %q", err, got)
		}
	}
}

// The vendor's samples, with the server's clock in the Date header.
func TestClockHintFromAnswer(t *testing.T) {
	server := samples.Answering(t, 401, samples.Expired, "Date", "Fri, 17 Dec 2021 06:58:04 GMT")
	now := time.Date(2021, 12, 17, 6, 43, 3, 0, time.UTC)
	c := newClient(t, server.URL, WithClock(func() time.Time { return now }))
	_, err := stopJob(c, t.Context(), testProject, "10")
	apiErr := asError(t, err)
	if apiErr.ClockSkew != 15*time.Minute+time.Second || apiErr.Kind != jobs.KindCredentials {
		t.Errorf("skew %v, kind %v", apiErr.ClockSkew, apiErr.Kind)
	}
	if want := "this machine's clock differs from the server's by 15m1s (behind): set the clock"; !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
}

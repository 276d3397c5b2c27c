package modelarts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

func TestAPIErrorText(t *testing.T) {
	tests := []struct {
		err  *APIError
		want string
	}{
		{&APIError{Operation: OperationStop, HTTPStatus: 400, Code: "ModelArts.0105",
			Message: "This job can't be stop. job status: 10", RequestID: "r1", Kind: KindNotAllowed},
			"modelarts stop: http 400 ModelArts.0105: This job can't be stop. job status: 10, request id r1"},
		{&APIError{Operation: OperationDetail, HTTPStatus: 502, Kind: KindUnavailable},
			"modelarts detail: http 502"},
		{&APIError{Operation: OperationStop, Kind: KindTimeout, MaybeSent: true, Err: io.ErrUnexpectedEOF},
			"modelarts stop: timeout: unexpected EOF"},
		{&APIError{Operation: OperationList, HTTPStatus: 200, Kind: KindUnavailable, Err: errNotJSON},
			"modelarts list: http 200: the answer is not a JSON object"},
		{&APIError{Operation: OperationStop, HTTPStatus: 404, Code: "APIGW.0101", Message: "no", Kind: KindNoAPI},
			"modelarts stop: http 404 APIGW.0101: no (this region or endpoint does not offer the v1 visualization-jobs API)"},
		{&APIError{Operation: OperationToken, HTTPStatus: 302, Kind: KindNoAPI},
			"modelarts token: http 302 (this endpoint does not offer the IAM token API)"},
		{&APIError{Operation: OperationStop, HTTPStatus: 401, Code: "APIG.0301", Message: "signature expired", ClockSkew: 16 * time.Minute, Kind: KindCredentials},
			"modelarts stop: http 401 APIG.0301: signature expired (this machine's clock differs from the server's by 16m0s (behind): set the clock)"},
		{&APIError{Operation: OperationStop, HTTPStatus: 401, Code: "ModelArts.0207", ClockSkew: -time.Hour, Kind: KindCredentials},
			"modelarts stop: http 401 ModelArts.0207 (this machine's clock differs from the server's by 1h0m0s (ahead): set the clock)"},
		{&APIError{Operation: OperationStop, HTTPStatus: 401, Message: "signature expired", ClockSkew: time.Minute, Kind: KindCredentials},
			"modelarts stop: http 401: signature expired"},
		{&APIError{Operation: OperationStop, HTTPStatus: 401, Message: "wrong", ClockSkew: time.Hour, Kind: KindCredentials},
			"modelarts stop: http 401: wrong (this machine's clock differs from the server's by 1h0m0s (behind): set the clock)"},
		{&APIError{Operation: OperationStop, HTTPStatus: 403, Message: "no", ClockSkew: time.Hour, Kind: KindPermission},
			"modelarts stop: http 403: no"},
		{&APIError{Operation: OperationStop, HTTPStatus: 500, Code: "a\nb", Message: "c\r\nd", RequestID: "e\x1b[31m", Err: errors.New("f\ng")},
			"modelarts stop: http 500 a b: c d: f g, request id e [31m"},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}

func TestAPIErrorUnwrap(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := fmt.Errorf("stopping: %w", interrupted(ctx, OperationStop, true))
	if !errors.Is(err, context.Canceled) || KindOf(err) != KindCanceled {
		t.Errorf("%v does not unwrap to context.Canceled", err)
	}
}

// The vendor's samples, with the server's clock in the Date header.
func TestClockHintFromAnswer(t *testing.T) {
	server := answering(t, 401, sampleExpired, "Date", "Fri, 17 Dec 2021 06:58:04 GMT")
	now := time.Date(2021, 12, 17, 6, 43, 3, 0, time.UTC)
	c := newClient(t, server.URL, WithClock(func() time.Time { return now }))
	_, err := c.StopVisualizationJob(t.Context(), testProject, "10")
	apiErr := asAPIError(t, err)
	if apiErr.ClockSkew != 15*time.Minute+time.Second || apiErr.Kind != KindCredentials {
		t.Errorf("skew %v, kind %v", apiErr.ClockSkew, apiErr.Kind)
	}
	if want := "this machine's clock differs from the server's by 15m1s (behind): set the clock"; !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
}

package modelarts

import (
	"errors"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"vizstop/internal/jobs"
)

// maxRetryAfter bounds what one answer can make us wait.
const maxRetryAfter = 10 * time.Minute

// judge decides whether an answer is a success: 2xx, is_success not false, no
// error_code, and readable for the call. readErr is why the body is cut off.
// Anything else is an error.
func judge(cl *Call, a *Answer, readErr error, now time.Time) *jobs.Error {
	a.problem = readProblem(a.Body)
	if a.Status/100 != 2 || a.problem.failed {
		return errorFrom(cl, a, readErr, now)
	}
	if readErr == nil {
		readErr = cl.accept(a)
	}
	if readErr == nil {
		return nil
	}
	apiErr := errorFrom(cl, a, readErr, now)
	apiErr.Kind, apiErr.MaybeSent = jobs.KindUnavailable, cl.Operation != jobs.OperationToken
	return apiErr
}

// errorFrom is the error that an answer tells of.
func errorFrom(cl *Call, a *Answer, cause error, now time.Time) *jobs.Error {
	p := &a.problem
	if cause == nil && !p.object && len(a.Body) > 0 {
		cause = ErrNotJSON
	}
	apiErr := &jobs.Error{
		Operation:  cl.Operation,
		HTTPStatus: a.Status,
		Code:       clean(hideParts(p.code, a.secrets), maxToken),
		Message:    clean(hideParts(p.message, a.secrets), maxMessage),
		RequestID:  a.RequestID(),
		Kind:       kindOf(cl, a),
		ClockSkew:  clockSkew(a.Header, now),
		Err:        withoutSecrets(cause, a.secrets),
	}
	apiErr.RetryAfter = retryAfter(a.Header, now.Add(apiErr.ClockSkew))
	apiErr.MaybeSent = apiErr.Kind == jobs.KindUnavailable && cl.Operation != jobs.OperationToken
	if apiErr.Kind == jobs.KindThrottled && cl.Operation != jobs.OperationToken { // IAM has a limit of its own
		apiErr.Limit = limitIn(p.message)
	}
	if apiErr.Kind == jobs.KindNotAllowed {
		apiErr.JobStatus = cl.generation().statusIn(p.message)
	}
	apiErr.Hint = hint(apiErr, cl.generation())
	return apiErr
}

// limitText finds the limit in the text of the gateway's refusal, such as "The
// throttling threshold has been reached: policy ip over ratelimit,limit:5,time:1
// minute".
var limitText = regexp.MustCompile(`(?i)limit:\s*(\d{1,9})\s*,\s*time:\s*(\d{1,6})\s*(second|minute|hour|day)`)

// leastLimit is the lowest limit that is believed, in calls a second: with less, a project would stand still for hours,
// and nobody could tell when the API allows more.
const leastLimit = 1.0 / 60

// limitIn is the limit that a text names, in calls a second; 0 for none, and for one that is not believed: the rate is
// cut as after any 429.
func limitIn(message string) float64 {
	m := limitText.FindStringSubmatch(message)
	if m == nil {
		return 0
	}
	calls, _ := strconv.ParseFloat(m[1], 64)
	times, _ := strconv.ParseFloat(m[2], 64)
	seconds := map[string]float64{"second": 1, "minute": 60, "hour": 3600, "day": 86400}[strings.ToLower(m[3])]
	if times == 0 {
		return 0
	}
	if rate := calls / (times * seconds); rate >= leastLimit {
		return rate
	}
	return 0
}

// clockSkew is the server's clock minus ours.
func clockSkew(h http.Header, now time.Time) time.Duration {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return date.Sub(now).Round(time.Second)
}

// retryAfter reads seconds or an HTTP date, which is counted from the server's
// own clock.
func retryAfter(h http.Header, serverNow time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	wait := time.Duration(0)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		if math.IsNaN(seconds) {
			return 0
		}
		wait = time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	} else if date, err := http.ParseTime(text); err == nil {
		wait = date.Sub(serverNow)
	}
	return min(max(wait, 0), maxRetryAfter)
}

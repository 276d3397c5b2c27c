package modelarts

import (
	"errors"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what one answer can make us wait.
const maxRetryAfter = 10 * time.Minute

var errNotJSON = errors.New("the answer is not a JSON object")

// jobStatus finds the status in the text of ModelArts.0105, such as "This job
// can't be stop. job status: 10".
var jobStatus = regexp.MustCompile(`(?i)job status:\s*(\d+)`)

// judge decides whether an answer is a success: 2xx, is_success not false, no
// error_code, and readable for the call. readErr is why the body is cut off.
// Anything else is an error.
func judge(cl *call, a *answer, readErr error, now time.Time) *APIError {
	a.problem = readProblem(a.body)
	if a.status/100 != 2 || a.problem.failed {
		return errorFrom(cl, a, readErr, now)
	}
	if readErr == nil {
		readErr = cl.accept(a)
	}
	if readErr == nil {
		return nil
	}
	apiErr := errorFrom(cl, a, readErr, now)
	apiErr.Kind, apiErr.MaybeSent = KindUnavailable, cl.operation != OperationToken
	return apiErr
}

// errorFrom is the error that an answer tells of.
func errorFrom(cl *call, a *answer, cause error, now time.Time) *APIError {
	p := &a.problem
	if cause == nil && !p.object && len(a.body) > 0 {
		cause = errNotJSON
	}
	apiErr := &APIError{
		Operation:  cl.operation,
		HTTPStatus: a.status,
		Code:       clean(hide(p.code, a.secrets), maxToken),
		Message:    clean(hide(p.message, a.secrets), maxMessage),
		RequestID:  a.requestID(),
		Kind:       kindOf(cl.operation, a),
		ClockSkew:  clockSkew(a.header, now),
		Err:        withoutSecrets(cause, a.secrets),
	}
	apiErr.RetryAfter = retryAfter(a.header, now.Add(apiErr.ClockSkew))
	apiErr.MaybeSent = apiErr.Kind == KindUnavailable && cl.operation != OperationToken
	if apiErr.Kind == KindThrottled {
		apiErr.Limit = limitIn(p.message)
	}
	if apiErr.Kind == KindNotAllowed {
		apiErr.JobStatus, apiErr.HasJobStatus = statusIn(p.message)
	}
	return apiErr
}

// limitText finds the limit in the text of the gateway's refusal, such as "The
// throttling threshold has been reached: policy ip over ratelimit,limit:5,time:1
// minute".
var limitText = regexp.MustCompile(`(?i)limit:\s*(\d{1,9})\s*,\s*time:\s*(\d{1,6})\s*(second|minute|hour|day)`)

// limitIn is the limit that a text names, in calls a second; 0 for none.
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
	return calls / (times * seconds)
}

func statusIn(message string) (Status, bool) {
	m := jobStatus.FindStringSubmatch(message)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(m[1], 10, 32)
	return Status(n), err == nil
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

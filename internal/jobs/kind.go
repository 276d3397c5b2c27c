package jobs

import (
	"context"
	"errors"
	"strconv"
)

// Kind says what sort of trouble an error is. It is a closed set, fit for a
// metric label. The zero value is KindOK.
type Kind int

// The kinds of an error. "The job's" says something about one job or one
// request, "the system's" about everything that is sent now.
const (
	KindOK           Kind = iota // no error
	KindNotFound                 // the job's: it does not exist
	KindNotAllowed               // the job's: not in its present status; see JobStatus
	KindInvalid                  // the job's: the API, or we ourselves, find the request malformed
	KindCredentials              // the system's: who we are was not accepted
	KindPermission               // the system's: we may not do this, or not in this project
	KindThrottled                // the system's: too many requests; see RetryAfter
	KindNoAPI                    // the system's: the endpoint does not serve this API
	KindUnavailable              // the API's: an internal error or an answer that makes no sense
	KindUnreachable              // the system's: no connection was made, nothing was sent
	KindTimeout                  // the API's: no answer in time; see MaybeSent
	KindDisconnected             // the API's: the connection broke before the whole answer was read; see MaybeSent
	KindCanceled                 // we gave up ourselves: the context was canceled
)

var kindNames = [...]string{
	KindOK:           "ok",
	KindNotFound:     "not_found",
	KindNotAllowed:   "not_allowed",
	KindInvalid:      "invalid",
	KindCredentials:  "credentials",
	KindPermission:   "permission",
	KindThrottled:    "throttled",
	KindNoAPI:        "no_api",
	KindUnavailable:  "unavailable",
	KindUnreachable:  "unreachable",
	KindTimeout:      "timeout",
	KindDisconnected: "disconnected",
	KindCanceled:     "canceled",
}

// String is the kind's name as a metric label, such as "not_found".
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return "kind_" + strconv.Itoa(int(k))
	}
	return kindNames[k]
}

// Kinds lists every kind, KindOK first.
func Kinds() []Kind {
	kinds := make([]Kind, len(kindNames))
	for i := range kinds {
		kinds[i] = Kind(i)
	}
	return kinds
}

// KindOf is the kind of the first *Error in err's tree, KindOK for nil. An
// error without one is KindCanceled or KindTimeout if it is a context's, else
// KindUnavailable, which says nothing about a job.
func KindOf(err error) Kind {
	if err == nil {
		return KindOK
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	switch {
	case errors.Is(err, context.Canceled):
		return KindCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return KindTimeout
	}
	return KindUnavailable
}

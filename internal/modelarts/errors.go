package modelarts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The operations, as they stand in APIError and Observation.
const (
	OperationList    = "list"
	OperationDetail  = "detail"
	OperationStop    = "stop"
	OperationRestart = "restart"
	OperationToken   = "token" // IAM login, made on behalf of another operation
)

// Operations lists every operation, for whoever needs the closed set.
func Operations() []string {
	return []string{OperationList, OperationDetail, OperationStop, OperationRestart, OperationToken}
}

// APIError is the one type of error that calls return. Its texts come from the
// answer without control characters, shortened, and without our secrets, so it
// can be logged as it is.
type APIError struct {
	// Operation is what went wrong, one of Operations. It is OperationToken
	// when the login failed that a call needed; the call itself was not sent.
	Operation string
	// HTTPStatus is 0 if there was no answer.
	HTTPStatus int
	// Code is the API's own code, such as "ModelArts.0105" or "APIGW.0301";
	// often empty.
	Code string
	// Message is the API's text, at most about 200 characters.
	Message string
	// RequestID is what the vendor's support asks for; may be empty.
	RequestID string
	// Kind is never KindOK.
	Kind Kind
	// JobStatus is the status that a refusal names (ModelArts.0105), valid if
	// HasJobStatus. It was true when the API refused, which may be a while ago.
	JobStatus    Status
	HasJobStatus bool
	// RetryAfter is how long the API asks us to wait, at most 10 minutes; 0 if
	// it did not ask.
	RetryAfter time.Duration
	// Limit is the rate that a refusal names (code 0308: "limit:100,time:1 minute"),
	// in calls a second; 0 if it names none.
	Limit float64
	// ClockSkew is the answer's Date minus our clock, so positive if we are
	// behind; to the second, and 0 if unknown.
	ClockSkew time.Duration
	// MaybeSent is true if the request may have taken effect all the same: it
	// went out and no answer that makes sense came back. It is false if no
	// connection was made or the API clearly refused.
	MaybeSent bool
	// Err is the cause below HTTP, or what is wrong with the answer; may be nil.
	Err error
}

// Error is one line: operation, HTTP status, code, message, cause, a hint where
// we have one, request id.
func (e *APIError) Error() string {
	var b strings.Builder
	b.WriteString("modelarts " + e.Operation + ": ")
	if e.HTTPStatus != 0 {
		fmt.Fprintf(&b, "http %d", e.HTTPStatus)
	} else {
		b.WriteString(e.Kind.String())
	}
	if e.Code != "" {
		b.WriteString(" " + clean(e.Code, maxToken))
	}
	if e.Message != "" {
		b.WriteString(": " + clean(e.Message, maxMessage))
	}
	if e.Err != nil {
		b.WriteString(": " + clean(e.Err.Error(), maxMessage))
	}
	if hint := e.hint(); hint != "" {
		b.WriteString(" (" + hint + ")")
	}
	if e.RequestID != "" {
		b.WriteString(", request id " + clean(e.RequestID, maxToken))
	}
	return b.String()
}

// Unwrap is the cause, so that errors.Is finds context.Canceled and the like.
func (e *APIError) Unwrap() error { return e.Err }

// hint says in words what the answer says in codes only.
func (e *APIError) hint() string {
	switch {
	case e.Kind == KindNoAPI && e.Operation == OperationToken:
		return "this endpoint does not offer the IAM token API"
	case e.Kind == KindPermission && e.Operation == OperationToken:
		return "IAM gives no token for this project: check its id, and that the user may use it"
	case e.Kind == KindNoAPI:
		return "this region or endpoint does not offer the v1 visualization-jobs API"
	// A login has nothing to do with clocks.
	case e.Kind == KindCredentials && e.Operation != OperationToken && e.ClockSkew.Abs() > time.Minute:
		side := "behind"
		if e.ClockSkew < 0 {
			side = "ahead"
		}
		return fmt.Sprintf("this machine's clock differs from the server's by %v (%s): set the clock", e.ClockSkew.Abs(), side)
	}
	return ""
}

// invalid is an error of ours: nothing was sent.
func invalid(operation string, err error) *APIError {
	return &APIError{Operation: operation, Kind: KindInvalid, Err: err}
}

// interrupted is the error of a call whose context has ended.
func interrupted(ctx context.Context, operation string, maybeSent bool) *APIError {
	kind := KindTimeout
	if errors.Is(ctx.Err(), context.Canceled) {
		kind = KindCanceled
	}
	return &APIError{Operation: operation, Kind: kind, MaybeSent: maybeSent, Err: ctx.Err()}
}

package jobs

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"vizstop/internal/plain"
)

// The operations, as they stand in Error and Observation.
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

// How many characters of an answer's texts are shown.
const (
	mostMessage = 200
	mostToken   = 128 // a code or a request id
)

// Error is the one type of error that calls return. Its texts come from the
// answer without control characters, shortened, and without our secrets, so it
// can be logged as it is.
type Error struct {
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
	// JobStatus is the status that a refusal names; zero if it names none. It was
	// true when the API refused, which may be a while ago.
	JobStatus Status
	// Hint says in words what the answer says in codes only; may be empty.
	Hint string
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

// Unanswered reports whether e leaves open if the call has worked: it went out, and no answer came, or only that of a
// gateway that got none, or one of success that can't be read. A gateway that turns calls away (503) has answered.
func (e *Error) Unanswered() bool {
	switch e.HTTPStatus {
	case 0, 408, 500, 502, 504:
		return e.MaybeSent
	}
	return e.MaybeSent && e.HTTPStatus/100 == 2
}

// Error is one line: operation, HTTP status, code, message, cause, a hint where
// we have one, request id.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("modelarts " + e.Operation + ": ")
	if e.HTTPStatus != 0 {
		fmt.Fprintf(&b, "http %d", e.HTTPStatus)
	} else {
		b.WriteString(e.Kind.String())
	}
	if e.Code != "" {
		b.WriteString(" " + plain.Line(e.Code, mostToken))
	}
	if e.Message != "" {
		b.WriteString(": " + plain.Line(e.Message, mostMessage))
	}
	if e.Err != nil {
		b.WriteString(": " + plain.Line(e.Err.Error(), mostMessage))
	}
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	if e.RequestID != "" {
		b.WriteString(", request id " + plain.Line(e.RequestID, mostToken))
	}
	return b.String()
}

// Unwrap is the cause, so that errors.Is finds context.Canceled and the like.
func (e *Error) Unwrap() error { return e.Err }

// ErrUnasked is in the error of a call that was not made because of what was to be asked.
// It says nothing of the API, nor of a credential.
var ErrUnasked = errors.New("nothing was asked")

// unasked is why, in its own words.
type unasked struct{ error }

func (unasked) Is(target error) bool { return target == ErrUnasked }

// Unasked is the error, with ErrUnasked and KindInvalid, of an operation that is not
// asked for because of err, such as an id that is not valid, or a project without an API.
func Unasked(operation string, err error) *Error {
	return &Error{Operation: operation, Kind: KindInvalid, Err: unasked{err}}
}

// NotSent is the error of an operation for which something went wrong before its own
// call was sent, such as another call that goes before it: it had no effect.
func NotSent(operation string, err error) *Error {
	apiErr, ok := errors.AsType[*Error](err)
	if !ok {
		return &Error{Operation: operation, Kind: KindOf(err), Err: err}
	}
	before := *apiErr
	before.MaybeSent = false
	return &before
}

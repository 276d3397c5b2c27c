// Package problem is what the console answers when a request did not succeed: problem details of RFC 9457, of a closed
// list of types. The middleware, the API and the pages share it.
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Type is one kind of problem. The list is closed: a client may decide by it, and each type has one status.
type Type string

// The types, in the order of their statuses.
const (
	InvalidRequest   Type = "invalid-request"        // 400: the address, its query or a header makes no sense
	MalformedBody    Type = "malformed-body"         // 400: the body is not what its type says, or was cut
	NotAuthenticated Type = "not-authenticated"      // 401: no token or certificate, or one that nobody has
	Expired          Type = "expired"                // 401: the principal's time is over
	RoleTooLow       Type = "role-too-low"           // 403: the principal's role does not reach
	ProjectDenied    Type = "project-denied"         // 403: the principal does not see the project
	ActionsOff       Type = "actions-off"            // 403: the console was started without --actions
	CrossOrigin      Type = "cross-origin"           // 403: a page of another origin has sent it
	NotFound         Type = "not-found"              // 404
	MethodNotAllowed Type = "method-not-allowed"     // 405
	NotAcceptable    Type = "not-acceptable"         // 406: no type that Accept names can be made
	SlowBody         Type = "slow-body"              // 408: the body did not come in time
	Conflict         Type = "conflict"               // 409: it exists with other options
	Changed          Type = "changed"                // 409: it is not what was confirmed any more
	InProgress       Type = "in-progress"            // 409: the same Idempotency-Key is at work
	BodyTooLarge     Type = "body-too-large"         // 413
	UnsupportedType  Type = "unsupported-media-type" // 415
	WrongHost        Type = "wrong-host"             // 421: the Host is not ours
	InvalidContent   Type = "invalid-content"        // 422: the body can be read, and says what cannot be done
	KeyReused        Type = "key-reused"             // 422: the same Idempotency-Key with another body
	TooManyRequests  Type = "too-many-requests"      // 429: of this principal
	TooManyGuesses   Type = "too-many-guesses"       // 429: wrong tokens from this address
	Internal         Type = "internal"               // 500: a fault of the console
	NoCredentials    Type = "no-credentials"         // 501: the console has no credentials for ModelArts
	APIFailed        Type = "api-failed"             // 502: ModelArts refused, or did not answer
	Unavailable      Type = "unavailable"            // 503: Redis does not answer
	Overloaded       Type = "overloaded"             // 503: the console has too much to do
	TookTooLong      Type = "took-too-long"          // 503: the time of the request is over
)

// kinds is what each type means. It is never changed.
var kinds = []struct {
	Type   Type
	Status int
	Title  string
}{
	{InvalidRequest, http.StatusBadRequest, "The request makes no sense"},
	{MalformedBody, http.StatusBadRequest, "The body can't be read"},
	{NotAuthenticated, http.StatusUnauthorized, "Nobody known has sent this"},
	{Expired, http.StatusUnauthorized, "The principal has expired"},
	{RoleTooLow, http.StatusForbidden, "The role does not reach"},
	{ProjectDenied, http.StatusForbidden, "The project is not yours to see"},
	{ActionsOff, http.StatusForbidden, "Actions are switched off"},
	{CrossOrigin, http.StatusForbidden, "Another site has sent this"},
	{NotFound, http.StatusNotFound, "There is no such thing"},
	{MethodNotAllowed, http.StatusMethodNotAllowed, "The method is not for this address"},
	{NotAcceptable, http.StatusNotAcceptable, "None of the accepted types can be made"},
	{SlowBody, http.StatusRequestTimeout, "The body came too slowly"},
	{Conflict, http.StatusConflict, "It exists with other options"},
	{Changed, http.StatusConflict, "It has changed: look again"},
	{InProgress, http.StatusConflict, "The same request is at work"},
	{BodyTooLarge, http.StatusRequestEntityTooLarge, "The body is too large"},
	{UnsupportedType, http.StatusUnsupportedMediaType, "The body's type is not understood"},
	{WrongHost, http.StatusMisdirectedRequest, "The host is not ours"},
	{InvalidContent, http.StatusUnprocessableEntity, "The body says what can't be done"},
	{KeyReused, http.StatusUnprocessableEntity, "The Idempotency-Key belongs to another request"},
	{TooManyRequests, http.StatusTooManyRequests, "Too many requests"},
	{TooManyGuesses, http.StatusTooManyRequests, "Too many wrong tokens"},
	{Internal, http.StatusInternalServerError, "The console has failed"},
	{NoCredentials, http.StatusNotImplemented, "The console has no credentials for ModelArts"},
	{APIFailed, http.StatusBadGateway, "ModelArts has refused, or did not answer"},
	{Unavailable, http.StatusServiceUnavailable, "Redis does not answer"},
	{Overloaded, http.StatusServiceUnavailable, "The console has too much to do"},
	{TookTooLong, http.StatusServiceUnavailable, "The request took too long"},
}

// Types are all types, in the order of their statuses.
func Types() []Type {
	all := make([]Type, len(kinds))
	for i, k := range kinds {
		all[i] = k.Type
	}
	return all
}

// Status is the HTTP status of the type; 500 for one that is not of the list.
func (t Type) Status() int {
	for _, k := range kinds {
		if k.Type == t {
			return k.Status
		}
	}
	return http.StatusInternalServerError
}

// Title says in few words what the type means; it is the same each time.
func (t Type) Title() string {
	for _, k := range kinds {
		if k.Type == t {
			return k.Title
		}
	}
	return Internal.Title()
}

// URI is the type as the answer has it. It is a name to decide by, and the same under every prefix.
func (t Type) URI() string { return "/problems/" + string(t) }

// Problem is one problem. It is an error.
type Problem struct {
	Type Type
	// Detail says what happened, to what, and what to do. It shows no secret, and no words of Redis or of a library.
	Detail string
	// RetryAfter is when to try again, in whole seconds from 1 on; 0: it is not said. It is also a header.
	RetryAfter time.Duration
	// Faults are what is wrong in the body, one by one; mostly none.
	Faults []Fault
	// Now is, of Changed, what it would come to now; it is JSON for programs. nil: it is not said.
	Now any
}

// Fault is one thing that is wrong in a body.
type Fault struct {
	Pointer string `json:"pointer,omitempty"` // JSON Pointer (RFC 6901) into the body, such as "/jobs/3"
	Line    int    `json:"line,omitempty"`    // from 1, of a body in lines (NDJSON, CSV); 0: it has none
	Detail  string `json:"detail"`
}

// New is a problem without more than words.
func New(t Type, detail string) *Problem { return &Problem{Type: t, Detail: detail} }

// Error is title and detail.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Type.Title()
	}
	return p.Type.Title() + ": " + p.Detail
}

// document is a problem in JSON. RetryAfter, Errors and Now are extensions of ours.
type document struct {
	Type       string  `json:"type"`
	Title      string  `json:"title"`
	Status     int     `json:"status"`
	Detail     string  `json:"detail,omitempty"`
	Instance   string  `json:"instance,omitempty"`
	RetryAfter int     `json:"retry_after,omitempty"` // seconds
	Errors     []Fault `json:"errors,omitempty"`
	Now        any     `json:"now,omitempty"`
}

// ContentType is the media type of a problem.
const ContentType = "application/problem+json"

// Write answers with the problem as JSON. The instance is the path that was asked for, without its query.
func (p *Problem) Write(w http.ResponseWriter, r *http.Request) {
	body, err := json.Marshal(document{Type: p.Type.URI(), Title: p.Type.Title(), Status: p.Type.Status(), Detail: p.Detail,
		Instance: r.URL.EscapedPath(), RetryAfter: p.seconds(), Errors: p.Faults, Now: p.Now})
	if err != nil { // nothing in it can fail
		panic(err)
	}
	p.Head(w, ContentType)
	_, _ = w.Write(append(body, '\n'))
}

// Head writes status and headers of the problem; a body of that type follows.
func (p *Problem) Head(w http.ResponseWriter, contentType string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	for _, name := range []string{"Content-Length", "Content-Disposition", "Etag", "Location"} { // of what was to be sent
		h.Del(name)
	}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.seconds()))
	}
	if p.Type.Status() == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="vizstop", Bearer`) // a browser asks for the token, as the password
	}
	w.WriteHeader(p.Type.Status())
}

func (p *Problem) seconds() int { return int((p.RetryAfter + time.Second - 1) / time.Second) }

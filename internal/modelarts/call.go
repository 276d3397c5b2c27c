package modelarts

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/loose"
)

// Call is one request of an adapter, before it is authenticated.
type Call struct {
	Generation *Generation
	Operation  string // one of jobs.Operations
	Method     string
	ProjectID  string
	JobID      string              // "" for that of a list
	Path       []string            // segments below the endpoint
	Query      string              // encoded; "" for none
	Body       []byte              // JSON; nil for none
	Accept     func(*Answer) error // reads a 2xx answer; an error says why it makes no sense

	url         *url.URL
	contentType string
	secrets     []string     // parts of the body that no error may show
	by          *Credentials // which of a Replaceable's were asked last to authorize it
}

// Generation is what differs between the generations of the API when an answer is
// judged.
type Generation struct {
	// Name is what errors call the API, such as "v1 visualization-jobs API".
	Name string
	// Codes are normalized error codes ("modelarts.2775") that decide alone, whatever
	// the HTTP status says.
	Codes map[string]jobs.Kind
	// JobStatus finds the status that the text of a refusal names; zero for none. nil
	// finds none.
	JobStatus func(message string) jobs.Status
}

func (g *Generation) statusIn(message string) jobs.Status {
	if g.JobStatus == nil {
		return jobs.Status{}
	}
	return g.JobStatus(message)
}

// generation is never nil: a login has none.
func (cl *Call) generation() *Generation {
	if cl.Generation == nil {
		return &Generation{}
	}
	return cl.Generation
}

// accept reads a 2xx answer.
func (cl *Call) accept(a *Answer) error {
	if cl.Accept == nil {
		return nil
	}
	return cl.Accept(a)
}

// check refuses ids that would change the meaning of the path. Every call but that of
// a list is about a job.
func (cl *Call) check() error {
	err := jobs.ValidateID("project", cl.ProjectID)
	if cl.Operation != jobs.OperationList {
		err = errors.Join(jobs.ValidateID("job", cl.JobID), err)
	}
	return err
}

// Answer is a response that was read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte

	problem problem
	secrets []string // that the request carried
}

// ErrNotJSON says that an answer holds something else than a JSON object.
var ErrNotJSON = errors.New("the answer is not a JSON object")

// IsObject reports whether the body is a JSON object.
func (a *Answer) IsObject() bool { return a.problem.object }

// RequestID is what the body says, else the header. It goes to logs and reports
// of calls that went well, too.
func (a *Answer) RequestID() string {
	id := a.problem.requestID
	if id == "" {
		id = a.Header.Get("X-Request-Id")
	}
	return clean(hide(id, a.secrets), maxToken)
}

// Line is a text of the answer as one printable line, without the secrets that the
// request carried.
func (a *Answer) Line(text loose.String) string {
	return loose.String(hide(string(text), a.secrets)).Line()
}

// Do sends a call and judges the answer: it is a success only if the body agrees.
// Ids are checked first: one that is not valid is jobs.Unasked. The error is a *jobs.Error.
func (c *Client) Do(ctx context.Context, cl *Call) error {
	if err := cl.check(); err != nil {
		return jobs.Unasked(cl.Operation, err)
	}
	cl.url, cl.contentType = below(c.base, cl.Path...), "application/json"
	cl.url.RawQuery = cl.Query
	return c.do(ctx, cl)
}

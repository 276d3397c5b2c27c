// Package modelartstest simulates the two generations of the ModelArts API that
// know visualization jobs (v1, and v2 as training jobs), their gateway and IAM,
// with faults on demand. One simulator can stand for several regions.
//
// A Simulator is an http.Handler without goroutines or timers of its own:
// statuses are computed from Config.Now when somebody looks. So it works behind a
// real listener (Start), inside a testing/synctest bubble and over net.Pipe.
//
// What is literal is so because a document or a report shows it: the paths,
// field names, error codes, the texts of ModelArts.0105, of Job name ... is
// existed, of search_content, and of the gateway's .0301 and .0308. Other texts,
// and all durations, are guesses; nobody should rely on them.
package modelartstest

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// The operations, as they stand in Call, Fault and Counts.
const (
	OpCreate  = "create"
	OpList    = "list"
	OpDetail  = "detail"
	OpUpdate  = "update"
	OpDelete  = "delete"
	OpStop    = "stop"
	OpRestart = "restart"
	OpToken   = "token"   // POST /v3/auth/tokens
	OpAssume  = "assume"  // POST /v3.0/OS-CREDENTIAL/securitytokens
	OpUnknown = "unknown" // no such API
)

var allOperations = []string{OpCreate, OpList, OpDetail, OpUpdate, OpDelete, OpStop, OpRestart, OpToken, OpAssume, OpUnknown}

// maxBody is the gateway's limit, 12 MB.
//
// Source: API Request Signing Guide, "Overview".
const maxBody = 12 << 20

// Simulator is the API of all projects. It is safe for concurrent use. Make one
// with New or Start.
type Simulator struct {
	cfg Config

	mu       sync.Mutex
	projects map[string]*project
	only     map[string]Generation // by project, see Offer
	creds    credentials
	assumed  map[string]*Assumed // by agency
	limits   limits
	faults   []*Injected
	calls    callLog
	strays   []StrayStop
	lastID   uint64 // of requests
	shown    int    // ends of jobs that a detail answer has shown
}

// New makes a simulator without jobs.
func New(cfg Config) *Simulator {
	cfg = cfg.withDefaults()
	return &Simulator{
		cfg:      cfg,
		projects: map[string]*project{},
		only:     map[string]Generation{},
		assumed:  map[string]*Assumed{},
		creds:    newCredentials(cfg.Auth),
		limits:   newLimits(cfg.RateLimit, cfg.TotalRateLimit),
		calls:    newCallLog(cfg.CallsPerJob),
	}
}

// String keeps the simulated secrets out of failure messages.
func (s *Simulator) String() string { return "modelartstest.Simulator" }

// GoString does the same under %#v.
func (s *Simulator) GoString() string { return s.String() }

// exchange is one request on its way to its answer.
type exchange struct {
	*http.Request
	target
	body   []byte
	seq    uint64
	id     string // 32 hex digits, made of seq
	at     time.Time
	who    caller // once authenticated
	agency string // of OpAssume
}

// ServeHTTP answers one request. A client that goes away cuts waiting short but
// not the effect of its call. Faults that reset the connection need a
// ResponseWriter that can be hijacked, else they panic with
// http.ErrAbortHandler, which net/http turns into a closed connection.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x, fault := s.receive(r)
	if s.cfg.Latency != nil {
		s.pause(x, s.latency(x.op))
	}
	if fault == nil {
		a := s.perform(x)
		s.record(x, a, false)
		s.write(w, x, a)
		return
	}
	s.serveFault(w, x, fault)
}

// receive reads the request and picks the fault that it meets.
func (s *Simulator) receive(r *http.Request) (*exchange, *Fault) {
	x := &exchange{Request: r, target: route(r.Method, r.URL.EscapedPath(), s.cfg.Regions)}
	// The body is read even when a fault makes it pointless: net/http notices
	// that a client has gone only after that. What breaks off fails to parse.
	x.body, _ = io.ReadAll(io.LimitReader(r.Body, maxBody+1))

	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	x.seq, x.id = s.lastID, requestID(s.lastID)
	x.at = s.cfg.Now()
	if x.op == OpAssume {
		s.assumeBegins(x)
	}
	return x, s.meet(x)
}

func (s *Simulator) latency(op string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg.Latency(op)
}

// pause waits for d, or until the client has gone.
func (s *Simulator) pause(x *exchange, d time.Duration) {
	if d > 0 {
		s.cfg.Sleep(x.Context(), d)
	}
}

func (s *Simulator) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg.Now()
}

// perform does what the request asks for, unless the gateway refuses it.
func (s *Simulator) perform(x *exchange) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	if refusal := s.gatekeep(x, now); refusal != nil {
		return *refusal
	}
	if x.generation == V2 {
		return s.performV2(x, now)
	}
	switch x.op {
	case OpToken:
		return s.issueToken(x, now)
	case OpAssume:
		return s.assume(x, now)
	case OpCreate:
		return s.create(x, now)
	case OpList:
		return s.list(x, now)
	case OpDetail:
		return s.detail(x, now)
	case OpUpdate:
		return s.update(x, now)
	case OpDelete:
		return s.delete(x, now)
	case OpStop:
		return s.stop(x, now)
	default:
		return s.restart(x, now)
	}
}

// gatekeep is what the gateway checks before a service sees the request; nil
// lets it pass.
func (s *Simulator) gatekeep(x *exchange, now time.Time) *answer {
	if x.op == OpUnknown {
		return s.unpublished(x)
	}
	if refusal := s.checkOffered(x); refusal != nil {
		return refusal
	}
	if len(x.body) > maxBody {
		return s.gateway(x, http.StatusRequestEntityTooLarge, ".0201", "Request entity too large")
	}
	if x.op == OpToken {
		return nil // it has neither authentication nor a project
	}
	var refusal *answer
	if x.who, refusal = s.authenticate(x, now); refusal != nil || x.op == OpAssume {
		return refusal
	}
	refusal = s.checkProject(x)
	if refusal == nil {
		refusal = s.throttle(x, now)
	}
	return refusal
}

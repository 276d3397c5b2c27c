package modelartstest

import (
	"cmp"
	"slices"
	"time"
)

// Call is one request that arrived and what became of it.
type Call struct {
	Operation  string     // one of the Op constants
	Generation Generation // "" for calls to IAM and most of OpUnknown
	Region     string     // "" without Config.Regions
	ProjectID  string     // "" for calls to IAM
	JobID      string     // "" where the path has none, as for OpCreate
	At         time.Time  // arrival
	// HTTPStatus is the status of the answer; 0 if the connection was reset.
	HTTPStatus int
	ErrorCode  string // of the answer; "" on success
	RequestID  string // the first part of X-Request-Id
	Faulted    bool   // whether a fault was applied
	Seq        uint64 // position among all calls by arrival, from 1
}

type jobKey struct{ projectID, jobID string }

// callLog remembers the newest calls of each job and counts all.
type callLog struct {
	keep   int // per job; 0 all, negative none
	byJob  map[jobKey][]Call
	counts map[answerKind]int
}

// answerKind is what calls are counted by.
type answerKind struct {
	operation  string
	httpStatus int
}

func newCallLog(keep int) callLog {
	return callLog{keep: keep, byJob: map[jobKey][]Call{}, counts: map[answerKind]int{}}
}

func (l *callLog) add(c Call) {
	l.counts[answerKind{c.Operation, c.HTTPStatus}]++
	if l.keep < 0 {
		return
	}
	key := jobKey{c.ProjectID, c.JobID}
	calls := append(l.byJob[key], c)
	// Twice as much may stay for a while, so that not every call moves all.
	if l.keep > 0 && len(calls) >= 2*l.keep {
		calls = slices.Clone(calls[len(calls)-l.keep:])
	}
	l.byJob[key] = calls
}

func (l *callLog) newest(calls []Call) []Call {
	if l.keep > 0 && len(calls) > l.keep {
		calls = calls[len(calls)-l.keep:]
	}
	return slices.Clone(calls)
}

// Calls is what is remembered of the calls for one job, in the order in which
// they were worked on. With the empty jobID it is the calls whose path names no
// job. A call is listed before its answer is sent.
func (s *Simulator) Calls(projectID, jobID string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls.newest(s.calls.byJob[jobKey{projectID, jobID}])
}

// AllCalls is every remembered call, in order of arrival. It costs time and
// memory in proportion to their number.
func (s *Simulator) AllCalls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Call
	for _, calls := range s.calls.byJob {
		all = append(all, s.calls.newest(calls)...)
	}
	slices.SortFunc(all, func(a, b Call) int { return cmp.Compare(a.Seq, b.Seq) })
	return all
}

// Counts is how many calls there were of each operation, whatever is
// remembered of them and however they ended. Operations never called are absent.
func (s *Simulator) Counts() map[string]int {
	sum := map[string]int{}
	for op, byStatus := range s.CountsByStatus() {
		for _, n := range byStatus {
			sum[op] += n
		}
	}
	return sum
}

// CountsByStatus is the same, apart for each HTTP status of the answers; 0
// stands for connections that were reset.
func (s *Simulator) CountsByStatus() map[string]map[int]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]map[int]int{}
	for kind, n := range s.calls.counts {
		if counts[kind.operation] == nil {
			counts[kind.operation] = map[int]int{}
		}
		counts[kind.operation][kind.httpStatus] = n
	}
	return counts
}

// record notes a call whose answer is settled.
func (s *Simulator) record(x *exchange, a answer, faulted bool) Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := Call{
		Operation: x.op, Generation: x.generation, Region: x.region,
		ProjectID: x.projectID, JobID: x.jobID, At: x.at,
		HTTPStatus: a.status, ErrorCode: a.code, RequestID: x.id, Faulted: faulted, Seq: x.seq,
	}
	s.calls.add(c)
	s.noteStray(c)
	return c
}

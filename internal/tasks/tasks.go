// Package tasks is what the worker does with a step that was released: the two
// task types with their payloads, a handler for each, and the table that decides
// what an answer of the API means.
//
// The contract with producers is in docs/producers.md.
package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"golang.org/x/sync/errgroup"

	"vizstop/internal/joblist"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
)

// The task types.
const (
	TypeStop = "visualization:stop" // make the stop call
	TypePoll = "visualization:poll" // ask the detail endpoint
	// TypeShadow asks to tell what a stop call would meet. It comes from other producers
	// only, and a worker that knows of no shadow stops drops it: a field in the payload of
	// TypeStop would be passed over there.
	TypeShadow = "visualization:shadow"
)

// Queue is the asynq queue of all.
const Queue = release.Queue

// Payload is the JSON body of all tasks. Unknown fields are ignored.
type Payload struct {
	ProjectID string `json:"project_id"`
	JobID     string `json:"job_id"`
	Shadow    bool   `json:"shadow,omitempty"` // only fit for TypeShadow, which needs none
}

// maxPayload bounds what the worker is ready to read as a payload.
const maxPayload = 64 << 10

// DecodePayload reads and checks a payload, as a list of jobs is read: ids are text
// or whole numbers, as the API itself writes them, and there once. On error, what
// could be read is returned too.
func DecodePayload(b []byte) (Payload, error) {
	if len(b) > maxPayload {
		return Payload{}, fmt.Errorf("payload of %d bytes: the limit is %d", len(b), maxPayload)
	}
	var p Payload
	projectID, jobID, err := joblist.IDs(string(b), p.readField)
	p.ProjectID, p.JobID = projectID, jobID
	if err != nil {
		return p, fmt.Errorf(`payload: %w (it has to be {"project_id": "...", "job_id": "..."})`, err)
	}
	return p, errors.Join(
		jobs.ValidateID("project", p.ProjectID),
		jobs.ValidateID("job", p.JobID))
}

// readField reads a field besides the ids.
func (p *Payload) readField(name string, value any) error {
	if !strings.EqualFold(strings.TrimSpace(name), "shadow") {
		return nil
	}
	shadow, ok := value.(bool)
	if !ok || p.Shadow && !shadow {
		return errors.New("shadow is neither true nor false, or both")
	}
	p.Shadow = shadow
	return nil
}

// errShadowPayload refuses a task that may be meant as a shadow stop and is none. A
// worker of another version would stop the job.
var errShadowPayload = errors.New("payload: shadow is true in a task of type " + TypeStop + ", which stops the job: a task of type " +
	TypeShadow + " only tells what a stop call would meet")

// taskID is the identity of a task of ours: which stop it carries, and for
// which hop. Any other task id belongs to a foreign task.
type taskID struct {
	kind   ledger.Kind
	stopID string
	hop    int
}

func (id taskID) String() string {
	return string(id.kind) + ":" + id.stopID + ":" + strconv.Itoa(id.hop)
}

// TaskID is the id of the task that carries a step.
func TaskID(kind ledger.Kind, step ledger.Member) string {
	return taskID{kind, step.StopID, step.Hop}.String()
}

var taskIDPattern = regexp.MustCompile(
	`^(stop|poll):([0-9a-v]{` + strconv.Itoa(ledger.IDLength) + `}):([1-9][0-9]{0,8})$`)

func parseTaskID(s string) (taskID, bool) {
	m := taskIDPattern.FindStringSubmatch(s)
	if m == nil {
		return taskID{}, false
	}
	hop, err := strconv.Atoi(m[3])
	return taskID{kind: ledger.Kind(m[1]), stopID: m[2], hop: hop}, err == nil
}

const (
	// taskTimeout is asynq's limit for one task of ours. A handler's own limits are
	// well within it: asynq would record its own error in place of a verdict.
	taskTimeout = 5 * time.Minute
	// parallelEnqueues is how many tasks are on their way to Redis at once.
	parallelEnqueues = 64
)

// Carrier puts tasks for released steps into the queue. It is safe for
// concurrent use.
type Carrier struct{ queue *asynq.Client }

// NewCarrier returns a carrier by that client, which stays the caller's to close.
func NewCarrier(queue *asynq.Client) *Carrier { return &Carrier{queue} }

// Carry enqueues a task for each step. One that is there already is as good.
func (c *Carrier) Carry(ctx context.Context, projectID string, kind ledger.Kind, steps []ledger.Member) error {
	if len(steps) == 1 { // no need for company
		return c.carry(ctx, projectID, kind, steps[0])
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelEnqueues)
	for _, step := range steps {
		group.Go(func() error { return c.carry(ctx, projectID, kind, step) })
	}
	return group.Wait()
}

func (c *Carrier) carry(ctx context.Context, projectID string, kind ledger.Kind, step ledger.Member) error {
	body, err := json.Marshal(Payload{ProjectID: projectID, JobID: step.JobID})
	if err != nil {
		return fmt.Errorf("encode the payload of stop %s: %w", step.StopID, err)
	}
	typ := TypeStop
	if kind == ledger.KindPoll {
		typ = TypePoll
	}
	id := TaskID(kind, step)
	_, err = c.queue.EnqueueContext(ctx, asynq.NewTask(typ, body), asynq.Queue(Queue), asynq.TaskID(id), asynq.Timeout(taskTimeout))
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("enqueue task %s: %w", id, unwrapped(err))
	}
	return nil
}

// answer is what Redis has answered, as text.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

// quoted finds what Redis has answered in errors of asynq, which keep the text alone.
//
// Source: internal/rdb/rdb.go and internal/errors/errors.go of asynq 0.26.
var quoted = regexp.MustCompile(`redis (?:eval|command) error: (?:[A-Z]+ failed: )?([A-Z]+ .*)$`)

// unwrapped is the answer of Redis that an error of asynq is about, as a redis.Error; any other error as it is.
func unwrapped(err error) error {
	if found := quoted.FindStringSubmatch(err.Error()); found != nil {
		return answer(found[1])
	}
	return err
}

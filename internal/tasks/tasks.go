// Package tasks is what the worker does: the two task types with their
// payloads, a handler for each, the table that decides what an answer of the
// API means, and the repair of stops whose task got lost.
//
// The contract with producers is in docs/producers.md.
package tasks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/tracing"
)

// The task types.
const (
	TypeStop   = "visualization:stop"   // make the stop call
	TypePoll   = "visualization:poll"   // ask the detail endpoint
	TypeScreen = "visualization:screen" // look for all watched jobs of a project in its list
)

// The queues. Stops have their own, so that polls and screens can't stand in
// their way.
const (
	QueueStop = "visualization"
	QueuePoll = "visualization-poll"
)

// Queues gives each queue's weight for asynq.Config. Stops come first four
// times out of five, and polls are never starved.
func Queues() map[string]int { return map[string]int{QueueStop: 4, QueuePoll: 1} }

// Payload is the JSON body of stop and poll tasks. Unknown fields are ignored.
type Payload struct {
	ProjectID string `json:"project_id"`
	JobID     string `json:"job_id"`
}

// maxPayload bounds what the worker is ready to read as a payload.
const maxPayload = 64 << 10

// DecodePayload reads and checks a payload. The job id may be a JSON number,
// as the API itself writes it. On error, what could be read is returned too.
func DecodePayload(b []byte) (Payload, error) {
	if len(b) > maxPayload {
		return Payload{}, fmt.Errorf("payload of %d bytes: the limit is %d", len(b), maxPayload)
	}
	var raw struct {
		ProjectID string          `json:"project_id"`
		JobID     json.RawMessage `json:"job_id"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return Payload{}, fmt.Errorf(`payload is not {"project_id": "...", "job_id": "..."}: %w`, err)
	}
	p := Payload{ProjectID: raw.ProjectID, JobID: string(bytes.Trim(raw.JobID, `"`))}
	if strings.HasPrefix(string(raw.JobID), `"`) {
		if err := json.Unmarshal(raw.JobID, &p.JobID); err != nil {
			return Payload{ProjectID: p.ProjectID}, fmt.Errorf("payload: job_id: %w", err)
		}
	}
	if p.JobID == "null" {
		p.JobID = ""
	}
	return p, errors.Join(
		modelarts.ValidateID("project", p.ProjectID),
		modelarts.ValidateID("job", p.JobID))
}

// taskID is the identity of a task of ours: which stop it carries, and for
// which hop. Any other task id belongs to another producer's bare task.
type taskID struct {
	kind   ledger.Kind
	stopID string
	hop    int
}

// currentTask is the task that may act on s now.
func currentTask(s *ledger.Stop) taskID { return taskID{s.Kind, s.ID, s.Hop} }

func (id taskID) String() string {
	return string(id.kind) + ":" + id.stopID + ":" + strconv.Itoa(id.hop)
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

// taskTimeout is asynq's limit for one task of ours. A handler's own limits are
// well within it: asynq would record its own error in place of a verdict.
const taskTimeout = 5 * time.Minute

// enqueue puts the task of the stop's current hop into its queue. A task that
// is there already is as good.
func enqueue(ctx context.Context, queue *asynq.Client, s *ledger.Stop) error {
	body, err := json.Marshal(Payload{ProjectID: s.ProjectID, JobID: s.JobID})
	if err != nil {
		return fmt.Errorf("encode the payload of stop %s: %w", s.ID, err)
	}
	typ, name := typeAndQueue(s.Kind)
	return put(ctx, queue, asynq.NewTaskWithHeaders(typ, body, headers(s)), name, currentTask(s).String(), s.Next)
}

// headers are those of the tasks of s: nil unless it is traced.
func headers(s *ledger.Stop) map[string]string {
	if s.Trace == "" {
		return nil
	}
	return map[string]string{tracing.Header: s.Trace}
}

// put enqueues a task of ours.
func put(ctx context.Context, queue *asynq.Client, t *asynq.Task, name, id string, due time.Time) error {
	_, err := queue.EnqueueContext(ctx, t, asynq.Queue(name), asynq.TaskID(id),
		asynq.ProcessAt(wholeSecond(time.Now(), due)), asynq.Timeout(taskTimeout))
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("enqueue task %s: %w", id, err)
	}
	return nil
}

// wholeSecond is the due time as asynq can keep it, in whole seconds: up to half
// a second early or late. What is due now stays so.
func wholeSecond(now, due time.Time) time.Time {
	if !due.After(now) {
		return due
	}
	return due.Round(time.Second)
}

func typeAndQueue(kind ledger.Kind) (typ, queue string) {
	if kind == ledger.KindPoll {
		return TypePoll, QueuePoll
	}
	return TypeStop, QueueStop
}

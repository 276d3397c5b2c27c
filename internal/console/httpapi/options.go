package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/console/problem"
	"vizstop/internal/control"
	"vizstop/internal/luascript"
)

var optionsScript = luascript.Load(scripts, "options")

// recorded are the options that a batch was first asked for with. Whoever adds to it has the same.
type recorded struct {
	Requester string            `json:"requester"`
	Reason    string            `json:"reason"`
	Labels    map[string]string `json:"labels,omitempty"`
	At        string            `json:"at,omitempty"`
	In        string            `json:"in,omitempty"`
	Timezone  string            `json:"timezone,omitempty"`
	Spread    string            `json:"spread,omitempty"`
	Deadline  string            `json:"deadline,omitempty"`
	Shadow    bool              `json:"shadow,omitempty"`
	Notify    string            `json:"notify,omitempty"`

	First time.Time `json:"first,omitzero"` // what At has meant
}

func optionsKey(batch string) string { return "vizstop:{-}:asked:" + batch }

func (a *ask) recorded() recorded {
	rec := recorded{Requester: a.by.Name, Reason: a.Reason, Labels: a.Labels, At: a.At, In: a.In, Timezone: a.Timezone, Spread: a.Spread,
		Deadline: a.Deadline, Shadow: a.Shadow, Notify: a.Notify}
	if a.At != "" {
		rec.First = a.plan.First.UTC()
	}
	return rec
}

// before holds the options against those that the batch has, and returns what At has meant then; zero: there is no
// batch, or it has no At. The error is a *problem.Problem if they differ.
func (o *options) before(ctx context.Context, a *ask) (time.Time, error) {
	text, err := a.Desk.Redis.HGet(ctx, optionsKey(a.batch), "options").Result()
	switch {
	case errors.Is(err, redis.Nil):
		return time.Time{}, a.beforeByOthers(ctx)
	case err != nil:
		return time.Time{}, fmt.Errorf("look for batch %s: %w", a.batch, err)
	}
	a.exists = true
	return a.compare(ctx, text)
}

// beforeByOthers holds the options against a batch that was asked for in another way, or longer ago than options are
// kept.
func (a *ask) beforeByOthers(ctx context.Context) error {
	batch, err := a.Desk.Batch(ctx, a.batch)
	if _, unknown := errors.AsType[*control.UnknownError](err); unknown {
		return nil
	}
	if err != nil {
		return err
	}
	known, err := batch.Ledger.Batch(ctx, batch.Projects[0], batch.ID)
	if err != nil {
		return err
	}
	now := a.recorded()
	was := now
	was.Requester, was.Reason, was.Labels, was.Shadow = known.Meta.Requester, known.Meta.Reason, known.Meta.Labels, known.Meta.Shadow
	return a.hidden(ctx, was.Requester, was.conflict(now, a.batch))
}

// hidden is a conflict as far as it may be told: of the batch of somebody else, or one that has no project that the
// principal sees, only that its id is taken.
func (a *ask) hidden(ctx context.Context, requester string, conflict error) error {
	if conflict == nil {
		return nil
	}
	taken := problem.New(problem.Conflict, fmt.Sprintf("The id %s is taken, and nothing was recorded: choose another one.", a.batch))
	if requester != a.by.Name {
		return taken
	}
	if a.by.All() {
		return conflict
	}
	batch, err := a.Desk.Batch(ctx, a.batch)
	if _, unknown := errors.AsType[*control.UnknownError](err); unknown {
		return taken
	}
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(batch.Projects, a.by.Sees) {
		return taken
	}
	return conflict
}

func (a *ask) compare(ctx context.Context, text string) (time.Time, error) {
	var was recorded
	if err := json.Unmarshal([]byte(text), &was); err != nil {
		return time.Time{}, fmt.Errorf("the options of batch %s can't be read: %w", a.batch, err)
	}
	return was.First, a.hidden(ctx, was.Requester, was.conflict(a.recorded(), a.batch))
}

// conflict says what differs; nil if nothing does.
func (was *recorded) conflict(now recorded, batch string) error {
	var faults []problem.Fault
	for _, f := range []struct{ name, was, now string }{
		{"requester", was.Requester, now.Requester}, {"reason", was.Reason, now.Reason}, {"at", was.At, now.At}, {"in", was.In, now.In},
		{"timezone", was.Timezone, now.Timezone}, {"spread", was.Spread, now.Spread}, {"deadline", was.Deadline, now.Deadline},
		{"shadow", fmt.Sprint(was.Shadow), fmt.Sprint(now.Shadow)}, {"notify", was.Notify, now.Notify},
	} {
		switch {
		case f.was == f.now:
		case f.name == "notify": // it may have a secret
			faults = append(faults, problem.Fault{Pointer: "/" + f.name, Detail: "is another one"})
		default:
			faults = append(faults, problem.Fault{Pointer: "/" + f.name, Detail: fmt.Sprintf("was %q, and is %q now", f.was, f.now)})
		}
	}
	if !maps.Equal(was.Labels, now.Labels) {
		faults = append(faults, problem.Fault{Pointer: "/labels", Detail: "are others"})
	}
	if len(faults) == 0 {
		return nil
	}
	var differ []string
	for _, f := range faults {
		differ = append(differ, strings.TrimPrefix(f.Pointer, "/"))
	}
	return &problem.Problem{Type: problem.Conflict, Faults: faults, Detail: fmt.Sprintf(
		"Batch %s was asked for with other options (%s), and nothing was recorded. Repeat them, or choose another id.", batch, strings.Join(differ, ", "))}
}

// record keeps the options, unless somebody else has just asked for the batch with others.
func (a *ask) record(ctx context.Context) error {
	a.begun = true
	said, err := optionsScript.Run(ctx, a.Desk.Redis, []string{optionsKey(a.batch)}, compact(a.recorded()), int(keyLife.Seconds())).Text()
	if err != nil {
		return fmt.Errorf("keep the options of batch %s: %w", a.batch, err)
	}
	_, err = a.compare(ctx, said)
	return err
}

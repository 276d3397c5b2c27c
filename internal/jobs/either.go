package jobs

import (
	"context"
	"fmt"
	"sync"
)

// Either returns the API of projects of which nobody has said which of two generations
// serves them. Before the first call of a project it makes a list call of first, and one
// of second unless first answers with a list. First is taken if it does, or if second
// answers KindNoAPI; second is taken if first answers KindNoAPI and second does not.
// Anything else, such as an outage, leaves it open: the call is not sent and fails with
// the error of first's list call, as KindUnavailable if that is of a kind that would
// say something about a job. After KindCredentials no other call is made, since too
// many refusals lock an access key. What is found out is
// remembered for about 10,000 projects, until a call that goes by it meets KindNoAPI.
//
// As long as a project's generation is not known, its PageSize is the smaller one, and
// Restarts is true if jobs of either can be restarted.
func Either(first, second API) API {
	return &either{first: first, second: second, chosen: map[string]API{}, asking: map[string]chan struct{}{}}
}

type either struct {
	first, second API

	mu     sync.Mutex
	chosen map[string]API           // by project
	asking map[string]chan struct{} // projects of which it is being found out; closed when that is over
}

// mostChosen bounds what is remembered. What is forgotten is found out again.
const mostChosen = 10_000

// known is the API of a project; nil if it is not known.
func (e *either) known(projectID string) API {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.chosen[projectID]
}

func (e *either) remember(projectID string, api API) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.chosen) >= mostChosen {
		clear(e.chosen)
	}
	e.chosen[projectID] = api
}

// forget does nothing if another one has been chosen since.
func (e *either) forget(projectID string, api API) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.chosen[projectID] == api {
		delete(e.chosen, projectID)
	}
}

// begin returns the API of a project, or a channel that closes when somebody else has
// asked for it; neither if the caller is the one to ask, and then to call end.
func (e *either) begin(projectID string) (API, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	api, other := e.chosen[projectID], e.asking[projectID]
	if api == nil && other == nil {
		e.asking[projectID] = make(chan struct{})
	}
	return api, other
}

func (e *either) end(projectID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.asking[projectID])
	delete(e.asking, projectID)
}

// choose is the API of a project. One caller at a time asks for it.
func (e *either) choose(ctx context.Context, projectID string) (API, error) {
	for {
		switch api, other := e.begin(projectID); {
		case api != nil:
			return api, nil
		case other == nil:
			defer e.end(projectID)
			api, err := e.ask(ctx, projectID)
			if err == nil {
				e.remember(projectID, api)
			}
			return api, err
		default:
			select {
			case <-other:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
}

// ask finds out the API of a project.
func (e *either) ask(ctx context.Context, projectID string) (API, error) {
	_, err := e.first.List(ctx, projectID, Query{PerPage: 1})
	switch KindOf(err) {
	case KindOK:
		return e.first, nil
	case KindCredentials:
		return nil, err
	}
	_, other := e.second.List(ctx, projectID, Query{PerPage: 1})
	switch no, otherNo := KindOf(err) == KindNoAPI, KindOf(other) == KindNoAPI; {
	case no && otherNo:
		return nil, &Error{Operation: OperationList, Kind: KindNoAPI, Err: fmt.Errorf("neither generation of the API is offered: %w; %w", err, other)}
	case no && KindOf(other) == KindCredentials:
		return nil, other
	case no:
		return e.second, nil
	case otherNo:
		return e.first, nil
	}
	switch KindOf(err) {
	case KindNotFound, KindNotAllowed, KindInvalid: // of the list: it says nothing about the job that is asked for
		return nil, &Error{Operation: OperationList, Kind: KindUnavailable, Err: fmt.Errorf("which generation of the API is offered is not known: %w", err)}
	}
	return nil, err
}

// call makes a call of a project's API.
func (e *either) call(ctx context.Context, operation, projectID string, do func(API) error) error {
	api, err := e.choose(ctx, projectID)
	if err != nil {
		return NotSent(operation, err)
	}
	if err = do(api); KindOf(err) == KindNoAPI {
		e.forget(projectID, api)
	}
	return err
}

// PageSize is that of API.
func (e *either) PageSize(projectID string) int {
	if api := e.known(projectID); api != nil {
		return api.PageSize(projectID)
	}
	return min(e.first.PageSize(projectID), e.second.PageSize(projectID))
}

// List is that of API.
func (e *either) List(ctx context.Context, projectID string, q Query) (page *Page, err error) {
	err = e.call(ctx, OperationList, projectID, func(api API) error {
		page, err = api.List(ctx, projectID, q)
		return err
	})
	return page, err
}

// Get is that of API.
func (e *either) Get(ctx context.Context, projectID, jobID string) (job *Job, err error) {
	err = e.call(ctx, OperationDetail, projectID, func(api API) error {
		job, err = api.Get(ctx, projectID, jobID)
		return err
	})
	return job, err
}

// Stop is that of API.
func (e *either) Stop(ctx context.Context, projectID, jobID string) (accepted Accepted, err error) {
	err = e.call(ctx, OperationStop, projectID, func(api API) error {
		accepted, err = api.Stop(ctx, projectID, jobID)
		return err
	})
	return accepted, err
}

// Restarts is that of API.
func (e *either) Restarts(projectID string) bool {
	if api := e.known(projectID); api != nil {
		return api.Restarts(projectID)
	}
	return e.first.Restarts(projectID) || e.second.Restarts(projectID)
}

// Restart is that of API.
func (e *either) Restart(ctx context.Context, projectID, jobID string) (requestID string, err error) {
	err = e.call(ctx, OperationRestart, projectID, func(api API) error {
		requestID, err = api.Restart(ctx, projectID, jobID)
		return err
	})
	return requestID, err
}

package jobs

import "context"

// Router is an API that leaves each project to its own. It returns the API of a
// project, or why there is none: then every call fails with the error of Unasked.
type Router func(projectID string) (API, error)

func (r Router) find(operation, projectID string) (API, error) {
	api, err := r(projectID)
	if err != nil {
		return nil, Unasked(operation, err)
	}
	return api, nil
}

// PageSize is that of API; 1 for a project without one.
func (r Router) PageSize(projectID string) int {
	api, err := r(projectID)
	if err != nil {
		return 1
	}
	return api.PageSize(projectID)
}

// List is that of API.
func (r Router) List(ctx context.Context, projectID string, q Query) (*Page, error) {
	api, err := r.find(OperationList, projectID)
	if err != nil {
		return nil, err
	}
	return api.List(ctx, projectID, q)
}

// Get is that of API.
func (r Router) Get(ctx context.Context, projectID, jobID string) (*Job, error) {
	api, err := r.find(OperationDetail, projectID)
	if err != nil {
		return nil, err
	}
	return api.Get(ctx, projectID, jobID)
}

// Stop is that of API.
func (r Router) Stop(ctx context.Context, projectID, jobID string) (Accepted, error) {
	api, err := r.find(OperationStop, projectID)
	if err != nil {
		return Accepted{}, err
	}
	return api.Stop(ctx, projectID, jobID)
}

// Restarts is that of API; true for a project without one, of which Restart says more.
func (r Router) Restarts(projectID string) bool {
	api, err := r(projectID)
	return err != nil || api.Restarts(projectID)
}

// Restart is that of API.
func (r Router) Restart(ctx context.Context, projectID, jobID string) (string, error) {
	api, err := r.find(OperationRestart, projectID)
	if err != nil {
		return "", err
	}
	return api.Restart(ctx, projectID, jobID)
}

package jobs

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// only is an API of one project.
type only string

func (o only) PageSize(string) int { return 50 }
func (o only) List(context.Context, string, Query) (*Page, error) {
	return &Page{RequestID: string(o)}, nil
}
func (o only) Get(context.Context, string, string) (*Job, error) { return &Job{ID: string(o)}, nil }
func (o only) Stop(context.Context, string, string) (Accepted, error) {
	return Accepted{RequestID: string(o)}, nil
}
func (o only) Restarts(string) bool                                    { return true }
func (o only) Restart(context.Context, string, string) (string, error) { return string(o), nil }

func TestRouter(t *testing.T) {
	ctx := t.Context()
	var api API = Router(func(projectID string) (API, error) {
		if projectID == "nowhere" {
			return nil, errors.New("project nowhere is in no account")
		}
		return only(projectID), nil
	})
	page, _ := api.List(ctx, "a", Query{})
	job, _ := api.Get(ctx, "b", "1")
	accepted, _ := api.Stop(ctx, "c", "1")
	restarted, _ := api.Restart(ctx, "d", "1")
	if got := page.RequestID + job.ID + accepted.RequestID + restarted; got != "abcd" || api.PageSize("a") != 50 || !api.Restarts("a") {
		t.Errorf("got %q", got)
	}

	_, list := api.List(ctx, "nowhere", Query{})
	_, get := api.Get(ctx, "nowhere", "1")
	_, stop := api.Stop(ctx, "nowhere", "1")
	_, restart := api.Restart(ctx, "nowhere", "1")
	for operation, err := range map[string]error{OperationList: list, OperationDetail: get, OperationStop: stop, OperationRestart: restart} {
		apiErr, ok := errors.AsType[*Error](err)
		if !ok || apiErr.Kind != KindInvalid || apiErr.Operation != operation || apiErr.MaybeSent || !errors.Is(err, ErrUnasked) || !strings.Contains(err.Error(), "in no account") {
			t.Errorf("%s of a project without an API: %v", operation, err)
		}
	}
	if api.PageSize("nowhere") < 1 || !api.Restarts("nowhere") {
		t.Error("a project without an API has no page size, or does not leave it to Restart to say what is wrong")
	}
}

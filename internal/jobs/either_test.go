package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// generation is an API that notes its calls, and fails all of them with err.
type generation struct {
	name     string
	size     int
	restarts bool
	takes    time.Duration

	mu    sync.Mutex
	err   error
	calls []string
}

func (g *generation) note(ctx context.Context, what, projectID string) error {
	time.Sleep(g.takes) // virtual: costs nothing
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, what+" "+projectID)
	return g.err
}

func (g *generation) answer(kind Kind) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err = nil; kind != KindOK {
		g.err = &Error{Operation: OperationList, Kind: kind, MaybeSent: kind == KindTimeout, Hint: g.name}
	}
}

// made takes the calls since the last time.
func (g *generation) made() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	text := strings.Join(g.calls, ", ")
	g.calls = nil
	return text
}

func (g *generation) PageSize(string) int  { return g.size }
func (g *generation) Restarts(string) bool { return g.restarts }
func (g *generation) List(ctx context.Context, projectID string, q Query) (*Page, error) {
	return &Page{RequestID: g.name}, g.note(ctx, fmt.Sprint("list", q.PerPage), projectID)
}
func (g *generation) Get(ctx context.Context, projectID, jobID string) (*Job, error) {
	return &Job{ID: jobID, RequestID: g.name}, g.note(ctx, "get "+jobID, projectID)
}
func (g *generation) Stop(ctx context.Context, projectID, jobID string) (Accepted, error) {
	return Accepted{RequestID: g.name}, g.note(ctx, "stop "+jobID, projectID)
}
func (g *generation) Restart(ctx context.Context, projectID, jobID string) (string, error) {
	return g.name, g.note(ctx, "restart "+jobID, projectID)
}

func generations() (first, second *generation) {
	return &generation{name: "v1", size: 100, restarts: true}, &generation{name: "v2", size: 50}
}

// What a list call of each says decides, or leaves it open.
func TestEitherAsksEachOnce(t *testing.T) {
	for _, tt := range []struct {
		first, second Kind
		want          string // whose call is sent; "" for none
		err           Kind
	}{
		{KindOK, KindOK, "v1", KindOK},
		{KindOK, KindUnavailable, "v1", KindOK},
		{KindOK, KindNoAPI, "v1", KindOK},
		{KindNoAPI, KindOK, "v2", KindOK},
		{KindNoAPI, KindThrottled, "v2", KindThrottled},
		{KindUnavailable, KindNoAPI, "v1", KindUnavailable},
		{KindPermission, KindNoAPI, "v1", KindPermission},
		{KindNoAPI, KindNoAPI, "", KindNoAPI},
		{KindUnavailable, KindOK, "", KindUnavailable},
		{KindPermission, KindOK, "", KindPermission},
		{KindTimeout, KindUnavailable, "", KindTimeout},
		{KindCredentials, KindCredentials, "", KindCredentials},
		{KindNoAPI, KindCredentials, "", KindCredentials},
		{KindThrottled, KindOK, "", KindThrottled},
		{KindNotFound, KindOK, "", KindUnavailable}, // the list was not found: that says nothing about job 10
		{KindNotAllowed, KindUnavailable, "", KindUnavailable},
		{KindInvalid, KindUnavailable, "", KindUnavailable},
		{KindNotFound, KindNoAPI, "v1", KindNotFound},
	} {
		t.Run(tt.first.String()+" "+tt.second.String(), func(t *testing.T) {
			first, second := generations()
			first.answer(tt.first)
			second.answer(tt.second)
			_, err := Either(first, second).Stop(t.Context(), "p", "10")
			apiErr, _ := errors.AsType[*Error](err)
			if KindOf(err) != tt.err || apiErr != nil && apiErr.MaybeSent {
				t.Errorf("got %v (%v), want %v, certainly not sent", err, KindOf(err), tt.err)
			}
			calls := map[string]string{"v1": first.made(), "v2": second.made()}
			if !strings.HasPrefix(calls["v1"], "list1 p") {
				t.Errorf("v1 got %q", calls["v1"])
			}
			if asked := strings.HasPrefix(calls["v2"], "list1 p"); asked != (tt.first != KindOK && tt.first != KindCredentials) {
				t.Errorf("v2 got %q", calls["v2"])
			}
			for name, made := range calls {
				if stopped := strings.HasSuffix(made, "stop 10 p"); stopped != (name == tt.want) || strings.Count(made, "list") > 1 {
					t.Errorf("%s got %q, the stop call is for %q", name, made, tt.want)
				}
			}
		})
	}
}

// Nobody says which one is missing if both are.
func TestEitherOfNone(t *testing.T) {
	first, second := generations()
	first.answer(KindNoAPI)
	second.answer(KindNoAPI)
	_, err := Either(first, second).Get(t.Context(), "p", "10")
	if text := fmt.Sprint(err); !strings.Contains(text, "neither") || !strings.Contains(text, "v1") || !strings.Contains(text, "v2") {
		t.Errorf("got %v", err)
	}
}

// An outage leaves it open, and what is found out later is remembered, for one project,
// until that one is no longer offered.
func TestEitherRemembers(t *testing.T) {
	first, second := generations()
	api := Either(first, second)
	want := func(what, v1, v2 string) {
		t.Helper()
		if got := [2]string{first.made(), second.made()}; got != [2]string{v1, v2} {
			t.Errorf("%s: got %q, want %q and %q", what, got, v1, v2)
		}
	}
	if api.PageSize("p") != 50 || !api.Restarts("p") {
		t.Errorf("not known: pages of %d, restarts %v", api.PageSize("p"), api.Restarts("p"))
	}
	first.answer(KindUnavailable)
	second.answer(KindUnavailable)
	api.Get(t.Context(), "p", "10")
	want("an outage", "list1 p", "list1 p")
	first.answer(KindNoAPI)
	second.answer(KindOK)
	if job, err := api.Get(t.Context(), "p", "10"); err != nil || job.RequestID != "v2" {
		t.Errorf("got %v, %v", job, err)
	}
	want("v1 is not offered", "list1 p", "list1 p, get 10 p")
	if api.PageSize("p") != 50 || api.Restarts("p") {
		t.Errorf("v2: pages of %d, restarts %v", api.PageSize("p"), api.Restarts("p"))
	}
	second.answer(KindUnavailable)
	api.List(t.Context(), "p", Query{PerPage: 7})
	api.Restart(t.Context(), "p", "10")
	want("remembered in an outage", "", "list7 p, restart 10 p")
	first.answer(KindOK)
	api.Get(t.Context(), "q", "11")
	want("another project", "list1 q, get 11 q", "")
	if api.PageSize("q") != 100 || !api.Restarts("q") {
		t.Errorf("v1: pages of %d, restarts %v", api.PageSize("q"), api.Restarts("q"))
	}
	second.answer(KindNoAPI)
	if _, err := api.Stop(t.Context(), "p", "10"); KindOf(err) != KindNoAPI {
		t.Errorf("got %v", err)
	}
	want("no longer offered", "", "stop 10 p")
	api.Stop(t.Context(), "p", "10")
	want("asked again", "list1 p, stop 10 p", "")
}

// Many callers at once ask once. One that does not want to wait any more gets the
// error of its context.
func TestEitherAsksOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := generations()
		first.takes = time.Second
		api := Either(first, second)
		var callers sync.WaitGroup
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		for range 10 {
			callers.Go(func() {
				if _, err := api.List(t.Context(), "p", Query{PerPage: 2}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if _, err := api.Get(short, "p", "10"); KindOf(err) != KindTimeout {
			t.Errorf("got %v", err)
		}
		callers.Wait()
		calls := strings.Split(first.made(), ", ")
		if slices.Sort(calls); strings.Join(calls, ", ") != "list1 p"+strings.Repeat(", list2 p", 10) || second.made() != "" {
			t.Errorf("calls %q", calls)
		}
	})
}

func TestEitherForgetsBeyondItsBound(t *testing.T) {
	first, second := generations()
	api := Either(first, second)
	for i := range mostChosen + 1 {
		api.Get(t.Context(), fmt.Sprint("p", i), "10")
	}
	if n := len(api.(*either).chosen); n != 1 {
		t.Errorf("%d projects are remembered, want the latest alone", n)
	}
}

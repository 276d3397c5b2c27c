package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"vizstop/internal/console/problem"
	"vizstop/internal/principals"
)

// A body is not decoded any further when its sender has hung up.
func TestDecodingEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	text := `{"jobs": ["1"` + strings.Repeat(`,"1"`, 1500) + `]}`
	if err := strict(ctx, []byte(text), documentShape, &document{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if err := strict(t.Context(), []byte(text), documentShape, &document{}); err != nil {
		t.Error(err)
	}
}

// Only a few large bodies are decoded at once; small ones don't wait for them.
func TestLargeBodiesWait(t *testing.T) {
	t.Parallel()
	a := &api{large: make(chan struct{}, 1), held: budget{most: mostHeld, mostOwn: ownHeld}}
	small := `{"project_id": "p", "jobs": ["1"]}`
	send := func(ctx context.Context, text string) (*request, error) {
		return a.readRequest(jsonOf(ctx, "ann", text))
	}
	large := small + strings.Repeat(" ", largeJSON)
	first, err := send(t.Context(), large)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := send(ctx, large); !errors.Is(err, context.Canceled) {
		t.Errorf("a second large body does not wait: %v", err)
	}
	if _, err := send(t.Context(), small); err != nil {
		t.Error(err)
	}
	first.close()
	if _, err := send(t.Context(), large); err != nil {
		t.Error(err)
	}
}

// Those that wait are in memory: of one principal no more than its part, and nothing is kept of it when they have
// ended.
func TestWaitingBodiesAreBounded(t *testing.T) {
	t.Parallel()
	a := &api{large: make(chan struct{}), held: budget{most: mostHeld, mostOwn: ownHeld}}
	text := `{"project_id": "p", "jobs": ["1"]}` + strings.Repeat(" ", maxJSON-100)
	ctx, stop := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	refused := make(chan error, 10)
	for range cap(refused) {
		waiting.Go(func() {
			if _, err := a.readRequest(jsonOf(ctx, "ann", text)); !errors.Is(err, context.Canceled) {
				refused <- err
			}
		})
	}
	select {
	case err := <-refused:
		if p, ok := errors.AsType[*problem.Problem](err); !ok || p.Type != problem.TooManyRequests {
			t.Errorf("one too many: %v", err)
		}
	case <-time.After(2 * time.Minute): // on a busy machine these bodies take a while
		t.Errorf("%d bodies of %d bytes wait in memory for one principal", cap(refused), len(text))
	}
	if _, err := a.readRequest(jsonOf(t.Context(), "bob", `{"project_id": "p", "jobs": ["1"]}`)); err != nil {
		t.Errorf("bob waits for ann: %v", err)
	}
	stop()
	waiting.Wait()
	if a.held.own["ann"] != 0 {
		t.Errorf("ann still has %d bytes", a.held.own["ann"])
	}
}

func jsonOf(ctx context.Context, as, text string) *http.Request {
	ctx = principals.NewContext(ctx, &principals.Principal{Name: as, Role: principals.Ask})
	r := httptest.NewRequestWithContext(ctx, "POST", "/v1/batches", strings.NewReader(text))
	r.Header.Set("Content-Type", typeJSON)
	return r
}

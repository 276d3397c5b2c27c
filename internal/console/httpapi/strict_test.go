package httpapi

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
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
	a := &api{large: make(chan struct{}, 1)}
	small := `{"project_id": "p", "jobs": ["1"]}`
	send := func(ctx context.Context, text string) (*request, error) {
		r := httptest.NewRequestWithContext(ctx, "POST", "/v1/batches", strings.NewReader(text))
		r.Header.Set("Content-Type", typeJSON)
		return a.readRequest(r)
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

package caller

import (
	"context"
	"errors"
	"testing"

	"vizstop/internal/jobs"
)

// answers is an API that answers restart calls with these errors, one after the other.
type answers struct {
	API
	errs []error
}

func (a *answers) Restart(context.Context, string, string) (string, error) {
	err := a.errs[0]
	a.errs = a.errs[1:]
	return "", err
}

// anyRate lets every call go out until ctx has ended. The second one it interrupts, if that is set.
type anyRate struct {
	calls     int
	interrupt func()
}

func (r *anyRate) Spend(ctx context.Context, _ string) error {
	if r.calls++; r.calls == 2 && r.interrupt != nil {
		r.interrupt()
	}
	return ctx.Err()
}

func (r *anyRate) Throttled(context.Context, string, error) error { return nil }

// A restart call gets no answer, and the next try tells nothing of that one: the error says that the first may have
// worked.
func TestRestartThatMayHaveWorked(t *testing.T) {
	lost := &jobs.Error{Operation: jobs.OperationRestart, Kind: jobs.KindTimeout, MaybeSent: true}
	refused := &jobs.Error{Kind: jobs.KindInvalid}
	away := &jobs.Error{Kind: jobs.KindUnavailable, HTTPStatus: 503, MaybeSent: true}
	active := &jobs.Error{Kind: jobs.KindNotAllowed, JobStatus: jobs.Status{State: jobs.Active}}
	for name, tt := range map[string]struct {
		errs        []error
		interrupted bool
		maybe       bool
	}{
		"refused":                     {[]error{refused}, false, false},
		"turned away, then refused":   {[]error{away, refused}, false, false},
		"no answer, then turned away": {[]error{lost, away, refused}, false, true},
		"no answer, then refused":     {[]error{lost, refused}, false, true},
		"no answer, interrupted":      {[]error{lost}, true, true},
		"no answer, but it is active": {[]error{lost, active}, false, false},
		"no answer, then accepted":    {[]error{lost, nil}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			rate := &anyRate{}
			if tt.interrupted {
				rate.interrupt = cancel
			}
			_, err := (&Caller{API: &answers{errs: tt.errs}, Rate: rate}).Restart(ctx, "p", "1")
			apiErr, _ := errors.AsType[*jobs.Error](err)
			maybe := apiErr != nil && apiErr.Unanswered()
			if maybe != tt.maybe || errors.Is(err, context.Canceled) != tt.interrupted {
				t.Errorf("%v, which may have worked: %t, want %t", err, maybe, tt.maybe)
			}
		})
	}
}

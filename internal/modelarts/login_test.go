package modelarts

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"
	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/samples"
)

// notCalled is an API that must not see a call without a token.
func notCalled(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { t.Errorf("%s was sent", r.URL) }
}

func TestLoginErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(http.ResponseWriter, string)
		want   jobs.Kind
	}{
		{"400", refuse(400, "The request body is invalid"), jobs.KindPermission},
		{"401", refuse(401, "The username or password is wrong."), jobs.KindCredentials},
		{"401 of a locked user", refuse(401, "The user is locked"), jobs.KindCredentials},
		{"401 that repeats what was sent", refuse(401, `refused: {"password":"x","project":"y"}`), jobs.KindCredentials},
		{"401 of a project", refuse(401, "The user is not in project x"), jobs.KindPermission},
		{"401 of anything", refuse(401, "The request you have made requires authentication."), jobs.KindPermission},
		{"403", refuse(403, "You are not authorized"), jobs.KindPermission},
		{"404", refuse(404, "Could not find project"), jobs.KindPermission},
		{"429", refuse(429, "slow down"), jobs.KindThrottled},
		{"500", refuse(500, "internal"), jobs.KindUnavailable},
		{"503", refuse(503, "unavailable"), jobs.KindUnavailable},
		{"302", refuse(302, ""), jobs.KindNoAPI},
		{"page", func(w http.ResponseWriter, _ string) { io.WriteString(w, samples.Page502) }, jobs.KindUnavailable},
		{"no token", func(w http.ResponseWriter, _ string) { w.WriteHeader(201) }, jobs.KindUnavailable},
		{"reset", func(w http.ResponseWriter, _ string) { hangUp(w, true) }, jobs.KindDisconnected},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, i := newPasswordClient(t, notCalled(t))
			i.answer = tt.answer
			err := stop(t, c, testProject)
			apiErr := asError(t, err)
			if apiErr.Kind != tt.want || apiErr.Operation != jobs.OperationToken || apiErr.MaybeSent {
				t.Errorf("got %v (kind %v, MaybeSent %v), want %v", err, apiErr.Kind, apiErr.MaybeSent, tt.want)
			}
		})
	}
}

func TestLoginErrorsHidePassword(t *testing.T) {
	c, i := newPasswordClient(t, notCalled(t))
	i.answer = refuse(400, "cannot parse "+testPassword)
	err := stop(t, c, testProject)
	mustHide(t, err, testPassword)
	if want := "modelarts token: http 400 400: cannot parse [hidden] (IAM gives no token for this project: check its id, and that the user may use it)"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestWrongPasswordIsNotHammered(t *testing.T) {
	c, i := newPasswordClient(t, accepting)
	i.answer = refuse(401, "The username or password is wrong.")
	for range 5 {
		for _, project := range []string{"a", "b"} {
			if err := stop(t, c, project); jobs.KindOf(err) != jobs.KindCredentials {
				t.Fatalf("got %v", err)
			}
		}
	}
	i.now.Add(refusalMemory - time.Second)
	stop(t, c, "a")
	if n := i.logins(); n != 1 {
		t.Fatalf("%d logins within the memory, want 1", n)
	}
	i.now.Add(time.Second)
	i.set(func() { i.answer = nil })
	mustStop(t, c, "a")
	mustStop(t, c, "b")
	if n := i.logins(); n != 3 {
		t.Errorf("%d logins, want 3", n)
	}
}

// One bad project must not shut out the others.
func TestRefusedProjectStandsAlone(t *testing.T) {
	c, i := newPasswordClient(t, accepting)
	i.answer = refuse(404, "Could not find project")
	stop(t, c, "bad")
	i.set(func() { i.answer = nil })
	mustStop(t, c, "good")
	if err := stop(t, c, "bad"); jobs.KindOf(err) != jobs.KindPermission {
		t.Errorf("got %v", err)
	}
	if n := i.logins(); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}
}

// A token in hand is used even while logins are refused.
func TestCachedTokenOutlastsRefusal(t *testing.T) {
	c, i := newPasswordClient(t, accepting)
	mustStop(t, c, "a")
	i.set(func() { i.answer = refuse(401, "The username or password is wrong.") })
	if err := stop(t, c, "b"); jobs.KindOf(err) != jobs.KindCredentials {
		t.Errorf("got %v", err)
	}
	mustStop(t, c, "a")
}

// An outage is not a refusal: the next call tries again.
func TestLoginOutageIsNotRemembered(t *testing.T) {
	c, i := newPasswordClient(t, accepting)
	i.answer = refuse(503, "unavailable")
	if err := stop(t, c, testProject); jobs.KindOf(err) != jobs.KindUnavailable {
		t.Errorf("got %v", err)
	}
	i.set(func() { i.answer = nil })
	mustStop(t, c, testProject)
}

// Each caller may change the error it got.
func TestRememberedRefusalIsCopied(t *testing.T) {
	c, i := newPasswordClient(t, notCalled(t))
	i.answer = refuse(403, "no")
	first := asError(t, stop(t, c, testProject))
	second := asError(t, stop(t, c, testProject))
	if first == second || *first != *second {
		t.Errorf("got %p %+v and %p %+v", first, *first, second, *second)
	}
}

func TestExpiry(t *testing.T) {
	now := newClock().Now()
	for body, want := range map[string]time.Time{
		`{"token":{"expires_at":"2026-01-03T03:04:05.123000Z"}}`: time.Date(2026, 1, 3, 3, 4, 5, 123e6, time.UTC),
		`{"token":{"expires_at":"tomorrow"}}`:                    now.Add(fallbackLife),
		`{"token":{}}`:                                           now.Add(fallbackLife),
		`{}`:                                                     now.Add(fallbackLife),
		``:                                                       now.Add(fallbackLife),
	} {
		if got := expiry([]byte(body), now); !got.Equal(want) {
			t.Errorf("expiry of %s = %v, want %v", body, got, want)
		}
	}
}

// What was lent is used while IAM is away, as long as it lives.
func TestTokenOutlastsOutageOfIAM(t *testing.T) {
	c, i := newPasswordClient(t, accepting)
	mustStop(t, c, "a")
	i.now.Add(23*time.Hour + 51*time.Minute) // 9 minutes left
	i.set(func() { i.answer = refuse(503, "unavailable") })
	if err := stop(t, c, "a"); err != nil {
		t.Errorf("the token is good for 9 minutes: %v", err)
	}
	i.now.Add(10 * time.Minute)
	if err := stop(t, c, "a"); jobs.KindOf(err) != jobs.KindUnavailable {
		t.Errorf("expired: %v", err)
	}
}

func TestAgencyKeyOutlastsOutageOfIAM(t *testing.T) {
	c, l := newAgencyClient(t, accepting)
	mustStop(t, c, "a")
	l.now.Add(49 * time.Minute) // 11 minutes left of an hour; of a day it would be 4:48 h
	l.set(func() { l.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) } })
	if err := stop(t, c, "a"); err != nil {
		t.Errorf("the key is good for 11 minutes: %v", err)
	}
}

// What was lent is used also while IAM hangs, not only while it refuses.
func TestTokenOutlastsIAMThatHangs(t *testing.T) {
	c, i := newPasswordClient(t, accepting)
	mustStop(t, c, "a")
	i.now.Add(23*time.Hour + 51*time.Minute) // 9 minutes left
	hang := make(chan struct{})
	defer close(hang)
	i.set(func() { i.answer = func(http.ResponseWriter, string) { <-hang } })
	for n := range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // a call's, in short
		_, err := stopJob(c, ctx, "a", "10")
		cancel()
		if err != nil {
			t.Errorf("call %d: the token is good for 9 minutes: %v", n, err)
		}
	}
}

package modelarts

import (
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/samples"
)

// A request that was refused with the former credentials is sent once more.
func TestReplacedWhileACallIsUnderWay(t *testing.T) {
	creds := NewReplaceable(NewToken("old"))
	var tokens []string
	c := newClient(t, samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("X-Auth-Token")
		if tokens = append(tokens, token); token == "old" {
			creds.Replace(NewToken("new"))
			w.WriteHeader(401)
			io.WriteString(w, samples.Gateway)
			return
		}
		accepting(w, r)
	}).URL, WithCredentials(creds))
	mustStop(t, c, testProject)
	if want := []string{"old", "new"}; !slices.Equal(tokens, want) {
		t.Errorf("sent %q, want %q", tokens, want)
	}
}

// What was not replaced is renewed as it is without a Replaceable.
func TestReplaceableRenews(t *testing.T) {
	calls := 0
	refusing := func(w http.ResponseWriter, r *http.Request) { calls++; w.WriteHeader(401) }
	c := newClient(t, samples.Serve(t, refusing).URL, WithCredentials(NewReplaceable(NewToken("old"))))
	if err := stop(t, c, testProject); jobs.KindOf(err) != jobs.KindCredentials || calls != 1 {
		t.Errorf("a token: %v after %d calls", err, calls)
	}
	l, url := newLending(t)
	agency := mustAgency(t, AgencyConfig{IAMEndpoint: url, Name: "a", Domain: "d", Through: NewReplaceable(NewAKSK(testKey, "")), Duration: MinAgencyDuration})
	calls = 0
	c = newClient(t, samples.Serve(t, refusing).URL, WithCredentials(NewReplaceable(agency)), WithClock(l.now.Now))
	if err := stop(t, c, testProject); jobs.KindOf(err) != jobs.KindCredentials || calls != 2 || len(l.asks()) != 2 {
		t.Errorf("an agency: %v after %d calls, %q", err, calls, l.asks())
	}
}

func TestReplaceIsSafe(t *testing.T) {
	creds := NewReplaceable(NewToken("a"))
	c := newClient(t, samples.Serve(t, accepting).URL, WithCredentials(creds))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				creds.Replace(NewToken("b"))
				if err := stop(t, c, testProject); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestReplaceableHidesSecrets(t *testing.T) {
	creds := NewReplaceable(NewToken("hush-hush"))
	mustHide(t, creds, "hush-hush")
	mustHide(t, &struct{ private Credentials }{creds}, "hush-hush")
}

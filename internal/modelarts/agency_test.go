package modelarts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/samples"
	"vizstop/internal/modelarts/sdkhmac"
)

// lending is an IAM that lends the keys 1, 2, ... of any agency, and keeps a list
// of who asked for what.
type lending struct {
	t   *testing.T
	now *clock

	mu     sync.Mutex
	asked  []string // "proof agency domain seconds"
	answer func(w http.ResponseWriter, r *http.Request)
	life   time.Duration // of the answer's expires_at; 0 leaves it out
}

func (l *lending) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != "POST" || r.URL.String() != "/v3.0/OS-CREDENTIAL/securitytokens" || r.Header.Get("X-Project-Id") != "" ||
		r.Header.Get("Content-Type") != "application/json;charset=utf8" {
		l.t.Errorf("unexpected assumption: %s %s %v", r.Method, r.URL, r.Header)
	}
	var body assumeJSON
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		l.t.Error(err)
	}
	role := body.Auth.Identity.AssumeRole
	if !slices.Equal(body.Auth.Identity.Methods, []string{"assume_role"}) || role.SessionUser.Name != "vizstop" {
		l.t.Errorf("unexpected body: %+v", body)
	}
	l.mu.Lock()
	l.asked = append(l.asked, fmt.Sprintf("%s %s %s %d", proof(r), role.AgencyName, role.DomainName, role.DurationSeconds))
	n, answer, life := len(l.asked), l.answer, l.life
	l.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	expires := ""
	if life != 0 {
		expires = l.now.Now().Add(life).Format("2006-01-02T15:04:05.000000Z")
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"credential":{"access":"lent-%d","secret":"lent-secret-%d","securitytoken":"lent-token-%d","expires_at":%q}}`, n, n, n, expires)
}

// proof is who a request says it is.
func proof(r *http.Request) string {
	if token := r.Header.Get("X-Auth-Token"); token != "" {
		return token
	}
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Access=")
	access, _, _ := strings.Cut(rest, ",")
	if token := r.Header.Get("X-Security-Token"); token != "" {
		access += "+" + token
	}
	return access
}

func (l *lending) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *lending) asks() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.asked)
}

func newLending(t *testing.T) (*lending, string) {
	l := &lending{t: t, now: newClock(), life: time.Hour}
	return l, samples.Serve(t, l.ServeHTTP).URL
}

func mustAgency(t *testing.T, cfg AgencyConfig) Credentials {
	t.Helper()
	creds, err := NewAgency(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return creds
}

// newAgencyClient is a client of api that assumes the agency ops of the domain
// "other" with testKey.
func newAgencyClient(t *testing.T, api http.HandlerFunc, opts ...Option) (*Client, *lending) {
	t.Helper()
	l, url := newLending(t)
	creds := mustAgency(t, AgencyConfig{IAMEndpoint: url, Name: "ops", Domain: "other", Through: NewAKSK(testKey, ""), Duration: time.Hour})
	opts = append([]Option{WithCredentials(creds), WithClock(l.now.Now)}, opts...)
	return newClient(t, samples.Serve(t, api).URL, opts...), l
}

// seen keeps who called the API, and accepts.
type seen struct {
	mu  sync.Mutex
	all []string
}

func (s *seen) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.all = append(s.all, proof(r)+" "+r.Header.Get("X-Project-Id"))
	s.mu.Unlock()
	accepting(w, r)
}

func TestNewAgencyChecks(t *testing.T) {
	good := AgencyConfig{IAMEndpoint: "https://iam.example.com", Name: "a", Domain: "d", Through: NewToken("x"), Duration: time.Hour}
	mustAgency(t, good)
	for want, change := range map[string]func(*AgencyConfig){
		"name is empty":                func(c *AgencyConfig) { c.Name = "" },
		"domain is empty":              func(c *AgencyConfig) { c.Domain = "" },
		"nobody to assume it":          func(c *AgencyConfig) { c.Through = nil },
		"duration is 14m59s: it must":  func(c *AgencyConfig) { c.Duration = MinAgencyDuration - time.Second },
		"duration is 24h0m1s: it must": func(c *AgencyConfig) { c.Duration = MaxAgencyDuration + time.Second },
		"duration is 1h0m0.5s":         func(c *AgencyConfig) { c.Duration += time.Second / 2 },
		"IAM endpoint":                 func(c *AgencyConfig) { c.IAMEndpoint = "http://iam.example.com" },
	} {
		cfg := good
		change(&cfg)
		if _, err := NewAgency(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// One key serves all projects, and signs each call with its security token.
func TestAgencyKeyServesAllProjects(t *testing.T) {
	var s seen
	var watch observations
	c, l := newAgencyClient(t, s.ServeHTTP, WithObserver(watch.add))
	mustStop(t, c, "a")
	mustStop(t, c, "b")
	if want := []string{"lent-1+lent-token-1 a", "lent-1+lent-token-1 b"}; !slices.Equal(s.all, want) {
		t.Errorf("sent %q, want %q", s.all, want)
	}
	if want := []string{"AKEXAMPLE ops other 3600"}; !slices.Equal(l.asks(), want) {
		t.Errorf("asked %q, want %q", l.asks(), want)
	}
	if got, want := watch.take(), []string{"token ok", "stop ok", "stop ok"}; !slices.Equal(got, want) {
		t.Errorf("observed %q, want %q", got, want)
	}
}

// The signature of an assumption and that of a call with the lent key are right.
func TestAgencySignatures(t *testing.T) {
	c, l := newAgencyClient(t, func(w http.ResponseWriter, r *http.Request) {
		signed := strings.Split("host;x-project-id;x-sdk-date;x-security-token", ";")
		canonical := sdkhmac.CanonicalRequest(r, signed, sdkhmac.PayloadHash(nil))
		if want := sdkhmac.Signature("lent-secret-1", r.Header.Get("X-Sdk-Date"), canonical); !strings.HasSuffix(r.Header.Get("Authorization"), "Signature="+want) {
			t.Errorf("Authorization = %q, want signature %s", r.Header.Get("Authorization"), want)
		}
		accepting(w, r)
	})
	inner := l.ServeHTTP
	c.creds.(*agency).endpoint.Host = strings.TrimPrefix(samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		verify(t, r, "content-type;host;x-sdk-date")
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		inner(w, r)
	}).URL, "http://")
	mustStop(t, c, "a")
}

// A key is renewed when 80 % of its life have passed, by the shorter of what was
// asked for and what the answer says.
func TestAgencyKeyIsRenewedInTime(t *testing.T) {
	for name, tt := range map[string]struct{ life, good time.Duration }{
		"by expires_at":            {time.Hour, 48 * time.Minute},
		"without expires_at":       {0, 48 * time.Minute},
		"shorter than asked":       {30 * time.Minute, 24 * time.Minute},
		"longer, by another clock": {2 * time.Hour, 48 * time.Minute},
		"expired by our clock":     {-time.Hour, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			c, l := newAgencyClient(t, accepting)
			l.life = tt.life
			mustStop(t, c, "a")
			l.now.Add(tt.good - time.Second)
			mustStop(t, c, "b")
			if n := len(l.asks()); n != 1 {
				t.Fatalf("%d assumptions while the key is good", n)
			}
			l.now.Add(time.Second)
			mustStop(t, c, "a")
			if n := len(l.asks()); n != 2 {
				t.Fatalf("%d assumptions after the key got old", n)
			}
		})
	}
}

func TestConcurrentCallsShareOneAssumption(t *testing.T) {
	c, l := newAgencyClient(t, accepting)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := stop(t, c, fmt.Sprint("p", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(l.asks()); n != 1 {
		t.Errorf("%d assumptions, want 1", n)
	}
}

// The caller who began an assumption can leave; the others get their key.
func TestAssumptionOutlivesItsFirstCaller(t *testing.T) {
	c, l := newAgencyClient(t, accepting)
	arrived, release := make(chan struct{}), make(chan struct{})
	l.answer = func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		w.WriteHeader(201)
		io.WriteString(w, `{"credential":{"access":"late","secret":"s","securitytoken":"t"}}`)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := stopJob(c, ctx, "a", "10")
		first <- err
	}()
	<-arrived
	cancel()
	if apiErr := asError(t, <-first); apiErr.Kind != jobs.KindCanceled || apiErr.MaybeSent || !errors.Is(apiErr, context.Canceled) {
		t.Errorf("the first caller got %#v", apiErr)
	}
	second := make(chan error)
	go func() { second <- stop(t, c, "b") }()
	close(release)
	if err := <-second; err != nil {
		t.Errorf("the second caller got %v", err)
	}
	if n := len(l.asks()); n != 1 {
		t.Errorf("%d assumptions, want 1", n)
	}
}

// A refused assumption is about no project: who we are was not accepted. What
// says nothing about it keeps its kind.
func TestAssumptionErrors(t *testing.T) {
	say := func(status int, message string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { refuse(status, message)(w, "") }
	}
	for _, tt := range []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request)
		want   jobs.Kind
	}{
		{"400", say(400, "The request body is invalid"), jobs.KindCredentials},
		{"401", say(401, "Authentication required"), jobs.KindCredentials},
		{"403", say(403, "You are not allowed to assume it in this project"), jobs.KindCredentials},
		{"404", say(404, "Could not find agency"), jobs.KindCredentials},
		{"429", say(429, "slow down"), jobs.KindThrottled},
		{"503", say(503, "unavailable"), jobs.KindUnavailable},
		{"302", say(302, ""), jobs.KindNoAPI},
		{"page", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, samples.Page502) }, jobs.KindUnavailable},
		{"no key", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"credential":{"access":"a"}}`) }, jobs.KindUnavailable},
		{"odd key", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"credential":{"access":"a","secret":7,"securitytoken":"hush"}}`)
		}, jobs.KindUnavailable},
		{"reset", func(w http.ResponseWriter, _ *http.Request) { hangUp(w, true) }, jobs.KindDisconnected},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, l := newAgencyClient(t, notCalled(t))
			l.answer = tt.answer
			apiErr := asError(t, stop(t, c, "a"))
			if apiErr.Kind != tt.want || apiErr.Operation != jobs.OperationToken || apiErr.MaybeSent {
				t.Errorf("got %v (kind %v, MaybeSent %v), want %v", apiErr, apiErr.Kind, apiErr.MaybeSent, tt.want)
			}
			if named := strings.Contains(apiErr.Error(), `agency "ops" of "other" cannot be assumed`); named != (tt.want == jobs.KindCredentials) {
				t.Errorf("got %v", apiErr)
			}
			if strings.Contains(apiErr.Error(), "for this project") {
				t.Errorf("the hint is about a project: %v", apiErr)
			}
			mustHide(t, apiErr, "hush")
		})
	}
}

func TestRefusedAssumptionIsNotHammered(t *testing.T) {
	c, l := newAgencyClient(t, accepting)
	l.answer = func(w http.ResponseWriter, _ *http.Request) { refuse(403, "no")(w, "") }
	for range 5 {
		for _, project := range []string{"a", "b"} {
			if err := stop(t, c, project); jobs.KindOf(err) != jobs.KindCredentials {
				t.Fatalf("got %v", err)
			}
		}
	}
	l.now.Add(refusalMemory - time.Second)
	stop(t, c, "a")
	if n := len(l.asks()); n != 1 {
		t.Fatalf("%d assumptions within the memory, want 1", n)
	}
	l.now.Add(time.Second)
	l.set(func() { l.answer = nil })
	mustStop(t, c, "b")
}

// A key that the API refuses is replaced, once for a call.
func TestRefusedAgencyKeyIsRenewedOnce(t *testing.T) {
	var s seen
	refused := "lent-1+lent-token-1 a"
	c, l := newAgencyClient(t, func(w http.ResponseWriter, r *http.Request) {
		if proof(r)+" "+r.Header.Get("X-Project-Id") == refused {
			w.WriteHeader(401)
			io.WriteString(w, samples.Gateway)
			return
		}
		s.ServeHTTP(w, r)
	})
	mustStop(t, c, "a")
	mustStop(t, c, "a")
	if want := []string{"lent-2+lent-token-2 a", "lent-2+lent-token-2 a"}; !slices.Equal(s.all, want) || len(l.asks()) != 2 {
		t.Errorf("sent %q, asked %q", s.all, l.asks())
	}
	stale, err := http.NewRequest("GET", "http://127.0.0.1/", nil)
	if err != nil {
		t.Fatal(err)
	}
	stale.Header.Set("X-Security-Token", "lent-token-1")
	c.creds.renew(stale, &Call{})
	mustStop(t, c, "a")
	if n := len(l.asks()); n != 2 {
		t.Errorf("the newer key was dropped: %q", l.asks())
	}
}

// An agency goes through a password: the login is for the whole account, and its
// token is renewed when IAM refuses it.
func TestAgencyThroughPassword(t *testing.T) {
	var s seen
	l, url := newLending(t)
	logins := 0
	iam := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		var login loginJSON
		if err := json.NewDecoder(r.Body).Decode(&login); err != nil || login.Auth.Scope.Project.ID != "" || login.Auth.Scope.Domain.Name != "domain" {
			t.Errorf("login %+v, %v", login, err)
		}
		logins++
		w.Header().Set("X-Subject-Token", fmt.Sprint("token-", logins))
		w.WriteHeader(201)
	})
	through, err := NewPassword(PasswordConfig{IAMEndpoint: iam.URL, User: "user", Password: testPassword, Domain: "domain"})
	if err != nil {
		t.Fatal(err)
	}
	l.answer = func(w http.ResponseWriter, r *http.Request) {
		if proof(r) == "token-1" {
			refuse(401, "Authentication required")(w, "")
			return
		}
		w.WriteHeader(201)
		io.WriteString(w, `{"credential":{"access":"k","secret":"s","securitytoken":"t"}}`)
	}
	creds := mustAgency(t, AgencyConfig{IAMEndpoint: url, Name: "ops", Domain: "other", Through: through, Duration: time.Hour})
	mustStop(t, newClient(t, samples.Serve(t, s.ServeHTTP).URL, WithCredentials(creds), WithClock(l.now.Now)), "a")
	if want := []string{"token-1 ops other 3600", "token-2 ops other 3600"}; !slices.Equal(l.asks(), want) || !slices.Equal(s.all, []string{"k+t a"}) {
		t.Errorf("asked %q, sent %q", l.asks(), s.all)
	}
}

// An agency goes through another one; an error names both.
func TestAgencyThroughAgency(t *testing.T) {
	var s seen
	l, url := newLending(t)
	first := mustAgency(t, AgencyConfig{IAMEndpoint: url, Name: "first", Domain: "b", Through: NewAKSK(testKey, ""), Duration: time.Hour})
	second := mustAgency(t, AgencyConfig{IAMEndpoint: url, Name: "second", Domain: "c", Through: first, Duration: 2 * time.Hour})
	c := newClient(t, samples.Serve(t, s.ServeHTTP).URL, WithCredentials(second), WithClock(l.now.Now))
	mustStop(t, c, "a")
	if want := []string{"AKEXAMPLE first b 3600", "lent-1+lent-token-1 second c 7200"}; !slices.Equal(l.asks(), want) || !slices.Equal(s.all, []string{"lent-2+lent-token-2 a"}) {
		t.Errorf("asked %q, sent %q", l.asks(), s.all)
	}
	l.now.Add(3 * time.Hour)
	l.set(func() { l.answer = func(w http.ResponseWriter, _ *http.Request) { refuse(403, "no")(w, "") } })
	err := stop(t, c, "a")
	if text := err.Error(); jobs.KindOf(err) != jobs.KindCredentials || !strings.Contains(text, `"second" of "c"`) || !strings.Contains(text, `"first" of "b"`) {
		t.Errorf("got %v", err)
	}
}

// No secret is shown, whatever is printed and whatever IAM repeats.
func TestAgencyHidesSecrets(t *testing.T) {
	c, l := newAgencyClient(t, func(w http.ResponseWriter, r *http.Request) {
		refuse(403, "you sent "+r.Header.Get("X-Security-Token")+" "+r.Header.Get("Authorization"))(w, "")
	})
	err := stop(t, c, "a")
	for _, secret := range []string{"lent-secret-1", "lent-token-1", "Signature=", testKey.SecretKey} {
		mustHide(t, err, secret)
		mustHide(t, c, secret)
		mustHide(t, c.creds, secret)
		mustHide(t, c.creds.(*agency).AgencyConfig, secret)
		mustHide(t, &struct{ private Credentials }{c.creds}, secret)
	}
	l.now.Add(time.Hour)
	l.set(func() {
		l.answer = func(w http.ResponseWriter, r *http.Request) {
			refuse(403, "you sent "+r.Header.Get("Authorization"))(w, "")
		}
	})
	mustHide(t, stop(t, c, "a"), "Signature=")
}

// What a person does about an agency that IAM refuses is said of the key that it goes through.
func TestHintOfAnAgency(t *testing.T) {
	for _, tt := range []struct {
		status        int
		message, want string
	}{
		{401, "AK access failed to reach the limit,forbidden.", "too many refused calls have locked the key"},
		{401, "verify aksk signature fail", "check X"},
		{403, "You are not authorized", ""},
	} {
		c, l := newAgencyClient(t, notCalled(t), WithAdvice("check X"))
		l.answer = func(w http.ResponseWriter, _ *http.Request) { refuse(tt.status, tt.message)(w, "") }
		if e := asError(t, stop(t, c, "a")); e.Kind != jobs.KindCredentials || !strings.HasPrefix(e.Hint, tt.want) || e.Hint != "" && tt.want == "" {
			t.Errorf("%d %s: %v, of kind %v; want the hint %q", tt.status, tt.message, e, e.Kind, tt.want)
		}
	}
}

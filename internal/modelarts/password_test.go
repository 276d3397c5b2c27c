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
)

const testPassword = `p"ass<word>`

// iam hands out the tokens token-1, token-2, ... and keeps a list of the
// projects they are for.
type iam struct {
	t   *testing.T
	now *clock

	mu       sync.Mutex
	projects []string
	// answer, if set, answers instead.
	answer func(w http.ResponseWriter, project string)
	// life is how long a token lives; 0 leaves expires_at out.
	life time.Duration
}

func (i *iam) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var login loginJSON
	if err := json.NewDecoder(r.Body).Decode(&login); err != nil {
		i.t.Error(err)
	}
	user := login.Auth.Identity.Password.User
	if r.Method != "POST" || r.URL.String() != "/v3/auth/tokens?nocatalog=true" ||
		r.Header.Get("Content-Type") != "application/json;charset=utf8" ||
		r.Header.Get("X-Auth-Token") != "" || r.Header.Get("Authorization") != "" ||
		!slices.Equal(login.Auth.Identity.Methods, []string{"password"}) ||
		user.Name != "user" || user.Password != testPassword || user.Domain.Name != "domain" {
		i.t.Errorf("unexpected login: %s %s %v %+v", r.Method, r.URL, r.Header, login)
	}
	project := login.Auth.Scope.Project.ID
	i.mu.Lock()
	i.projects = append(i.projects, project)
	n, answer, life := len(i.projects), i.answer, i.life
	i.mu.Unlock()
	if answer != nil {
		answer(w, project)
		return
	}
	w.Header().Set("X-Subject-Token", fmt.Sprintf("token-%d", n))
	w.WriteHeader(http.StatusCreated)
	if life != 0 {
		fmt.Fprintf(w, `{"token":{"expires_at":%q,"methods":["password"]}}`, i.now.Now().Add(life).Format("2006-01-02T15:04:05.000000Z"))
	}
}

func (i *iam) logins() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.projects)
}

func (i *iam) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

// refuse answers every login with one error.
func refuse(status int, message string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, _ string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"code":%d,"message":%q,"title":"x"}}`, status, message)
	}
}

// newPasswordClient is a client of api whose tokens come from an iam.
func newPasswordClient(t *testing.T, api http.HandlerFunc, opts ...Option) (*Client, *iam) {
	t.Helper()
	i := &iam{t: t, now: newClock(), life: 24 * time.Hour}
	creds, err := NewPassword(PasswordConfig{
		IAMEndpoint: samples.Serve(t, i.ServeHTTP).URL, User: "user", Password: testPassword, Domain: "domain"})
	if err != nil {
		t.Fatal(err)
	}
	opts = append([]Option{WithCredentials(creds), WithClock(i.now.Now)}, opts...)
	return newClient(t, samples.Serve(t, api).URL, opts...), i
}

func accepting(w http.ResponseWriter, r *http.Request) { io.WriteString(w, samples.Stop) }

func stop(t *testing.T, c *Client, project string) error {
	t.Helper()
	_, err := stopJob(c, t.Context(), project, "10")
	return err
}

func mustStop(t *testing.T, c *Client, project string) {
	t.Helper()
	if err := stop(t, c, project); err != nil {
		t.Fatal(err)
	}
}

func TestNewPasswordChecks(t *testing.T) {
	good := PasswordConfig{IAMEndpoint: "https://iam.example.com", User: "u", Password: "hush", Domain: "d"}
	if _, err := NewPassword(good); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*PasswordConfig){
		"user is empty":     func(c *PasswordConfig) { c.User = "" },
		"password is empty": func(c *PasswordConfig) { c.Password = "" },
		"domain is empty":   func(c *PasswordConfig) { c.Domain = "" },
		"IAM endpoint":      func(c *PasswordConfig) { c.IAMEndpoint = "http://iam.example.com" },
	} {
		cfg := good
		change(&cfg)
		if _, err := NewPassword(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	plain := good
	plain.IAMEndpoint, plain.AllowPlainHTTP = "http://iam.example.com", true
	if _, err := NewPassword(plain); err != nil {
		t.Error(err)
	}
}

func TestTokenIsCachedPerProject(t *testing.T) {
	var seen []string
	var watch observations
	c, i := newPasswordClient(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("X-Auth-Token"))
		accepting(w, r)
	}, WithObserver(watch.add))
	for _, project := range []string{"a", "b", "a", "b"} {
		mustStop(t, c, project)
	}
	if want := []string{"token-1", "token-2", "token-1", "token-2"}; !slices.Equal(seen, want) {
		t.Errorf("sent %v, want %v", seen, want)
	}
	if !slices.Equal(i.projects, []string{"a", "b"}) {
		t.Errorf("logged in for %v", i.projects)
	}
	want := []string{"token ok", "stop ok", "token ok", "stop ok", "stop ok", "stop ok"}
	if got := watch.take(); !slices.Equal(got, want) {
		t.Errorf("observed %v, want %v", got, want)
	}
}

func TestTokenIsRenewedInTime(t *testing.T) {
	for _, tt := range []struct {
		name string
		life time.Duration
		good time.Duration // no login until just before
	}{
		{name: "by expires_at", life: 24 * time.Hour, good: 23*time.Hour + 50*time.Minute},
		{name: "without expires_at", life: 0, good: 22*time.Hour + 50*time.Minute},
		{name: "short-lived", life: 11 * time.Minute, good: time.Minute},
		{name: "expired by our clock", life: -time.Hour, good: time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, i := newPasswordClient(t, accepting)
			i.life = tt.life
			mustStop(t, c, testProject)
			i.now.Add(tt.good - time.Second)
			mustStop(t, c, testProject)
			if n := i.logins(); n != 1 {
				t.Fatalf("%d logins while the token is good", n)
			}
			i.now.Add(time.Second)
			mustStop(t, c, testProject)
			if n := i.logins(); n != 2 {
				t.Fatalf("%d logins after the token got old", n)
			}
		})
	}
}

func TestConcurrentCallsShareOneLogin(t *testing.T) {
	c, i := newPasswordClient(t, accepting)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := stop(t, c, testProject); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := i.logins(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

// Whoever waits for a login can leave, even the one who began it, and the
// others still get their token.
func TestLoginOutlivesItsFirstCaller(t *testing.T) {
	c, i := newPasswordClient(t, accepting)
	arrived, release := make(chan struct{}), make(chan struct{})
	i.answer = func(w http.ResponseWriter, _ string) {
		close(arrived)
		<-release
		w.Header().Set("X-Subject-Token", "late")
		w.WriteHeader(201)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := stopJob(c, ctx, testProject, "10")
		first <- err
	}()
	<-arrived
	cancel()
	apiErr := asError(t, <-first)
	if apiErr.Kind != jobs.KindCanceled || apiErr.Operation != jobs.OperationToken || apiErr.MaybeSent || !errors.Is(apiErr, context.Canceled) {
		t.Errorf("the first caller got %#v", apiErr)
	}
	second := make(chan error)
	go func() { second <- stop(t, c, testProject) }()
	close(release)
	if err := <-second; err != nil {
		t.Errorf("the second caller got %v", err)
	}
	if n := i.logins(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

func TestRefusedTokenIsRenewedOnce(t *testing.T) {
	var seen []string
	var watch observations
	c, _ := newPasswordClient(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("X-Auth-Token"))
		if len(seen) == 2 {
			w.WriteHeader(401)
			io.WriteString(w, samples.Gateway)
			return
		}
		accepting(w, r)
	}, WithObserver(watch.add))
	for range 3 {
		mustStop(t, c, testProject)
	}
	if want := []string{"token-1", "token-1", "token-2", "token-2"}; !slices.Equal(seen, want) {
		t.Errorf("sent %v, want %v", seen, want)
	}
	want := []string{"token ok", "stop ok", "stop credentials", "token ok", "stop ok", "stop ok"}
	if got := watch.take(); !slices.Equal(got, want) {
		t.Errorf("observed %v, want %v", got, want)
	}
}

func TestTokenRefusedAgainAndAgain(t *testing.T) {
	calls := 0
	c, i := newPasswordClient(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		w.WriteHeader(401)
	})
	err := stop(t, c, testProject)
	if apiErr := asError(t, err); apiErr.Kind != jobs.KindCredentials || apiErr.Operation != jobs.OperationStop {
		t.Errorf("got %v", err)
	}
	if calls != 2 || i.logins() != 2 {
		t.Errorf("%d calls and %d logins, want 2 and 2", calls, i.logins())
	}
}

// A frozen account answers 401 too, and no token helps.
func TestPermissionIsNotRepeated(t *testing.T) {
	calls := 0
	c, i := newPasswordClient(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		w.WriteHeader(401)
		io.WriteString(w, `{"error_code":"ModelArts.6201","error_msg":"frozen"}`)
	})
	if err := stop(t, c, testProject); jobs.KindOf(err) != jobs.KindPermission || calls != 1 || i.logins() != 1 {
		t.Errorf("%v after %d calls and %d logins", err, calls, i.logins())
	}
}

// Only the token that was refused is dropped, not the one that replaced it.
func TestRenewKeepsTheNewerToken(t *testing.T) {
	c, i := newPasswordClient(t, accepting)
	mustStop(t, c, testProject)
	req, err := http.NewRequest("GET", "http://127.0.0.1/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", "token-0")
	c.creds.renew(req, &Call{ProjectID: testProject})
	mustStop(t, c, testProject)
	if n := i.logins(); n != 1 {
		t.Errorf("%d logins, want 1", n)
	}
}

func TestCachedTokenIsNotPrinted(t *testing.T) {
	c, i := newPasswordClient(t, accepting)
	now := i.now.Now()
	c.creds.(*password).tokens.keep(testProject, newSecret("token-1"), now.Add(time.Hour), now)
	mustHide(t, c, "token-1")
	mustHide(t, c.creds, "token-1")
	mustHide(t, &struct{ private Credentials }{c.creds}, "token-1")
	mustStop(t, c, testProject)
	if n := i.logins(); n != 0 {
		t.Errorf("%d logins although a token was there", n)
	}
}

// What IAM says of its own limit is not the limit of the project's calls.
func TestLimitOfLogins(t *testing.T) {
	c, i := newPasswordClient(t, accepting)
	i.answer = func(w http.ResponseWriter, _ string) {
		w.WriteHeader(429)
		w.Write([]byte(`{"error_code":"APIGW.0308","error_msg":"The throttling threshold has been reached: ` +
			`policy user over ratelimit,limit:5,time:1 minute"}`))
	}
	apiErr := asError(t, stop(t, c, "a"))
	if apiErr.Operation != jobs.OperationToken || apiErr.Kind != jobs.KindThrottled || apiErr.Limit != 0 {
		t.Errorf("%s %v: limit %v calls a second", apiErr.Operation, apiErr.Kind, apiErr.Limit)
	}
}

package modelarts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/samples"
	"vizstop/internal/modelarts/sdkhmac"
)

var testKey = sdkhmac.Key{AccessKey: "AKEXAMPLE", SecretKey: "secret-key-for-tests"}

// verify recomputes the signature of a received request from its own headers.
func verify(t *testing.T, r *http.Request, wantSigned string) {
	t.Helper()
	want := sdkhmac.Algorithm + " Access=" + testKey.AccessKey + ", SignedHeaders=" + wantSigned + ", Signature="
	authorization := r.Header.Get("Authorization")
	signature, ok := strings.CutPrefix(authorization, want)
	if !ok {
		t.Errorf("Authorization = %q, want %s...", authorization, want)
		return
	}
	body, _ := io.ReadAll(r.Body)
	canonical := sdkhmac.CanonicalRequest(r, strings.Split(wantSigned, ";"), sdkhmac.PayloadHash(body))
	if got := sdkhmac.Signature(testKey.SecretKey, r.Header.Get("X-Sdk-Date"), canonical); got != signature {
		t.Errorf("signature is %s, want %s for\n%s", signature, got, canonical)
	}
}

func TestAKSKSignsEachRequestAnew(t *testing.T) {
	now := newClock()
	var dates []string
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		verify(t, r, "host;x-project-id;x-sdk-date")
		if got := r.Header.Get("X-Project-Id"); got != testProject {
			t.Errorf("X-Project-Id = %q", got)
		}
		if r.Header.Get("X-Auth-Token") != "" || r.Header.Get("X-Security-Token") != "" {
			t.Errorf("a token was sent too: %v", r.Header)
		}
		dates = append(dates, r.Header.Get("X-Sdk-Date"))
		io.WriteString(w, samples.List)
	})
	c := newClient(t, server.URL, WithCredentials(NewAKSK(testKey, "")), WithClock(now.Now))
	for range 2 {
		cl := &Call{Operation: jobs.OperationList, Method: http.MethodGet, ProjectID: testProject,
			Path: []string{"v1", testProject, "visualization-jobs"}, Query: "search_content=a%20b%2F%E6%B5%8B%2B~&status=9"}
		if err := c.Do(t.Context(), cl); err != nil {
			t.Fatal(err)
		}
		now.Add(time.Minute)
	}
	if want := "20260102T030405Z 20260102T030505Z"; strings.Join(dates, " ") != want {
		t.Errorf("signed at %v, want %s", dates, want)
	}
}

func TestAKSKTemporaryKey(t *testing.T) {
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		verify(t, r, "host;x-project-id;x-sdk-date;x-security-token")
		if got := r.Header.Get("X-Security-Token"); got != "security-token" {
			t.Errorf("X-Security-Token = %q", got)
		}
		io.WriteString(w, samples.Stop)
	})
	c := newClient(t, server.URL, WithCredentials(NewAKSK(testKey, "security-token")))
	if _, err := stopJob(c, t.Context(), testProject, "10"); err != nil {
		t.Fatal(err)
	}
}

// None of today's calls has a body; one that had would be signed with its type.
func TestAKSKSignsBody(t *testing.T) {
	c := newClient(t, "https://host")
	cl := &Call{contentType: "application/json", ProjectID: testProject, Method: "PUT", url: c.base, Body: []byte(`{"job_desc":"x"}`)}
	req, err := c.newRequest(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	if err := NewAKSK(testKey, "").authorize(t.Context(), c, req, cl); err != nil {
		t.Fatal(err)
	}
	verify(t, req, "content-type;host;x-project-id;x-sdk-date")
}

// More than five refused signatures in a row lock the key.
func TestRefusalsAreNotRepeated(t *testing.T) {
	for name, creds := range map[string]Credentials{
		"AK/SK": NewAKSK(testKey, "security-token"),
		"token": NewToken(testToken),
		"none":  anonymous{},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				calls++
				w.WriteHeader(401)
				io.WriteString(w, samples.Echo)
			})
			c := newClient(t, server.URL, WithCredentials(creds))
			_, err := stopJob(c, t.Context(), testProject, "10")
			if calls != 1 || jobs.KindOf(err) != jobs.KindCredentials {
				t.Errorf("%d calls, %v", calls, err)
			}
			mustHide(t, err, "HUSH")
			mustHide(t, err, "x-security-token")
		})
	}
}

func TestSecretsThatNoHeaderCanCarry(t *testing.T) {
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("%s was sent", r.URL) })
	for _, creds := range []Credentials{
		NewToken("secret\nsecret"),
		NewAKSK(testKey, "secret\rsecret"),
		NewAKSK(sdkhmac.Key{AccessKey: "secret\n", SecretKey: "secret"}, ""),
	} {
		c := newClient(t, server.URL, WithCredentials(creds))
		_, err := stopJob(c, t.Context(), testProject, "10")
		if apiErr := asError(t, err); apiErr.Kind != jobs.KindCredentials || apiErr.MaybeSent || apiErr.Operation != jobs.OperationStop {
			t.Errorf("got %#v", apiErr)
		}
		mustHide(t, err, "secret")
	}
}

func TestTokenIsTrimmed(t *testing.T) {
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("X-Auth-Token"); got != "from a file" {
			t.Errorf("X-Auth-Token = %q", got)
		}
	})
	c := newClient(t, server.URL, WithCredentials(NewToken("from a file\n")))
	if _, err := stopJob(c, t.Context(), testProject, "10"); err != nil {
		t.Fatal(err)
	}
}

func TestCredentialsPrintWithoutSecrets(t *testing.T) {
	const secret = "secret-key-for-tests"
	cfg := PasswordConfig{IAMEndpoint: "https://iam", User: "u", Password: secret, Domain: "d"}
	withPassword, err := NewPassword(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, creds := range []Credentials{NewAKSK(testKey, secret), NewToken(secret), withPassword} {
		mustHide(t, creds, secret)
		mustHide(t, newClient(t, "https://host", WithCredentials(creds)), secret)
		mustHide(t, struct{ C Credentials }{creds}, secret)
		mustHide(t, &struct{ private Credentials }{creds}, secret)
	}
	mustHide(t, cfg, secret)
	mustHide(t, &cfg, secret)
	var b bytes.Buffer
	json.NewEncoder(&b).Encode([]any{cfg, withPassword, NewToken(secret), NewAKSK(testKey, secret)})
	if strings.Contains(b.String(), secret) {
		t.Errorf("JSON shows a secret: %s", b.String())
	}
	if got := fmt.Sprint(withPassword); got != "IAM user u of d at https://iam" {
		t.Errorf("got %q", got)
	}
}

func TestAnonymous(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"X-Auth-Token", "Authorization"} {
			if r.Header.Get(name) != "" {
				t.Errorf("%s was sent", name)
			}
		}
	}))
	defer server.Close()
	c, err := New(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stopJob(c, t.Context(), testProject, "10"); err != nil {
		t.Fatal(err)
	}
}

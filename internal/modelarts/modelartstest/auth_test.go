package modelartstest

import (
	"net/http"
	"testing"
)

const incorrect = "Incorrect IAM authentication information: "

func (r *rig) withToken(token string) *http.Request {
	r.t.Helper()
	req := r.request("GET", jobsPath, "")
	req.Header.Set("X-Auth-Token", token)
	return req
}

func (g got) expectMessage(t *testing.T, want string) {
	t.Helper()
	if g.message() != want {
		t.Errorf("message = %q, want %q", g.message(), want)
	}
}

func TestStaticToken(t *testing.T) {
	r := start(t, Config{Auth: Auth{Tokens: []string{"T1"}}})
	r.send(r.withToken("T1")).expect(t, 200, "")

	g := r.call("GET", jobsPath, "")
	g.expect(t, 401, "APIGW.0301")
	g.expectMessage(t, incorrect+"x-auth-token not found")

	g = r.send(r.withToken("T2"))
	g.expect(t, 401, "APIGW.0301")
	g.expectMessage(t, incorrect+"decrypt token fail")
}

func TestRevokedToken(t *testing.T) {
	r := start(t, Config{Auth: Auth{Tokens: []string{"T1"}}})
	r.RevokeTokens()
	g := r.send(r.withToken("T1"))
	g.expect(t, 401, "APIGW.0307")
	g.expectMessage(t, "The token must be updated")
	r.AddToken("T1")
	r.send(r.withToken("T1")).expect(t, 200, "")
}

func TestRejectCredentials(t *testing.T) {
	r := start(t, Config{Auth: Auth{Tokens: []string{"T1"}}})
	r.RejectCredentials(true)
	r.send(r.withToken("T1")).expect(t, 401, "APIGW.0301")
	r.RejectCredentials(false)
	r.send(r.withToken("T1")).expect(t, 200, "")
}

func TestRejectCredentialsWithoutAuthentication(t *testing.T) {
	r := start(t, Config{})
	r.RejectCredentials(true)
	r.call("GET", jobsPath, "").expect(t, 401, "APIGW.0301")
	r.RejectCredentials(false)
	r.call("GET", jobsPath, "").expect(t, 200, "")
}

func TestAddTokenTurnsAuthenticationOn(t *testing.T) {
	r := start(t, Config{})
	r.AddToken("T1")
	r.call("GET", jobsPath, "").expect(t, 401, "APIGW.0301")
	r.send(r.withToken("T1")).expect(t, 200, "")
}

func TestUnknownProject(t *testing.T) {
	r := start(t, Config{Projects: []Project{{ID: "p1"}}})
	r.call("GET", jobsPath, "").expect(t, 200, "")
	r.call("GET", "/v1/p2/visualization-jobs", "").expect(t, 403, "APIGW.0310")
}

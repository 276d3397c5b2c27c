package modelartstest

import (
	"fmt"
	"testing"
	"time"
)

const iamPath = "/v3/auth/tokens"

func tokenBodyFor(password, scope string) string {
	return fmt.Sprintf(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"u","password":%q,
		"domain":{"name":"d"}}}},"scope":%s}}`, password, scope)
}

func startIAM(t *testing.T) *rig {
	t.Helper()
	return start(t, Config{
		Auth:     Auth{Users: []User{{Name: "u", Password: "pw", Domain: "d"}}},
		Projects: []Project{{ID: "p1", Name: "cn-north-4"}, {ID: "p2", Name: "cn-north-1"}},
	})
}

func (r *rig) getToken(scope string) string {
	r.t.Helper()
	g := r.call("POST", iamPath, tokenBodyFor("pw", scope))
	token := g.header.Get("X-Subject-Token")
	if g.status != 201 || token == "" {
		r.t.Fatalf("token = %d %s", g.status, g.raw)
	}
	return token
}

func TestTokenLivesForADay(t *testing.T) {
	r := startIAM(t)
	g := r.call("POST", iamPath+"?nocatalog=true", tokenBodyFor("pw", `{"project":{"name":"cn-north-4"}}`))
	body, _ := g.body["token"].(map[string]any)
	if g.status != 201 || body["expires_at"] != "2024-01-03T03:04:05.000000Z" ||
		body["issued_at"] != "2024-01-02T03:04:05.000000Z" {
		t.Fatalf("token = %d %s", g.status, g.raw)
	}
	if p, _ := body["project"].(map[string]any); p["id"] != "p1" || p["name"] != "cn-north-4" {
		t.Errorf("project = %v", p)
	}
	token := g.header.Get("X-Subject-Token")
	r.clock.advance(24*time.Hour - time.Second)
	r.send(r.withToken(token)).expect(t, 200, "")
	r.clock.advance(time.Second)
	g = r.send(r.withToken(token))
	g.expect(t, 401, "APIGW.0301")
	g.expectMessage(t, incorrect+"token expires, expires_at: 2024-01-03T03:04:05.000000Z")
}

func TestNewTokenLeavesTheOldOne(t *testing.T) {
	r := startIAM(t)
	const scope = `{"project":{"id":"p1"}}`
	first, second := r.getToken(scope), r.getToken(scope)
	if first == second {
		t.Error("both tokens are the same")
	}
	r.send(r.withToken(first)).expect(t, 200, "")
	r.RevokeTokens()
	r.send(r.withToken(second)).expect(t, 401, "APIGW.0307")
	r.send(r.withToken(r.getToken(scope))).expect(t, 200, "")
}

func TestTokenOfAnotherProject(t *testing.T) {
	r := startIAM(t)
	r.send(r.withToken(r.getToken(`{"project":{"id":"p2"}}`))).expect(t, 403, "ModelArts.0210")
	r.send(r.withToken(r.getToken(`{"domain":{"name":"d"}}`))).expect(t, 401, "ModelArts.0212")
}

func TestTokenWhereAnyProjectExists(t *testing.T) {
	r := start(t, Config{Auth: Auth{Users: []User{{Name: "u", Password: "pw", Domain: "d"}}}})
	r.send(r.withToken(r.getToken(`{"project":{"name":"cn-north-4"}}`))).expect(t, 200, "")
	r.send(r.withToken(r.getToken(`{"project":{"id":"p2"}}`))).expect(t, 403, "ModelArts.0210")
}

func TestTokenRefusals(t *testing.T) {
	const scope = `{"project":{"name":"cn-north-4"}}`
	for _, tt := range []struct {
		name, body, message, title string
		status                     int
	}{
		{"no body", "", "The request body is invalid", "Bad Request", 400},
		{"other method", `{"auth":{"identity":{"methods":["token"]}}}`, "The request body is invalid", "Bad Request", 400},
		{"password", tokenBodyFor("no", scope), "The username or password is wrong.", "Unauthorized", 401},
		{"project", tokenBodyFor("pw", `{"project":{"name":"mars"}}`), "Could not find project: mars", "Not Found", 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := startIAM(t)
			g := r.call("POST", iamPath, tt.body)
			e, _ := g.body["error"].(map[string]any)
			if g.status != tt.status || e["code"] != float64(tt.status) || e["message"] != tt.message || e["title"] != tt.title {
				t.Errorf("answer = %d %s", g.status, g.raw)
			}
			if g.header.Get("X-Subject-Token") != "" {
				t.Error("a refusal comes with a token")
			}
		})
	}
}

func TestRejectedPassword(t *testing.T) {
	r := startIAM(t)
	r.RejectCredentials(true)
	if g := r.call("POST", iamPath, tokenBodyFor("pw", `{"project":{"id":"p1"}}`)); g.status != 401 {
		t.Errorf("answer = %d %s", g.status, g.raw)
	}
}

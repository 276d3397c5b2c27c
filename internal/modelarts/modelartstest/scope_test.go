package modelartstest

import (
	"net/http"
	"testing"
	"time"

	"vizstop/internal/modelarts/sdkhmac"
)

var otherKey = sdkhmac.Key{AccessKey: "AK2", SecretKey: "SK2"}

// startFleet has two regions, a project in each, and credentials that may do different things.
func startFleet(t *testing.T) *rig {
	t.Helper()
	return start(t, Config{
		Regions:  []string{"north", "south"},
		Projects: []Project{{ID: "p1", Name: "north", Region: "north"}, {ID: "p2", Name: "south", Region: "south"}, {ID: "p3", Name: "any"}},
		Auth: Auth{
			AccessKeys: map[string]string{"AK1": "SK1", "AK2": "SK2"},
			Tokens:     []string{"T1"},
			Users:      []User{{Name: "u", Password: "pw", Domain: "d"}},
			Scopes: map[string]Scope{
				"AK1": {Projects: []string{"p1", "p3"}, Regions: []string{"north"}},
				"T1":  {Projects: []string{"p2"}},
				"d/u": {Projects: []string{"p1"}},
			},
		},
	})
}

func listIn(region, project string) (v1, v2 string) {
	return "/" + region + "/v1/" + project + "/visualization-jobs", "/" + region + "/v2/" + project + "/training-job-searches"
}

// wantAllowed lists a project in a region by both generations, which must be answered alike.
func (r *rig) wantAllowed(allowed bool, region, project string, authorize func(req *http.Request, body string)) {
	r.t.Helper()
	v1, v2 := listIn(region, project)
	for _, tt := range []struct {
		method, path, body, code string
		status                   int
	}{{"GET", v1, "", "ModelArts.0210", 403}, {"POST", v2, "{}", "ModelArts.2786", 404}} {
		req := r.request(tt.method, tt.path, tt.body)
		authorize(req, tt.body)
		if allowed {
			tt.status, tt.code = 200, ""
		}
		r.send(req).expect(r.t, tt.status, tt.code)
	}
}

func (r *rig) byKey(key sdkhmac.Key) func(*http.Request, string) {
	return func(req *http.Request, body string) {
		sdkhmac.Sign(req, key, []byte(body), []string{"host"}, r.clock.now())
	}
}

func byToken(token string) func(*http.Request, string) {
	return func(req *http.Request, _ string) { req.Header.Set("X-Auth-Token", token) }
}

func TestScopes(t *testing.T) {
	r := startFleet(t)
	for _, tt := range []struct {
		region, project   string
		key1, key2, token bool
	}{
		{"north", "p1", true, true, false},
		{"north", "p3", true, true, false},
		{"south", "p3", false, true, false},
		{"south", "p2", false, true, true},
	} {
		r.wantAllowed(tt.key1, tt.region, tt.project, r.byKey(goodKey))
		r.wantAllowed(tt.key2, tt.region, tt.project, r.byKey(otherKey))
		r.wantAllowed(tt.token, tt.region, tt.project, byToken("T1"))
	}
	r.SetScope("AK1", Scope{})
	r.wantAllowed(true, "south", "p3", r.byKey(goodKey))
	if c := r.Calls("p3", ""); c[0].Region != "north" || c[len(c)-1].Region != "south" {
		t.Errorf("calls = %+v", c)
	}
}

func TestProjectOfAnotherRegion(t *testing.T) {
	r := startFleet(t)
	v1, v2 := listIn("south", "p1")
	r.send(r.signed(otherKey, "GET", v1, "")).expect(t, 403, "APIGW.0310")
	r.send(r.signed(otherKey, "POST", v2, "{}")).expect(t, 404, "ModelArts.2786")
	v1, v2 = listIn("east", "p1")
	r.send(r.signed(otherKey, "GET", v1, "")).expect(t, 404, "APIGW.0101")
	r.send(r.signed(otherKey, "POST", v2, "{}")).expect(t, 404, "APIGW.0101")
}

func TestFaultOfOneRegion(t *testing.T) {
	r := startFleet(t)
	r.Inject(Fault{Region: "south", Reply: ReplyEmpty(503)})
	for region, want := range map[string]int{"north": 200, "south": 503} {
		v1, _ := listIn(region, "p3")
		r.send(r.signed(otherKey, "GET", v1, "")).expect(t, want, "")
	}
}

func TestTokenOfAnotherProjectInV2(t *testing.T) {
	r := startIAM(t)
	for _, scope := range []string{`{"project":{"id":"p2"}}`, `{"domain":{"name":"d"}}`} {
		req := r.request("POST", searchPath, "{}")
		req.Header.Set("X-Auth-Token", r.getToken(scope))
		r.send(req).expect(t, 404, "ModelArts.2786")
	}
}

func TestRevokedAccessKey(t *testing.T) {
	r := startFleet(t)
	v1, v2 := listIn("north", "p1")
	r.Revoke("AK1")
	r.send(r.signed(goodKey, "GET", v1, "")).expectMessage(t, incorrect+"ak AK1 not exist")
	r.send(r.signed(goodKey, "POST", v2, "{}")).expect(t, 401, "APIGW.0301")
	r.send(r.signed(otherKey, "GET", v1, "")).expect(t, 200, "")
	r.GiveBack("AK1")
	r.send(r.signed(goodKey, "GET", v1, "")).expect(t, 200, "")
}

func TestRevokedStaticToken(t *testing.T) {
	r := startFleet(t)
	v1, _ := listIn("south", "p2")
	ask := func() got {
		req := r.request("GET", v1, "")
		req.Header.Set("X-Auth-Token", "T1")
		return r.send(req)
	}
	r.Revoke("T1")
	ask().expect(t, 401, "APIGW.0307")
	r.GiveBack("T1")
	ask().expect(t, 200, "")
}

// A revoked user loses the tokens, too.
func TestRevokedUser(t *testing.T) {
	r := startFleet(t)
	v1, _ := listIn("north", "p1")
	token := r.getToken(`{"project":{"id":"p1"}}`)
	ask := func() got {
		req := r.request("GET", v1, "")
		req.Header.Set("X-Auth-Token", token)
		return r.send(req)
	}
	ask().expect(t, 200, "")
	r.Revoke("d/u")
	ask().expect(t, 401, "APIGW.0307")
	if g := r.call("POST", iamPath, tokenBodyFor("pw", `{"project":{"id":"p1"}}`)); g.status != 401 {
		t.Errorf("login = %d %s", g.status, g.raw)
	}
	r.GiveBack("d/u")
	ask().expect(t, 200, "")
	r.clock.advance(time.Hour)
	if g := r.call("POST", "/south"+iamPath, tokenBodyFor("pw", `{"project":{"id":"p2"}}`)); g.status != 403 {
		t.Errorf("login for a project of others = %d %s", g.status, g.raw)
	}
}

func TestControlChangesCredentials(t *testing.T) {
	r := startFleet(t)
	v1, _ := listIn("north", "p1")
	ask := func() int {
		return r.send(r.signed(sdkhmac.Key{AccessKey: "AK3", SecretKey: "SK3"}, "GET", v1, "")).status
	}
	for _, tt := range []struct {
		order string
		want  int
	}{
		{`{"credential":"AK3","secret_key":"SK3"}`, 200},
		{`{"credential":"AK3","revoked":true}`, 401},
		{`{"credential":"AK3","scope":{"projects":["p2"]}}`, 403},
		{`{"credential":"AK3","scope":{}}`, 200},
		{`{"credential":"AK3","secret_key":"SK4"}`, 401},
	} {
		control(t, r.Simulator, "POST", "/credentials", tt.order, http.StatusNoContent)
		if got := ask(); got != tt.want {
			t.Errorf("after %s: %d, want %d", tt.order, got, tt.want)
		}
	}
	control(t, r.Simulator, "POST", "/credentials", `{"revoked":true}`, http.StatusBadRequest)
}

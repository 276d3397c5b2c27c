package modelartstest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vizstop/internal/modelarts/sdkhmac"
)

const assumePath = "/v3.0/OS-CREDENTIAL/securitytokens"

func assumeBody(agency string, seconds int) string {
	return fmt.Sprintf(`{"auth":{"identity":{"methods":["assume_role"],"assume_role":{"agency_name":%q,"domain_name":"d2",
		"duration_seconds":%d,"session_user":{"name":"vizstop"}}}}}`, agency, seconds)
}

func startAgency(t *testing.T, cfg Config) *rig {
	t.Helper()
	cfg.Auth = Auth{
		AccessKeys: map[string]string{"AK1": "SK1", "AK2": "SK2"},
		Agencies:   []Agency{{Name: "stopper", Domain: "d2", AssumedBy: []string{"AK1"}}, {Name: "second", Domain: "d2", AssumedBy: []string{"d2/stopper"}}},
		Scopes:     map[string]Scope{"d2/stopper": {Projects: []string{"p1"}}},
	}
	return start(t, cfg)
}

// temporary is a key as IAM gave it out.
type temporary struct {
	key     sdkhmac.Key
	token   string
	expires string
}

func (r *rig) signedWith(k temporary, method, path, body string) *http.Request {
	r.t.Helper()
	if k.token == "" {
		return r.signed(k.key, method, path, body)
	}
	return r.signed(k.key, method, path, body, "X-Security-Token", k.token)
}

func (r *rig) assumed(by temporary, agency string, seconds int) temporary {
	r.t.Helper()
	g := r.send(r.signedWith(by, "POST", assumePath, assumeBody(agency, seconds)))
	text := func(name string) string { s, _ := g.at("credential", name).(string); return s }
	k := temporary{sdkhmac.Key{AccessKey: text("access"), SecretKey: text("secret")}, text("securitytoken"), text("expires_at")}
	if g.status != 201 || k.key.AccessKey == "" || k.key.SecretKey == "" || k.token == "" {
		r.t.Fatalf("assume = %d %s", g.status, g.raw)
	}
	return k
}

func TestAssumedKeyExpires(t *testing.T) {
	r := startAgency(t, Config{})
	k := r.assumed(temporary{key: goodKey}, "stopper", 900)
	if k.expires != "2024-01-02T03:19:05.000000Z" {
		t.Errorf("expires at %s", k.expires)
	}
	r.send(r.signedWith(k, "GET", jobsPath, "")).expect(t, 200, "")
	r.send(r.signedWith(k, "POST", searchPath, "{}")).expect(t, 200, "")
	r.send(r.signedWith(k, "GET", "/v1/p2/visualization-jobs", "")).expect(t, 403, "ModelArts.0210")
	r.send(r.signedWith(temporary{key: k.key}, "GET", jobsPath, "")).expect(t, 401, "APIGW.0301")
	r.send(r.signedWith(temporary{key: k.key, token: "another"}, "GET", jobsPath, "")).expect(t, 401, "APIGW.0301")

	r.clock.advance(15*time.Minute - time.Second)
	later := r.assumed(temporary{key: goodKey}, "stopper", 86400)
	r.send(r.signedWith(k, "GET", jobsPath, "")).expect(t, 200, "")
	r.clock.advance(time.Second)
	r.send(r.signedWith(k, "GET", jobsPath, "")).expectMessage(t, incorrect+"security token expires, expires_at: "+k.expires)
	r.send(r.signedWith(later, "GET", jobsPath, "")).expect(t, 200, "")
}

func TestAssumeInARegion(t *testing.T) {
	r := startAgency(t, Config{Regions: []string{"north"}})
	for _, path := range []string{assumePath, "/north" + assumePath} {
		g := r.send(r.signed(goodKey, "POST", path, assumeBody("stopper", 900)))
		if g.status != 201 {
			t.Errorf("%s = %d %s", path, g.status, g.raw)
		}
	}
}

func TestChainOfAgencies(t *testing.T) {
	r := startAgency(t, Config{})
	first := r.assumed(temporary{key: goodKey}, "stopper", 900)
	second := r.assumed(first, "second", 900)
	r.send(r.signedWith(second, "GET", "/v1/p2/visualization-jobs", "")).expect(t, 200, "")
}

func TestAgencyByDomainID(t *testing.T) {
	r := startAgency(t, Config{})
	body := strings.Replace(assumeBody("stopper", 900), `"domain_name":"d2"`, `"domain_id":"`+resourceID("domain", "d2")+`"`, 1)
	if g := r.send(r.signed(goodKey, "POST", assumePath, body)); g.status != 201 {
		t.Errorf("assume = %d %s", g.status, g.raw)
	}
	if a := r.Assumed("d2/stopper"); a.Asked != 1 {
		t.Errorf("assumed = %+v", a)
	}
}

func TestAssumeRefusals(t *testing.T) {
	r := startAgency(t, Config{})
	for _, tt := range []struct {
		body   string
		by     sdkhmac.Key
		status int
	}{
		{assumeBody("stopper", 899), goodKey, 400},
		{assumeBody("stopper", 86401), goodKey, 400},
		{strings.Replace(assumeBody("stopper", 900), "assume_role", "token", 1), goodKey, 400},
		{"", goodKey, 400},
		{assumeBody("nobody", 900), goodKey, 404},
		{assumeBody("stopper", 900), otherKey, 403},
		{strings.Replace(assumeBody("stopper", 900), `"duration_seconds":900,`, "", 1), goodKey, 201},
	} {
		g := r.send(r.signed(tt.by, "POST", assumePath, tt.body))
		if g.status != tt.status || tt.status != 201 && g.at("error", "code") != float64(tt.status) {
			t.Errorf("%s = %d %s, want %d", tt.body, g.status, g.raw, tt.status)
		}
	}
	r.call("POST", assumePath, assumeBody("stopper", 900)).expect(t, 401, "APIGW.0301")
}

// A revoked agency takes back the keys that it gave out.
func TestRevokedAgency(t *testing.T) {
	r := startAgency(t, Config{})
	k := r.assumed(temporary{key: goodKey}, "stopper", 900)
	r.Revoke("d2/stopper")
	r.send(r.signedWith(k, "GET", jobsPath, "")).expect(t, 401, "APIGW.0301")
	if g := r.send(r.signed(goodKey, "POST", assumePath, assumeBody("stopper", 900))); g.status != 403 {
		t.Errorf("assume = %d %s", g.status, g.raw)
	}
	r.GiveBack("d2/stopper")
	r.send(r.signedWith(k, "GET", jobsPath, "")).expect(t, 200, "")
}

func TestAssumeCanBeRefusedByAFault(t *testing.T) {
	r := startAgency(t, Config{})
	r.Inject(Fault{Operation: OpAssume, Times: 1, Reply: ReplyError(403, "IAM.0001", "no")})
	g := r.send(r.signed(goodKey, "POST", assumePath, assumeBody("stopper", 900)))
	if g.status != 403 || g.at("error", "message") != "no" {
		t.Errorf("assume = %d %s", g.status, g.raw)
	}
	r.assumed(temporary{key: goodKey}, "stopper", 900)
}

func TestAssumptionsAreCounted(t *testing.T) {
	const together = 3
	arrived := make(chan struct{})
	var once sync.Mutex
	waiting := 0
	r := startAgency(t, Config{
		Latency: func(op string) time.Duration {
			if op == OpAssume {
				return time.Second
			}
			return 0
		},
		Sleep: func(ctx context.Context, _ time.Duration) {
			once.Lock()
			if waiting++; waiting == together {
				close(arrived)
			}
			once.Unlock()
			select {
			case <-arrived:
			case <-ctx.Done():
			}
		},
	})
	var wg sync.WaitGroup
	for range together {
		wg.Go(func() {
			g, err := r.do(r.signed(goodKey, "POST", assumePath, assumeBody("stopper", 900)))
			if err != nil || g.status != 201 {
				t.Errorf("assume = %d %v", g.status, err)
			}
		})
	}
	wg.Wait()
	r.assumed(temporary{key: goodKey}, "stopper", 900)
	if a := r.Assumed("d2/stopper"); a.Asked != together+1 || a.AtOnce != together {
		t.Errorf("assumed = %+v, want %d and %d at once", a, together+1, together)
	}
	if a := r.Assumed("d2/second"); a != (Assumed{}) {
		t.Errorf("another agency = %+v", a)
	}
	want := fmt.Sprintf("{\"d2/second\":{\"asked\":0,\"at_once\":0},\"d2/stopper\":{\"asked\":%d,\"at_once\":%d}}\n", together+1, together)
	if got := control(t, r.Simulator, "GET", "/agencies", "", 200); got != want {
		t.Errorf("agencies = %s, want %s", got, want)
	}
	if n := r.Counts()[OpAssume]; n != together+1 {
		t.Errorf("%d calls counted", n)
	}
}

package modelartstest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"vizstop/internal/modelarts/sdkhmac"
)

var goodKey = sdkhmac.Key{AccessKey: "AK1", SecretKey: "SK1"}

func startSigned(t *testing.T) *rig {
	t.Helper()
	return start(t, Config{Auth: Auth{AccessKeys: map[string]string{"AK1": "SK1"}}})
}

func (r *rig) signed(key sdkhmac.Key, method, path, body string, headers ...string) *http.Request {
	r.t.Helper()
	req := r.request(method, path, body)
	names := []string{"host"}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		names = append(names, headers[i])
	}
	sdkhmac.Sign(req, key, []byte(body), names, r.clock.now())
	return req
}

func (r *rig) signedList(key sdkhmac.Key) got {
	r.t.Helper()
	return r.send(r.signed(key, "GET", jobsPath, ""))
}

func TestSignedRequests(t *testing.T) {
	r := startSigned(t)
	r.AddJob("p1", Job{ID: "1"})
	project := []string{"X-Project-Id", "p1"}
	for _, req := range []*http.Request{
		r.signed(goodKey, "GET", jobsPath+"?search_content=a+b%2F%E6%B5%8B&per_page=10&order=desc", "", project...),
		r.signed(goodKey, "PUT", jobsPath+"/1", `{"job_desc":"nightly board"}`, "Content-Type", "application/json"),
		r.signed(goodKey, "POST", jobsPath+"/1/stop", "", project...),
	} {
		r.send(req).expect(t, 200, "")
	}
}

func TestUnsignedPayload(t *testing.T) {
	r := startSigned(t)
	r.AddJob("p1", Job{ID: "1"})
	// Sign hashes the body it is given, so the header's value is signed by hand.
	req := r.request("PUT", jobsPath+"/1", `{"job_desc":"d"}`)
	date := r.clock.now().Format(sdkhmac.DateLayout)
	req.Header.Set("X-Sdk-Date", date)
	req.Header.Set("X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD")
	canonical := sdkhmac.CanonicalRequest(req, []string{"x-sdk-date"}, "UNSIGNED-PAYLOAD")
	req.Header.Set("Authorization", "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=x-sdk-date, Signature="+
		sdkhmac.Signature("SK1", date, canonical))
	r.send(req).expect(t, 200, "")
}

func TestWrongSignatureEchoesTheCanonicalRequest(t *testing.T) {
	r := startSigned(t)
	req := r.signed(sdkhmac.Key{AccessKey: "AK1", SecretKey: "other"}, "GET", jobsPath+"?status=8", "")
	g := r.send(req)
	g.expect(t, 401, "APIGW.0301")
	g.expectMessage(t, incorrect+"verify aksk signature fail, canonicalRequest:GET|"+jobsPath+"/|status=8|host:"+
		req.URL.Host+"|x-sdk-date:20240102T030405Z||host;x-sdk-date|"+sdkhmac.PayloadHash(nil))
	if strings.Contains(g.raw, "SK1") {
		t.Errorf("%s shows the secret key", g.raw)
	}
}

func TestChangedRequestFails(t *testing.T) {
	r := startSigned(t)
	r.AddJob("p1", Job{ID: "1"})
	req := r.signed(goodKey, "POST", jobsPath+"/1/stop", "")
	req.Method = "DELETE"
	req.URL.Path = jobsPath + "/1"
	r.send(req).expect(t, 401, "APIGW.0301")
	r.wantStatus("1", 8)
}

func TestClockSkew(t *testing.T) {
	for _, tt := range []struct {
		skew time.Duration
		ok   bool
	}{
		{15 * time.Minute, true}, {-15 * time.Minute, true},
		{15*time.Minute + time.Second, false}, {-15*time.Minute - time.Second, false},
	} {
		r := startSigned(t)
		req := r.signed(goodKey, "GET", jobsPath, "")
		r.clock.advance(tt.skew)
		g := r.send(req)
		if tt.ok {
			g.expect(t, 200, "")
			continue
		}
		g.expect(t, 401, "APIGW.0301")
		g.expectMessage(t, incorrect+"calc aksk signature fail:signature expired, signature time:20240102T030405Z,server time:"+
			r.clock.now().Format(sdkhmac.DateLayout))
	}
}

func TestUnknownAccessKey(t *testing.T) {
	r := startSigned(t)
	g := r.signedList(sdkhmac.Key{AccessKey: "AK9", SecretKey: "SK1"})
	g.expect(t, 401, "APIGW.0301")
	g.expectMessage(t, incorrect+"ak AK9 not exist")
}

func TestMalformedAuthorization(t *testing.T) {
	r := startSigned(t)
	for _, header := range []string{
		"Bearer x", "SDK-HMAC-SHA256", "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=host, Signature=00",
		"SDK-HMAC-SHA256 Access=, SignedHeaders=x-sdk-date, Signature=00",
		"SDK-HMAC-SHA256 Access=AK1, SignedHeaders=x-sdk-date",
	} {
		req := r.request("GET", jobsPath, "")
		req.Header.Set("Authorization", header)
		g := r.send(req)
		g.expect(t, 401, "APIGW.0301")
		g.expectMessage(t, incorrect+"verify aksk signature fail, malformed Authorization header")
	}
}

func TestLockAfterMoreThanFiveFailures(t *testing.T) {
	r := startSigned(t)
	bad := sdkhmac.Key{AccessKey: "AK1", SecretKey: "other"}
	for range 5 {
		r.signedList(bad).expect(t, 401, "APIGW.0301")
	}
	r.signedList(goodKey).expect(t, 200, "") // five are forgiven, and forgotten
	for range 6 {
		g := r.signedList(bad)
		if !strings.Contains(g.message(), "verify aksk signature fail") {
			t.Errorf("too early: %s", g.raw)
		}
	}
	for _, wait := range []time.Duration{0, 5*time.Minute - time.Second} {
		r.clock.advance(wait)
		g := r.signedList(goodKey)
		g.expect(t, 401, "APIGW.0301")
		g.expectMessage(t, incorrect+"AK access failed to reach the limit,forbidden.")
	}
	r.clock.advance(time.Second)
	r.signedList(goodKey).expect(t, 200, "")
}

func TestRejectedSignaturesLockTheKey(t *testing.T) {
	r := startSigned(t)
	r.RejectCredentials(true)
	for range 6 {
		r.signedList(goodKey).expect(t, 401, "APIGW.0301")
	}
	r.RejectCredentials(false)
	r.signedList(goodKey).expectMessage(t, incorrect+"AK access failed to reach the limit,forbidden.")
	r.clock.advance(5 * time.Minute)
	r.signedList(goodKey).expect(t, 200, "")
}

func TestKeysRotate(t *testing.T) {
	r := startSigned(t)
	r.SetAccessKey("AK1", "SK2")
	r.signedList(goodKey).expect(t, 401, "APIGW.0301")
	r.signedList(sdkhmac.Key{AccessKey: "AK1", SecretKey: "SK2"}).expect(t, 200, "")
	r.RemoveAccessKey("AK1")
	r.signedList(goodKey).expectMessage(t, incorrect+"ak AK1 not exist")
}

func TestTemporaryKeyNeedsItsToken(t *testing.T) {
	r := start(t, Config{Auth: Auth{
		AccessKeys:     map[string]string{"AK1": "SK1"},
		SecurityTokens: map[string]string{"AK1": "ST1"},
	}})
	r.signedList(goodKey).expect(t, 401, "APIGW.0301")
	r.send(r.signed(goodKey, "GET", jobsPath, "", "X-Security-Token", "ST2")).expect(t, 401, "APIGW.0301")
	r.send(r.signed(goodKey, "GET", jobsPath, "", "X-Security-Token", "ST1")).expect(t, 200, "")
}

func TestSignedForAnotherProject(t *testing.T) {
	r := startSigned(t)
	r.send(r.signed(goodKey, "GET", jobsPath, "", "X-Project-Id", "p2")).expect(t, 403, "ModelArts.0210")
}

package sdkhmac

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Vectors A, S1 and S2 are the vendor's: A is printed in the public signing
// guide, S1 and S2 stand in the official Go SDK's tests. B to E were computed
// with an independent implementation and agree with the official Node and Go
// signers.
func TestSignVectors(t *testing.T) {
	const (
		base = "https://modelarts.cn-north-4.myhuaweicloud.com/v1/0123456789abcdef0123456789abcdef/visualization-jobs"
		desc = `{"job_desc":"nightly board"}`
	)
	var (
		docKey  = Key{"QTWAOYTTINDUT2QVKYUC", "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc"}
		sdkKey  = Key{"AccessKey", "SecretKey"}
		ourKey  = Key{"AKEXAMPLE", "SKEXAMPLE"}
		project = http.Header{"X-Project-Id": {"0123456789abcdef0123456789abcdef"}}
		ours    = []string{"Host", "X-Project-Id"}
	)
	query := url.Values{
		"status": {"8"}, "per_page": {"10"}, "page": {"1"}, "sortBy": {"create_time"},
		"order": {"desc"}, "search_content": {"a b/测试+~"},
	}
	tests := []struct {
		name, method, url, body string
		header                  http.Header
		signed                  []string
		key                     Key
		date, hash, signature   string
	}{
		{name: "A", method: "GET", key: docKey, date: "20191115T033655Z",
			url:       "https://service.region.example.com/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs/?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0",
			header:    http.Header{"Content-Type": {"application/json"}},
			signed:    []string{"Content-Type", "Host"},
			hash:      "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a",
			signature: "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"},
		{name: "S1", method: "GET", key: sdkKey, date: "20060102T150405Z",
			url:       "https://example.com/path?limit=1",
			signature: "5a2ce64c865e0e6046321c6f3d5a77ba8413eeaf355c3166c03d58d02ac79624"},
		{name: "S2", method: "POST", key: sdkKey, date: "20060102T150405Z",
			url: "https://example.com/path?key=value", body: `{"Name":"test","Id":1}` + "\n",
			signature: "cecc2af119b18ab70b4d094c0750f3b42c02f254903179a0fc2cc72fc9db4f59"},
		{name: "S2 without newline", method: "POST", key: sdkKey, date: "20060102T150405Z",
			url: "https://example.com/path?key=value", body: `{"Name":"test","Id":1}`,
			signature: "83599e5230b5b31fb58837c5760b4c2d407542df1f9493834ead538696e17a35"},
		{name: "B", method: "POST", key: ourKey, date: "20240102T030405Z",
			url: base + "/10/stop", header: project, signed: ours,
			hash:      "98a0612757a0329496c99cc0f3fe3852f300cfc1944a4bb88466a23b75e88968",
			signature: "d7153035d673f242410919fce117aa62636965d2af09e9d9449f5959bd5ee794"},
		{name: "C", method: "GET", key: ourKey, date: "20240102T030405Z",
			url: base + "?" + query.Encode(), header: project, signed: ours,
			hash:      "a2afa7c287b826e786825bc3e57b704aa3e7b1fad7eb2e0ad6c43848e16357e3",
			signature: "e73d2218dc15197febde421c535fe02b392456785d06be42317328bdef68cb6a"},
		{name: "D", method: "PUT", key: ourKey, date: "20240102T030405Z",
			url: base + "/10", body: desc,
			header:    http.Header{"X-Project-Id": project["X-Project-Id"], "Content-Type": {"application/json"}},
			signed:    []string{"content-type", "host", "x-project-id"},
			hash:      "7a972cc4d0a3bbd25439f1276b3231a7e33e361f3b7d9ad15090d2a257d56926",
			signature: "3ccc83dd9e517489a6c62b34866c86d69bc3a0b9e79dc867b7652b2e1f7f34d2"},
		{name: "D'", method: "PUT", key: ourKey, date: "20240102T030405Z",
			url: base + "/10", body: desc, header: project, signed: ours,
			hash:      "d2cb4c577e1733237fdeb428caf28a287125723d4ae7ddcc57969110a52c7b5b",
			signature: "1606799081280c2ff2b5ab9b7408e458abd813f2baa3274119e41b4e206c3f6f"},
		{name: "D''", method: "PUT", key: ourKey, date: "20240102T030405Z",
			url: base + "/10", body: desc + "\n", header: project, signed: ours,
			hash:      "d6fdc06494d14891436fec66f6ec3c9230e40c272a5998ebac444116fa21cd06",
			signature: "ec61db9c460efe18c49814b9fca1a5332e1599caf3cf7f88e4d12875889ae40a"},
		{name: "E", method: "GET", key: ourKey, date: "20240102T030405Z",
			url:       base + "/10",
			header:    http.Header{"X-Project-Id": project["X-Project-Id"], "X-Security-Token": {"TOKENEXAMPLE"}},
			signed:    []string{"host", "x-project-id", "x-security-token"},
			hash:      "486f67a5bc1759a574bb95713cf2d4075c2d9922d07c5728d38af5863f62b793",
			signature: "da2b9fbf4997b9e027392638511b6235276a9b2e84390cc54ff400b5bd713ca7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest(tt.method, tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			for name, values := range tt.header {
				req.Header[name] = values
			}
			now, err := time.Parse(DateLayout, tt.date)
			if err != nil {
				t.Fatal(err)
			}
			Sign(req, tt.key, []byte(tt.body), tt.signed, now)

			got := req.Header.Get("Authorization")
			if !strings.HasSuffix(got, ", Signature="+tt.signature) {
				t.Errorf("Authorization = %q, want signature %s", got, tt.signature)
			}
			if tt.hash == "" {
				return
			}
			names := normalizeNames(append(tt.signed, "x-sdk-date"))
			canonical := CanonicalRequest(req, names, PayloadHash([]byte(tt.body)))
			if hash := PayloadHash([]byte(canonical)); hash != tt.hash {
				t.Errorf("canonical request hash = %s, want %s\n%s", hash, tt.hash, canonical)
			}
		})
	}
}

func TestKeyHidesSecret(t *testing.T) {
	k := Key{AccessKey: "AK1", SecretKey: "hush"}
	for _, s := range []string{k.String(), k.GoString()} {
		if strings.Contains(s, "hush") {
			t.Errorf("%q shows the secret key", s)
		}
	}
}

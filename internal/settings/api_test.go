package settings

import "testing"

// Two spellings of one endpoint are one.
func TestCanonical(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://modelarts.cn-north-4.myhuaweicloud.com": "https://modelarts.cn-north-4.myhuaweicloud.com",
		"https://ModelArts.example:443/":                 "https://modelarts.example",
		"http://127.0.0.1:80":                            "http://127.0.0.1",
		"https://modelarts.example:8443/a/":              "https://modelarts.example:8443/a",
	} {
		if got := Canonical(endpoint); got != want {
			t.Errorf("%q: %s, want %s", endpoint, got, want)
		}
	}
}

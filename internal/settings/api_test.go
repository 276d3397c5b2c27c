package settings

import "testing"

// Two spellings of one endpoint are one.
func TestURL(t *testing.T) {
	for _, tt := range []struct{ endpoint, region, want string }{
		{"", "cn-north-4", "https://modelarts.cn-north-4.myhuaweicloud.com"},
		{"https://ModelArts.example:443/", "cn-north-4", "https://modelarts.example"},
		{"http://127.0.0.1:80", "cn-north-4", "http://127.0.0.1"},
		{"https://modelarts.example:8443/a/", "cn-north-4", "https://modelarts.example:8443/a"},
	} {
		a := API{Endpoint: tt.endpoint, Region: tt.region}
		if got := a.URL(); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.endpoint, got, tt.want)
		}
	}
}

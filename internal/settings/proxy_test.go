package settings

import "testing"

// Only what net/http would pass over is refused, in either spelling: which one it reads depends on the version of Go.
func TestCheckProxies(t *testing.T) {
	t.Parallel()
	const bad = "http://u:s3cret%zz@127.0.0.1:9"
	const fault = " is not the URL of a proxy, and calls could go out without one: write it such as http://user:password@proxy:3128, " +
		"with escapes for the other characters of a password (%25 for %), or unset it"
	for _, c := range []struct {
		env  map[string]string
		want string // "": it is good
	}{
		{nil, ""},
		{map[string]string{"HTTPS_PROXY": "http://127.0.0.1:3128"}, ""},
		{map[string]string{"HTTPS_PROXY": "127.0.0.1:3128", "http_proxy": "proxy"}, ""},
		{map[string]string{"HTTPS_PROXY": "socks5://u:p@[::1]:1080", "HTTP_PROXY": "u:p@proxy:3128"}, ""},
		{map[string]string{"HTTPS_PROXY": bad}, "HTTPS_PROXY" + fault},
		{map[string]string{"https_proxy": bad}, "https_proxy" + fault},
		{map[string]string{"HTTP_PROXY": "http://u:s3cret %zz@127.0.0.1:9"}, "HTTP_PROXY" + fault},
		{map[string]string{"http_proxy": "127.0.0.1:s3cret"}, "http_proxy" + fault},
		{map[string]string{"http_proxy": "http://127.0.0.1:9\n"}, "http_proxy" + fault},
		{map[string]string{"https_proxy": "127.0.0.1:3128", "HTTPS_PROXY": bad}, "HTTPS_PROXY" + fault},
		{map[string]string{"https_proxy": bad, "HTTPS_PROXY": "127.0.0.1:3128"}, "https_proxy" + fault},
		{map[string]string{"HTTP_PROXY": bad, "HTTPS_PROXY": bad}, "HTTPS_PROXY" + fault + "\nHTTP_PROXY" + fault},
		{map[string]string{"ALL_PROXY": bad, "NO_PROXY": bad}, ""},
	} {
		got := ""
		if err := CheckProxies(func(name string) string { return c.env[name] }); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.env, got, c.want)
		}
	}
}

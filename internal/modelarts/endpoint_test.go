package modelarts

import (
	"strings"
	"testing"
)

func TestNewChecksBaseURL(t *testing.T) {
	for url, want := range map[string]string{
		"https://modelarts.cn-north-4.myhuaweicloud.com": "",
		"https://host:8443/prefix/":                      "",
		"http://127.0.0.1:80":                            "",
		"http://127.9.9.9":                               "",
		"http://[::1]:80":                                "",
		"http://localhost:80":                            "",
		"":                                               "must start with https://",
		"modelarts.example.com":                          "must start with https://",
		"user:hush@host":                                 "must start with https://",
		"ftp://host":                                     "must start with https://",
		"https://":                                       "has no host",
		"https:///path":                                  "has no host",
		"https://:443":                                   "has no host",
		"http://modelarts.example.com":                   "must be https",
		"http://localhost.example.com":                   "must be https",
		"http://10.0.0.1":                                "must be https",
		"https://user:hush@host":                         "must not contain a user",
		"https://user@host":                              "must not contain a user",
		"https://host?a=b":                               "must not have a query",
		"https://host?":                                  "must not have a query",
		"https://host#f":                                 "must not have a fragment",
		"https://host#":                                  "must not have a fragment",
		"https://user:hush@ho st":                        "not a valid URL",
		"http://user:hush@host:port":                     "not a valid URL",
	} {
		_, err := New(url)
		switch {
		case want == "" && err != nil:
			t.Errorf("New(%q): %v", url, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("New(%q) = %v, want an error with %q", url, err, want)
		case err != nil && strings.Contains(err.Error(), "hush"):
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestAllowPlainHTTP(t *testing.T) {
	if _, err := New("http://modelarts.example.com", AllowPlainHTTP()); err != nil {
		t.Error(err)
	}
	if _, err := New("ftp://modelarts.example.com", AllowPlainHTTP()); err == nil {
		t.Error("ftp was accepted")
	}
}

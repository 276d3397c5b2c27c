package settings

import (
	"errors"
	"fmt"
	"net/url"
)

// CheckProxies refuses a variable that names the proxy of calls and can't be parsed: net/http may pass over it without
// a word, and call the API with the token directly. Which of two spellings it reads depends on the version of Go, so
// both must be good. The error names the variable without its value, which may hold a password.
//
// Source: golang.org/x/net/http/httpproxy. What is no URL is tried with http:// before it.
func CheckProxies(getenv func(string) string) error {
	var faults []error
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		value := getenv(name)
		_, err := url.Parse(value)
		if err != nil {
			_, err = url.Parse("http://" + value)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s is not the URL of a proxy, and calls could go out without one: write it such as "+
				"http://user:password@proxy:3128, with escapes for the other characters of a password (%%25 for %%), or unset it", name))
		}
	}
	return errors.Join(faults...)
}

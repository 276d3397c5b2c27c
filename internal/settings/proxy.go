package settings

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
)

// CheckProxies refuses a variable that names the proxy of calls and can't be parsed: net/http passes over it without a
// word, and calls the API with the token directly. The error names it without its value, which may hold a password.
//
// Source: golang.org/x/net/http/httpproxy. The lower case wins, and what is no URL is tried with http:// before it.
func CheckProxies(getenv func(string) string) error {
	var faults []error
	for _, names := range [][2]string{{"https_proxy", "HTTPS_PROXY"}, {"http_proxy", "HTTP_PROXY"}} {
		lower, upper := getenv(names[0]), getenv(names[1])
		value, name := cmp.Or(lower, upper), names[0]
		if lower == "" {
			name = names[1]
		}
		_, err := url.Parse(value)
		if err != nil {
			_, err = url.Parse("http://" + value)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s is not the URL of a proxy, and calls would go out without one: write it such as "+
				"http://user:password@proxy:3128, with escapes for the other characters of a password (%%25 for %%), or unset it", name))
		}
	}
	return errors.Join(faults...)
}

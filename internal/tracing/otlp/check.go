package otlp

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Check refuses endpoints and headers that can't be used. The SDK would pass over them, and send spans to
// https://localhost:4318 or without a header. The error names each variable without its value, which may hold a
// password. Where no traces are wanted, nothing is wrong.
func Check(getenv func(string) string) error {
	if !wanted(getenv) {
		return nil
	}
	var faults []error
	if name, value := used(getenv, "ENDPOINT"); value != "" && !isEndpoint(value) {
		faults = append(faults, fmt.Errorf("%s is not a URL such as http://collector:4318: write http:// or https:// and a host; "+
			"a password for the collector goes into OTEL_EXPORTER_OTLP_HEADERS", name))
	}
	if name, value := used(getenv, "HEADERS"); value != "" {
		if err := checkHeaders(value); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(faults...)
}

// used is the variable of an option that counts: the one for traces wins.
func used(getenv func(string) string, option string) (name, value string) {
	for _, kind := range []string{"TRACES_", ""} {
		name = "OTEL_EXPORTER_OTLP_" + kind + option
		if value = strings.TrimSpace(getenv(name)); value != "" {
			break
		}
	}
	return name, value
}

func isEndpoint(value string) bool {
	u, err := url.Parse(value)
	return err == nil && slices.Contains([]string{"http", "https"}, u.Scheme) && u.Hostname() != ""
}

// checkHeaders checks headers in the form name=value,name=value. The values have percent escapes.
func checkHeaders(text string) error {
	const form = "write name=value,name=value"
	for i, entry := range strings.Split(text, ",") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		name, escaped, found := strings.Cut(entry, "=")
		value, err := url.PathUnescape(escaped)
		switch {
		case !found:
			return fmt.Errorf("entry %d has no =: %s, and a comma within a value as %%2C", i+1, form)
		case !httpguts.ValidHeaderFieldName(strings.TrimSpace(name)):
			return fmt.Errorf("entry %d has no name that a header can have before its =: %s", i+1, form)
		case err != nil:
			return fmt.Errorf("the value of entry %d has a %% that begins no escape: write it as %%25", i+1)
		case !httpguts.ValidHeaderFieldValue(strings.TrimSpace(value)):
			return fmt.Errorf("the value of entry %d has a character that no header can carry: take it out", i+1)
		}
	}
	return nil
}

package otlp

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Check refuses what the SDK can't use: endpoints and headers that it would pass over, to send spans to
// https://localhost:4318 or without a header, sizes that end the program, and certificates that it would read without
// end. The error names each variable without its value, which may hold a password. Where no traces are wanted, nothing
// is wrong.
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
	return errors.Join(append(faults, checkNumbers(getenv), checkFiles(getenv))...)
}

const (
	mostSpans   = 1 << 20
	mostMillis  = 60 * 60 * 1000
	mostPEMFile = 1 << 20 // bytes
)

// checkNumbers checks what the batches of spans are made with: the SDK allocates the whole queue, whatever its size, and
// waits for no delay below one. It takes no number with blanks, but its default, without a word.
func checkNumbers(getenv func(string) string) error {
	var faults []error
	for _, n := range []struct {
		name string
		most int
	}{
		{"OTEL_BSP_MAX_QUEUE_SIZE", mostSpans}, {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", mostSpans},
		{"OTEL_BSP_SCHEDULE_DELAY", mostMillis}, {"OTEL_BSP_EXPORT_TIMEOUT", mostMillis},
	} {
		value := getenv(n.name)
		if v, err := strconv.Atoi(value); value != "" && (err != nil || v < 1 || v > n.most) {
			faults = append(faults, fmt.Errorf("%s is not a whole number from 1 to %d: write one, or leave it out", n.name, n.most))
		}
	}
	return errors.Join(faults...)
}

// checkFiles checks certificates and keys. The SDK reads those of both names, also where one wins.
func checkFiles(getenv func(string) string) error {
	var faults []error
	for _, option := range []string{"CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"} {
		for _, kind := range []string{"", "TRACES_"} {
			name := "OTEL_EXPORTER_OTLP_" + kind + option
			path := getenv(name)
			if path == "" {
				continue
			}
			if f, err := os.Stat(path); err != nil || !f.Mode().IsRegular() || f.Size() > mostPEMFile {
				faults = append(faults, fmt.Errorf("%s names no regular file of at most 1 MiB: write the path of a PEM file", name))
			}
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

package otlp

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/go-logr/logr/funcr"
	"go.opentelemetry.io/otel"
)

func TestWanted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"OTEL_SERVICE_NAME": "x"}, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "TRUE"}, false},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "false"}, true},
		{map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, false},
	} {
		if got := wanted(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: %t", c.env, got)
		}
	}
}

func TestOnlyOneProtocol(t *testing.T) {
	t.Parallel()
	const general, ours = "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	for _, c := range []struct {
		env map[string]string
		ok  bool
	}{
		{nil, true},
		{map[string]string{general: "http/protobuf"}, true},
		{map[string]string{general: "grpc"}, false},
		{map[string]string{general: "grpc", ours: "http/protobuf"}, true}, // the narrower one wins
		{map[string]string{ours: "http/json"}, false},
	} {
		if err := checkProtocol(func(name string) string { return c.env[name] }); (err == nil) != c.ok {
			t.Errorf("%v: %v", c.env, err)
		}
	}
}

// What can't be used is refused by the name of its variable. Endpoints and headers hold passwords.
func TestBadVariablesAreRefusedWithoutTheirValues(t *testing.T) {
	t.Parallel()
	const endpoint, ours = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	const headers, ourHeaders = "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
	const noURL = " is not a URL such as http://collector:4318: write http:// or https:// and a host; a password for the collector goes into OTEL_EXPORTER_OTLP_HEADERS"
	const queue, noSize = "OTEL_BSP_MAX_QUEUE_SIZE", " is not a whole number from 1 to 1048576: write one, or leave it out"
	const certificate, noFile = "OTEL_EXPORTER_OTLP_CERTIFICATE", " names no regular file of at most 1 MiB: write the path of a PEM file"
	for _, c := range []struct {
		env  map[string]string
		want string // "": it is good
	}{
		{nil, ""},
		{map[string]string{endpoint: " http://127.0.0.1:4318\n"}, ""},
		{map[string]string{endpoint: "HTTPS://u:s3cret@collector"}, ""},
		{map[string]string{ours: "http://[::1]:4318/v1/traces"}, ""},
		{map[string]string{endpoint: "http://u:s3cret%zz@127.0.0.1:9"}, endpoint + noURL},
		{map[string]string{ours: "http://u:s3cret%zz@127.0.0.1:9", endpoint: "http://127.0.0.1:4318"}, ours + noURL},
		{map[string]string{ours: "http://127.0.0.1:4318", endpoint: "s3cret.example:4318"}, ""}, // the narrower one wins
		{map[string]string{ours: "http://c", headers: "s3cret", ourHeaders: "a=b"}, ""},
		{map[string]string{endpoint: "grpc://s3cret:4317"}, endpoint + noURL},
		{map[string]string{endpoint: "unix:///s3cret"}, endpoint + noURL},
		{map[string]string{endpoint: "http:///s3cret"}, endpoint + noURL},
		{map[string]string{endpoint: "http://:4318/s3cret"}, endpoint + noURL},
		{map[string]string{endpoint: "http://s3cret%zz", "OTEL_SDK_DISABLED": "true"}, ""}, // nobody reads it
		{map[string]string{headers: "s3cret"}, ""},

		{map[string]string{endpoint: "http://c", headers: "api-key=s3%20cret, b = c==,"}, ""},
		{map[string]string{endpoint: "http://c", headers: "a=b,s3cret"},
			headers + ": entry 2 has no =: write name=value,name=value, and a comma within a value as %2C"},
		{map[string]string{endpoint: "http://c", headers: "a=s3cret%zz"}, headers + ": the value of entry 1 has a % that begins no escape: write it as %25"},
		{map[string]string{ours: "http://c", ourHeaders: "a=s3cret%"}, ourHeaders + ": the value of entry 1 has a % that begins no escape: write it as %25"},
		{map[string]string{endpoint: "http://c", headers: "a=s3%0Acret"},
			headers + ": the value of entry 1 has a character that no header can carry: take it out"},
		{map[string]string{endpoint: "http://c", headers: "s3 cret=b"},
			headers + ": entry 1 has no name that a header can have before its =: write name=value,name=value"},
		{map[string]string{endpoint: "http://c", headers: "=s3cret"},
			headers + ": entry 1 has no name that a header can have before its =: write name=value,name=value"},

		{map[string]string{endpoint: "http://c", queue: "-1"}, queue + noSize},
		{map[string]string{endpoint: "http://c", queue: "99999999999"}, queue + noSize},
		{map[string]string{endpoint: "http://c", queue: "s3cret"}, queue + noSize},
		{map[string]string{endpoint: "http://c", queue: "4096"}, ""},
		{map[string]string{endpoint: "http://c", queue: " 4096 "}, queue + noSize},
		{map[string]string{endpoint: "http://c", "OTEL_BSP_SCHEDULE_DELAY": "0"},
			"OTEL_BSP_SCHEDULE_DELAY is not a whole number from 1 to 3600000: write one, or leave it out"},
		{map[string]string{endpoint: "http://c", certificate: "/dev/zero"}, certificate + noFile},
		{map[string]string{endpoint: "http://c", certificate: t.TempDir()}, certificate + noFile},
		{map[string]string{endpoint: "http://c", certificate: "/s3cret"}, certificate + noFile},
		{map[string]string{endpoint: "http://c", certificate: fifo(t)}, certificate + noFile},
		{map[string]string{endpoint: "http://c", certificate: "otlp_test.go"}, ""},
		{map[string]string{certificate: "/dev/zero"}, ""},
	} {
		got := ""
		if err := Check(func(name string) string { return c.env[name] }); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.env, got, c.want)
		}
	}
	every := map[string]string{endpoint: "s3cret", ours: "s3cret", headers: "s3cret", ourHeaders: "s3cret"}
	if err := Check(func(name string) string { return every[name] }); err == nil || strings.Count(err.Error(), "\n") != 1 || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("all four bad: %v", err)
	}
}

// fifo is the path of a pipe that nobody writes to.
func fifo(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What the SDK logs quotes the values of variables. Only what went wrong is told.
func TestTheSDKQuotesNothing(t *testing.T) {
	var logged, told []string
	otel.SetLogger(funcr.New(func(_, args string) { logged = append(logged, args) }, funcr.Options{Verbosity: 8}))
	const endpoint = "http://127.0.0.1:1"
	for name, value := range map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "s3cret"} {
		t.Setenv(name, value)
	}
	getenv := func(name string) string { return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}[name] }
	tracer, flush, err := Start(t.Context(), Config{Getenv: getenv, Service: "test", Version: "1",
		OnError: func(err error) { told = append(told, err.Error()) }})
	if tracer == nil || err != nil {
		t.Fatalf("no tracer: %v", err)
	}
	flush()
	if len(logged) > 0 || !slices.Equal(told, []string{"OpenTelemetry could not parse duration: look at its OTEL_ variables"}) {
		t.Errorf("it logged %q and told %q", logged, told)
	}
}

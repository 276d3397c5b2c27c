package otlp

import "testing"

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

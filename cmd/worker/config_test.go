package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// refusal runs the worker with settings that it must refuse, and returns the
// lines of its error.
func refusal(t *testing.T, env environ, args ...string) []string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), args, env.get, &stdout, &stderr)
	if err == nil {
		t.Fatalf("worker %q ran, want it to refuse", args)
	}
	if stdout.Len() > 0 || stderr.Len() > 0 {
		t.Errorf("worker %q wrote %q and %q beside its error", args, &stdout, &stderr)
	}
	return strings.Split(err.Error(), "\n")
}

func TestEveryBadSettingIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	env := environ{
		"VIZSTOP_CONCURRENCY": "many", "VIZSTOP_API_RATE": "-1", "VIZSTOP_POLL_FACTOR": "0.5",
		"VIZSTOP_RETENTION": "7 days", "VIZSTOP_LOG_FORMAT": "xml", "VIZSTOP_ALLOW_PLAIN_HTTP": "maybe",
		"HW_SECRET_KEY": "a", "HW_SECRET_KEY_FILE": "b", "HW_AUTH_TOKEN_FILE": "missing",
	}
	got := refusal(t, env, "run", "--redis", "http://127.0.0.1", "--region", "cn/north", "--listen", "9464",
		"--poll-first", "soon", "--poll-max", "2h", "--retry-first", "0s", "--max-attempts", "0", "--max-resends", "-1",
		"--resend-after", "100ms", "--deadline", "1ms", "--call-timeout", "5m", "--check-interval", "1us",
		"--window-limit", "0", "--batch-limit", "2.5", "--batch-share", "101", "--list-from", "-1", "--delayed-check-interval", "2m", "--shutdown-timeout", "0s", "--log-level", "loud", "--retry-max", "x")
	want := []string{
		"--redis (VIZSTOP_REDIS): redis URL: it must be redis://",
		`--region (HW_REGION_NAME): "cn/north" is not valid: write a region such as cn-north-4`,
		`--allow-plain-http (VIZSTOP_ALLOW_PLAIN_HTTP): "maybe" is neither true nor false`,
		"HW_SECRET_KEY: set either HW_SECRET_KEY or HW_SECRET_KEY_FILE, not both",
		"HW_AUTH_TOKEN: read HW_AUTH_TOKEN_FILE: open missing: no such file or directory",
		`--listen (VIZSTOP_LISTEN): "9464" is not an address`,
		`--concurrency (VIZSTOP_CONCURRENCY): "many" is not a whole number`,
		"--api-rate (VIZSTOP_API_RATE): -1 is not between 0 and 100000",
		"--window-limit (VIZSTOP_WINDOW_LIMIT): 0 is no limit that can be kept: write none to switch it off; to let nothing out, use enqueue pause",
		`--batch-limit (VIZSTOP_BATCH_LIMIT): "2.5" is neither a number up to 10000000 nor none`,
		`--batch-share (VIZSTOP_BATCH_SHARE): "101" is neither a number up to 100 nor none`,
		`--poll-first (VIZSTOP_POLL_FIRST): "soon" is not a duration`,
		"--poll-factor (VIZSTOP_POLL_FACTOR): 0.5 is not between 1 and 10",
		"--poll-max (VIZSTOP_POLL_MAX): 2h is not between 100ms and 1h",
		"--list-from (VIZSTOP_LIST_FROM): -1 is not between 0 and 1000000",
		"--retry-first (VIZSTOP_RETRY_FIRST): 0s is not between 1ms and 1h",
		`--retry-max (VIZSTOP_RETRY_MAX): "x" is not a duration`,
		"--max-attempts (VIZSTOP_MAX_ATTEMPTS): 0 is not between 1 and 1000",
		"--resend-after (VIZSTOP_RESEND_AFTER): 100ms is not between 1s and 24h",
		"--max-resends (VIZSTOP_MAX_RESENDS): -1 is not between 0 and 100",
		"--deadline (VIZSTOP_DEADLINE): 1ms is not between 1s and 720h",
		"--call-timeout (VIZSTOP_CALL_TIMEOUT): 5m is not between 100ms and 2m",
		`--retention (VIZSTOP_RETENTION): "7 days" is not a duration`,
		"--check-interval (VIZSTOP_CHECK_INTERVAL): 1µs is not between 1ms and 1m",
		"--delayed-check-interval (VIZSTOP_DELAYED_CHECK_INTERVAL): 2m is not between 10ms and 1m",
		"--shutdown-timeout (VIZSTOP_SHUTDOWN_TIMEOUT): 0s is not between 1s and 1h",
		`--log-level (VIZSTOP_LOG_LEVEL): "loud" is none of debug, info, warn, error`,
		`--log-format (VIZSTOP_LOG_FORMAT): "xml" is none of auto, text, json`,
		"more than one way to authenticate is set (HW_ACCESS_KEY and HW_SECRET_KEY; HW_AUTH_TOKEN): leave one",
	}
	wantLines(t, got, want)
}

// Settings that are each right can be wrong together.
func TestBadCombinationsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	env := environ{"HW_ACCESS_KEY": "AK", "HW_USER_NAME": "user", "HW_AUTH_URL": "http://iam.example.com"}
	got := refusal(t, env, "--endpoint", "ftp://example.com", "--poll-first", "2m", "--retry-first", "2m")
	want := []string{
		"more than one way to authenticate is set (HW_ACCESS_KEY and HW_SECRET_KEY; HW_USER_NAME, HW_USER_PASSWORD and HW_DOMAIN_NAME): leave one",
		"--endpoint (MODELARTS_ENDPOINT): modelarts: base URL must start with https://",
		"--poll-first (VIZSTOP_POLL_FIRST) is longer than --poll-max (VIZSTOP_POLL_MAX)",
		"--retry-first (VIZSTOP_RETRY_FIRST) is longer than --retry-max (VIZSTOP_RETRY_MAX)",
	}
	wantLines(t, got, want)
}

// wantLines expects each line to begin as told, in any order.
func wantLines(t *testing.T, got, want []string) {
	t.Helper()
	for _, w := range want {
		i := slices.IndexFunc(got, func(line string) bool { return strings.HasPrefix(line, w) })
		if i < 0 {
			t.Errorf("not reported: %s", w)
			continue
		}
		got = slices.Delete(got, i, i+1)
	}
	for _, line := range got {
		t.Errorf("reported besides: %s", line)
	}
}

func TestCredentialsMustBeComplete(t *testing.T) {
	t.Parallel()
	const none = "no credentials: set HW_ACCESS_KEY and HW_SECRET_KEY, or HW_AUTH_TOKEN, or HW_USER_NAME, HW_USER_PASSWORD and HW_DOMAIN_NAME"
	for name, c := range map[string]struct {
		env  environ
		want []string
	}{
		"none":        {environ{}, []string{none}},
		"only spaces": {environ{"HW_USER_NAME": " "}, []string{none}},
		"no secret key": {environ{"HW_ACCESS_KEY": "AK"},
			[]string{"HW_SECRET_KEY is not set: HW_ACCESS_KEY and HW_SECRET_KEY go together"}},
		"no access key": {environ{"HW_SECRET_KEY": "SK"},
			[]string{"HW_ACCESS_KEY is not set: HW_ACCESS_KEY and HW_SECRET_KEY go together"}},
		"only a security token": {environ{"HW_SECURITY_TOKEN": "ST"}, []string{
			"HW_ACCESS_KEY is not set: HW_ACCESS_KEY and HW_SECRET_KEY go together",
			"HW_SECRET_KEY is not set: HW_ACCESS_KEY and HW_SECRET_KEY go together"}},
		"no domain": {environ{"HW_USER_NAME": "u", "HW_USER_PASSWORD": "p"},
			[]string{"HW_DOMAIN_NAME is not set: HW_USER_NAME, HW_USER_PASSWORD and HW_DOMAIN_NAME go together"}},
		"two ways": {environ{"HW_ACCESS_KEY": "AK", "HW_SECRET_KEY": "SK", "HW_AUTH_TOKEN": "T"},
			[]string{"more than one way to authenticate is set (HW_ACCESS_KEY and HW_SECRET_KEY; HW_AUTH_TOKEN): leave one"}},
		"plain http": {environ{"HW_AUTH_TOKEN": "T", "MODELARTS_ENDPOINT": "http://modelarts.example.com"},
			[]string{`--endpoint (MODELARTS_ENDPOINT): modelarts: base URL must be https: plain http to "modelarts.example.com" would leave this machine`}},
		"no collector": {environ{"HW_AUTH_TOKEN": "T", "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
			[]string{"OTEL_EXPORTER_OTLP_ENDPOINT is not a URL such as http://collector:4318: "}},
		"no proxy": {environ{"HW_AUTH_TOKEN": "T", "https_proxy": "http://u:p %zz@127.0.0.1:9"},
			[]string{"https_proxy is not the URL of a proxy, and calls could go out without one: "}},
		"plain http to IAM": {environ{"HW_USER_NAME": "u", "HW_USER_PASSWORD": "p", "HW_DOMAIN_NAME": "d", "HW_AUTH_URL": "http://iam.example.com"},
			[]string{"--iam-endpoint (HW_AUTH_URL): modelarts: IAM endpoint must be https"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantLines(t, refusal(t, c.env), c.want)
		})
	}
}

// A secret that can't be read is not missing: nothing is said of those that it goes with. What else is wrong is told.
func TestUnreadableSecretIsNotMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  environ
		want []string
	}{
		"an empty file": {environ{"HW_ACCESS_KEY": "AK", "HW_SECRET_KEY_FILE": empty},
			[]string{"HW_SECRET_KEY: HW_SECRET_KEY_FILE: " + empty + " is empty"}},
		"a missing file": {environ{"HW_ACCESS_KEY_FILE": empty + "s", "HW_SECRET_KEY": "SK"},
			[]string{"HW_ACCESS_KEY: read HW_ACCESS_KEY_FILE: open "}},
		"a directory": {environ{"HW_ACCESS_KEY": "AK", "HW_SECRET_KEY_FILE": dir},
			[]string{"HW_SECRET_KEY: read HW_SECRET_KEY_FILE: read "}},
		"two values": {environ{"HW_ACCESS_KEY": "AK", "HW_SECRET_KEY": "SK", "HW_SECRET_KEY_FILE": empty},
			[]string{"HW_SECRET_KEY: set either "}},
		"a damaged value": {environ{"HW_ACCESS_KEY": "AK", "HW_SECRET_KEY": "S\nK"},
			[]string{"HW_SECRET_KEY: the value of HW_SECRET_KEY holds more than one line"}},
		"the only one set": {environ{"HW_AUTH_TOKEN_FILE": empty}, []string{"HW_AUTH_TOKEN: HW_AUTH_TOKEN_FILE: "}},
		"a password": {environ{"HW_USER_NAME": "u", "HW_USER_PASSWORD_FILE": empty, "HW_DOMAIN_NAME": "d"},
			[]string{"HW_USER_PASSWORD: HW_USER_PASSWORD_FILE: "}},
		"and a bad endpoint": {environ{"HW_ACCESS_KEY": "AK", "HW_SECRET_KEY_FILE": empty, "MODELARTS_ENDPOINT": "ftp://example.com"},
			[]string{"HW_SECRET_KEY: HW_SECRET_KEY_FILE: ", "--endpoint (MODELARTS_ENDPOINT): modelarts: base URL must start with https://"}},
		"and two ways": {environ{"HW_ACCESS_KEY": "AK", "HW_SECRET_KEY_FILE": empty, "HW_AUTH_TOKEN": "T"},
			[]string{"HW_SECRET_KEY: HW_SECRET_KEY_FILE: ", "more than one way to authenticate is set"}},
		"and no access key": {environ{"HW_SECRET_KEY_FILE": empty},
			[]string{"HW_SECRET_KEY: HW_SECRET_KEY_FILE: ", "HW_ACCESS_KEY is not set: HW_ACCESS_KEY and HW_SECRET_KEY go together"}},
		"a password, and a bad endpoint of IAM": {environ{"HW_USER_NAME": "u", "HW_USER_PASSWORD_FILE": empty, "HW_DOMAIN_NAME": "d", "HW_AUTH_URL": "http://iam.example.com"},
			[]string{"HW_USER_PASSWORD: HW_USER_PASSWORD_FILE: ", "--iam-endpoint (HW_AUTH_URL): modelarts: IAM endpoint must be https"}},
		"a password for Redis, and no secret key": {environ{"HW_ACCESS_KEY": "AK", "VIZSTOP_REDIS_PASSWORD_FILE": empty},
			[]string{"VIZSTOP_REDIS_PASSWORD: VIZSTOP_REDIS_PASSWORD_FILE: ", "HW_SECRET_KEY is not set: HW_ACCESS_KEY and HW_SECRET_KEY go together"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantLines(t, refusal(t, c.env), c.want)
		})
	}
}

// No secret is ever part of an error, wherever it stands.
func TestErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	secrets := []string{"HW_ACCESS_KEY", "HW_SECRET_KEY", "HW_SECURITY_TOKEN", "HW_AUTH_TOKEN", "HW_USER_PASSWORD", "VIZSTOP_REDIS_PASSWORD"}
	for _, change := range []environ{
		{}, // too many ways
		{"VIZSTOP_CONCURRENCY": "0"},
		{"VIZSTOP_REDIS": "redis://user:" + secret + "/x@host"},
		{"MODELARTS_ENDPOINT": "https://user:" + secret + "@example.com"},
		{"MODELARTS_ENDPOINT": "https://example.com:" + secret},
		{"HW_AUTH_TOKEN_FILE": file},
		{"HTTPS_PROXY": "http://user:" + secret + "%zz@127.0.0.1:9"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:" + secret + "%zz@127.0.0.1:9"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": secret},
	} {
		env := environ{}
		for _, name := range secrets {
			env[name] = secret
		}
		for name, v := range change {
			env[name] = v
		}
		if text := strings.Join(refusal(t, env), "\n"); strings.Contains(text, secret) {
			t.Errorf("with %v the error holds a secret: %s", change, text)
		}
	}
}

func TestBadUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"start"}, `unknown command "start" (see worker --help)`},
		{[]string{"run", "10"}, `worker run takes no argument "10" (see worker --help)`},
		{[]string{"health", "10"}, `worker health takes no argument "10" (see worker --help)`},
		{[]string{"health", "--listen", "127.0.0.1:0"}, `--listen (VIZSTOP_LISTEN): "127.0.0.1:0" names no port: which one the worker got, only its log says`},
		{[]string{"health", "--timeout", "0s"}, "--timeout: 0s is not between 1ms and 1h"},
		{[]string{"demo", "10"}, `worker demo takes no argument "10" (see worker --help)`},
		{[]string{"demo", "--jobs", "0"}, "--jobs: 0 is not between 1 and 100000"},
		{[]string{"--bogus"}, "flag provided but not defined: -bogus (see worker run --help)"},
		{[]string{"--concurrency"}, "flag needs an argument: --concurrency (see worker run --help)"},
	} {
		if got := refusal(t, environ{"HW_AUTH_TOKEN": "T"}, c.args...); len(got) != 1 || got[0] != c.want {
			t.Errorf("worker %q: %q, want %q", c.args, got, c.want)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"--help"}, []string{"run ", "health ", "check ", "demo ", "the default command"}},
		{[]string{"check", "--help"}, []string{"never makes a stop call", "--project", "--accounts", "--json", "exit codes: 0 nothing failed"}},
		{[]string{"help"}, []string{"run ", "demo "}},
		{[]string{"run", "--help"}, []string{"HW_ACCESS_KEY and HW_SECRET_KEY", "VIZSTOP_NOTIFY_SECRET, or VIZSTOP_NOTIFY_SECRET_FILE", "--listen", "[$VIZSTOP_LISTEN] (default: :9464)",
			"[$VIZSTOP_LIST_FROM] (default: 5)", "[$VIZSTOP_RETRY_FIRST] (default: 400ms)",
			"[$VIZSTOP_CHECK_INTERVAL] (default: 200ms)", "[$VIZSTOP_DELAYED_CHECK_INTERVAL] (default: 1s)"}},
		{[]string{"demo", "--help"}, []string{"--jobs", "--serve", "--json"}},
		{[]string{"--version"}, []string{"worker version "}},
	} {
		var stdout, stderr bytes.Buffer
		if err := run(t.Context(), c.args, environ{}.get, &stdout, &stderr); err != nil || stderr.Len() > 0 {
			t.Errorf("worker %q: %v, %q", c.args, err, &stderr)
		}
		wantContains(t, stdout.String(), c.want...)
	}
}

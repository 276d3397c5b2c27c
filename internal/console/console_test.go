package console

import (
	"bufio"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"vizstop/internal/console/site"
	"vizstop/internal/httpd"
	"vizstop/internal/principals"
)

// Every way to be refused, and beside each the way in.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := serve(t, options{config: func(c *Config) {
		c.Hosts, c.TrustedOrigins = []string{"vizstop.example"}, []string{"https://ops.example:8443"}
	}})
	other, _ := principals.NewToken()
	basic := func(user, as string) map[string]string {
		r, _ := http.NewRequest("GET", "/", nil)
		r.SetBasicAuth(user, s.tokens[as])
		return map[string]string{"Authorization": r.Header.Get("Authorization")}
	}
	h := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	post := call{method: "POST", path: "/v1/asks", as: "asker", body: "x"}
	with := func(c call, f func(*call)) call { f(&c); return c }
	for name, c := range map[string]struct {
		call
		status  int
		problem string // of calls to the API
	}{
		"a page":                       {call{path: "/", as: "reader"}, 200, ""},
		"a password":                   {call{path: "/", header: basic("", "reader")}, 200, ""},
		"a password with its name":     {call{path: "/", header: basic("reader", "reader")}, 200, ""},
		"a password with another name": {call{path: "/v1/jobs/1", header: basic("operator", "reader")}, 401, "not-authenticated"},
		"no token":                     {call{path: "/v1/jobs/1"}, 401, "not-authenticated"},
		"a wrong token":                {call{path: "/v1/jobs/1", header: h("Authorization", "Bearer "+other)}, 401, "not-authenticated"},
		"an expired token":             {call{path: "/v1/jobs/1", as: "former"}, 401, "expired"},
		"nobody asks for nothing":      {call{path: "/v1/nothing"}, 401, "not-authenticated"},
		"nothing":                      {call{path: "/v1/nothing", as: "reader"}, 404, "not-found"},
		"another method":               {call{method: "DELETE", path: "/v1/jobs/1", as: "operator"}, 405, "method-not-allowed"},
		"no method of HTTP":            {call{method: "BREW", path: "/v1/jobs/1", as: "operator"}, 405, "method-not-allowed"},
		"public":                       {call{path: "/public"}, 200, ""},
		"ask as asker":                 {post, 200, ""},
		"ask as operator":              {with(post, func(c *call) { c.as = "operator" }), 200, ""},
		"ask as reader":                {with(post, func(c *call) { c.as = "reader" }), 403, "role-too-low"},
		"act as operator":              {call{method: "POST", path: "/act", as: "operator"}, 200, ""},
		"act as asker":                 {call{method: "POST", path: "/act", as: "asker"}, 403, ""},
		"our host":                     {call{path: "/v1/jobs/1", as: "reader", host: "VIZSTOP.example.:9465"}, 200, ""},
		"localhost":                    {call{path: "/v1/jobs/1", as: "reader", host: "localhost:1"}, 200, ""},
		"loopback of IPv6":             {call{path: "/v1/jobs/1", as: "reader", host: "[::1]:1"}, 200, ""},
		"the host of an origin":        {call{path: "/v1/jobs/1", as: "reader", host: "ops.example:8443"}, 200, ""},
		"another host":                 {call{path: "/v1/jobs/1", as: "reader", host: "attacker.example"}, 421, "wrong-host"},
		"another address":              {call{path: "/v1/jobs/1", as: "reader", host: "192.0.2.1:9465"}, 421, "wrong-host"},
		"a host that ends like ours":   {call{path: "/v1/jobs/1", as: "reader", host: "x.vizstop.example"}, 421, "wrong-host"},
		"a host with a user":           {call{path: "/v1/jobs/1", as: "reader", host: "localhost@attacker.example"}, 421, "wrong-host"},
		"another host, healthz":        {call{path: "/healthz", host: "10.0.0.1:9465"}, 200, ""},
		"our origin":                   {with(post, func(c *call) { c.header = h("Origin", "http://"+s.addr) }), 200, ""},
		"same origin":                  {with(post, func(c *call) { c.header = h("Sec-Fetch-Site", "same-origin") }), 200, ""},
		"a trusted origin":             {with(post, func(c *call) { c.header = h("Sec-Fetch-Site", "cross-site", "Origin", "https://ops.example:8443") }), 200, ""},
		"cross-site":                   {with(post, func(c *call) { c.header = h("Sec-Fetch-Site", "cross-site") }), 403, "cross-origin"},
		"same-site":                    {with(post, func(c *call) { c.header = h("Sec-Fetch-Site", "same-site", "Origin", "http://x.example") }), 403, "cross-origin"},
		"another origin":               {with(post, func(c *call) { c.header = h("Origin", "http://attacker.example") }), 403, "cross-origin"},
		"the origin null":              {with(post, func(c *call) { c.header = h("Origin", "null") }), 403, "cross-origin"},
		"cross-site, reading":          {call{path: "/v1/jobs/1", as: "reader", header: h("Sec-Fetch-Site", "cross-site")}, 200, ""},
		"large body":                   {with(post, func(c *call) { c.body = strings.Repeat("x", 1001) }), 413, "body-too-large"},
		"body of the longest length":   {with(post, func(c *call) { c.body = strings.Repeat("x", 1000) }), 200, ""},
		"huge header":                  {call{path: "/v1/jobs/1", as: "reader", header: h("X-Large", strings.Repeat("x", 64<<10))}, 431, ""},
		"time is over":                 {call{path: "/v1/over", as: "reader"}, 503, "took-too-long"},
		"Redis is away":                {call{path: "/v1/away", as: "reader"}, 503, "unavailable"},
		"a fault":                      {call{path: "/v1/fault", as: "reader"}, 500, "internal"},
		"a panic":                      {call{path: "/v1/panic", as: "reader"}, 500, "internal"},
		"metrics as reader":            {call{path: "/metrics", as: "reader"}, 200, ""},
		"metrics as nobody":            {call{path: "/metrics"}, 401, ""},
	} {
		got := s.do(c.call)
		if got.status != c.status || got.problem() != c.problem {
			t.Errorf("%s: %d %s %.200q, want %d %s", name, got.status, got.problem(), got.body, c.status, c.problem)
		}
		if got.status == 401 && got.header.Get("WWW-Authenticate") != `Basic realm="vizstop", Bearer` {
			t.Errorf("%s: browsers don't ask: %v", name, got.header)
		}
		if (got.status == 429 || got.status == 503) && got.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", name)
		}
		if strings.Contains(got.body, "hidden") {
			t.Errorf("%s: the answer shows what the error says: %s", name, got.body)
		}
	}
	if got := s.do(call{method: "PUT", path: "/v1/jobs/1", as: "reader"}); got.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("Allow: %q", got.header.Get("Allow"))
	}
	if n := strings.Count(s.log.String(), "this is a fault of vizstop"); n != 1 {
		t.Errorf("a panic made %d lines", n)
	}
}

func TestActionsOff(t *testing.T) {
	t.Parallel()
	s := serve(t, options{config: func(c *Config) { c.Site.Actions = false }})
	if got := s.do(call{method: "POST", path: "/act", as: "operator"}); got.status != 403 || !strings.Contains(got.body, "--actions") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// Without principals everybody may look, and do nothing.
func TestWithoutPrincipals(t *testing.T) {
	t.Parallel()
	s := serve(t, options{open: true})
	for path, want := range map[string]int{"GET /": 200, "GET /metrics": 200, "POST /v1/asks": 403, "POST /act": 403} {
		method, path, _ := strings.Cut(path, " ")
		if got := s.do(call{method: method, path: path}); got.status != want {
			t.Errorf("%s %s: %d %s", method, path, got.status, got.body)
		}
	}
}

// An answer that has begun when its handler fails is cut: nobody takes it for the whole.
func TestPanicAfterTheAnswerBegan(t *testing.T) {
	t.Parallel()
	s := serve(t, options{})
	if got, err := s.try(call{path: "/v1/late", as: "reader"}); err == nil {
		t.Errorf("%d, %d bytes, and no error", got.status, len(got.body))
	}
	s.await("a line of log", func() bool { return strings.Contains(s.log.String(), "this is a fault of vizstop") })
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	s := serve(t, options{})
	for _, c := range []call{{path: "/", as: "reader"}, {path: "/"}, {path: "/v1/nothing", as: "reader"}, {path: "/healthz"}, {path: "/", host: "x"}} {
		got := s.do(c)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
				"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			"Strict-Transport-Security": "", "Access-Control-Allow-Origin": "", "Set-Cookie": "",
		} {
			if got.header.Get(name) != want {
				t.Errorf("%s %d: %s is %q", c.path, got.status, name, got.header.Get(name))
			}
		}
	}
}

// Links work below a prefix, and what is not below it is told.
func TestPrefix(t *testing.T) {
	t.Parallel()
	s := serve(t, options{config: func(c *Config) { c.Site.Prefix = "/ops/vizstop" }})
	for path, want := range map[string]struct {
		status int
		says   string
	}{
		"/ops/vizstop/":             {200, "link /ops/vizstop/v1/jobs/1"},
		"/ops/vizstop":              {307, ""},
		"/ops/vizstop//v1/jobs/1":   {404, `"detail":"There is nothing at this address. Write its path as /ops/vizstop/v1/jobs/1."`},
		"/ops/vizstop/v1/jobs/1/":   {404, "Write its path as /ops/vizstop/v1/jobs/1."},
		"/ops/vizstop//":            {307, ""},
		"/ops/vizstop/v1/jobs/1":    {200, "1"},
		"/ops/vizstop/v1/jobs/a%2F": {200, "a/"},
		"/ops/vizstop/v1/fault":     {500, "/problems/internal"},
		"/ops/vizstop/healthz":      {200, "ok"},
		"/healthz":                  {200, "ok"},
		"/metrics":                  {200, "vizstop_console"},
		"/":                         {404, "The console is below /ops/vizstop/ (--prefix)"},
		"/ops":                      {404, "The console is below /ops/vizstop/ (--prefix)"},
		"/v1/jobs/1":                {404, "The console is below /ops/vizstop/ (--prefix)"},
	} {
		got := s.do(call{path: path, as: "reader"})
		if got.status != want.status || !strings.Contains(got.body, want.says) {
			t.Errorf("%s: %d %.200q", path, got.status, got.body)
		}
		if got.status == 307 && !strings.HasPrefix(got.header.Get("Location"), "/ops/vizstop/") {
			t.Errorf("%s: sent to %s", path, got.header.Get("Location"))
		}
	}
}

// The access log names who, what and how it ended, and neither query nor path; so do the metrics.
func TestAccessLogAndMetrics(t *testing.T) {
	t.Parallel()
	s := serve(t, options{})
	s.do(call{path: "/v1/jobs/secret-job?q=secret-query", as: "reader"})
	s.do(call{method: "POST", path: "/v1/asks?q=secret-query", as: "asker", body: "secret-body"})
	s.do(call{method: "BREW", path: "/secret-path", as: "reader"})
	s.await("three lines", func() bool { return strings.Count(s.log.String(), "msg=request") == 3 })
	var lines []string
	for scan := bufio.NewScanner(strings.NewReader(s.log.String())); scan.Scan(); {
		if _, line, ok := strings.Cut(scan.Text(), "level="); ok && strings.Contains(line, "msg=request") {
			before, _, _ := strings.Cut(line, " duration=")
			lines = append(lines, before)
		}
	}
	want := []string{
		`DEBUG msg=request principal=reader method=GET route=/v1/jobs/{job} status=200 bytes=10`,
		`INFO msg=request principal=asker method=POST route=/v1/asks status=200 bytes=17`,
		`INFO msg=request principal=reader method=other route=unmatched status=404 bytes=77`,
	}
	for i := range want {
		want, got := strings.Fields(want[i]), strings.Fields(lines[i])
		if strings.Join(got[:len(got)-1], " ") != strings.Join(want[:len(want)-1], " ") || i < 2 && got[len(got)-1] != want[len(want)-1] {
			t.Errorf("line %d: %q, want %q", i, got, want)
		}
	}
	if strings.Contains(s.log.String(), "secret") {
		t.Errorf("the log shows what was asked for:\n%s", s.log)
	}
	metrics := s.do(call{path: "/metrics", as: "reader"}).body
	for _, want := range []string{
		`vizstop_console_requests_total{code="200",method="GET",route="/v1/jobs/{job}"} 1`,
		`vizstop_console_requests_total{code="404",method="other",route="unmatched"} 1`,
		`vizstop_console_request_duration_seconds_count{route="/v1/asks"} 1`,
		`vizstop_console_refused_total{why="wrong-host"} 0`,
		`vizstop_console_in_flight_requests 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(metrics, "secret") {
		t.Error("the metrics show what was asked for")
	}
	if problems, err := testutil.GatherAndLint(s.reg); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// Probes are answered, and ask Redis no more than once a second.
func TestHealth(t *testing.T) {
	t.Parallel()
	s := serve(t, options{config: func(c *Config) { c.OwnMetrics = true }})
	for range 20 {
		if got := s.do(call{path: "/readyz"}); got.status != 200 {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	if n := s.asked.Load(); n > 10 {
		t.Errorf("Redis was asked %d times", n)
	}
	s.down.Store(true)
	s.await("not ready", func() bool { return s.do(call{path: "/readyz"}).status == 503 })
	if got := s.do(call{path: "/readyz"}); strings.Contains(got.body, "hidden") {
		t.Errorf("the answer says %s", got.body)
	}
	if got := s.do(call{path: "/healthz"}); got.status != 200 || got.body != "ok\n" {
		t.Errorf("healthz: %d %s", got.status, got.body)
	}
	if got := s.do(call{path: "/metrics", as: "reader"}); got.status != 404 {
		t.Errorf("metrics beside a listener of their own: %d", got.status)
	}
	plain, err := httpd.Listen(httpd.Config{Listen: "127.0.0.1:0", Handler: s.console.Plain(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close(time.Second)
	s.addr = plain.Addr()
	if got := s.do(call{path: "/metrics"}); got.status != 200 || !strings.Contains(got.body, "vizstop_console_requests_total") {
		t.Errorf("metrics on their own listener: %d", got.status)
	}
}

func TestBadOrigin(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Site: &site.Site{Log: slog.New(slog.DiscardHandler)}, Registry: prometheus.NewRegistry(), TrustedOrigins: []string{"ops.example"}})
	if err == nil {
		t.Error("an origin without a scheme was taken")
	}
}

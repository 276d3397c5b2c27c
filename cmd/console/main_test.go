package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"vizstop/internal/logtest"
	"vizstop/internal/redistest"
)

// patience is for machines that are very busy.
const patience = 2 * time.Minute

type environ map[string]string

func (e environ) get(name string) string { return e[name] }

// command runs a command that ends by itself.
func command(t *testing.T, env environ, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	err = run(ctx, args, env.get, &out, &errs)
	return out.String(), errs.String(), err
}

// running is a console at work.
type running struct {
	*testing.T
	addr string
	log  *logtest.Buffer
	stop func()
}

func start(t *testing.T, env environ, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{T: t, log: &logtest.Buffer{}}
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, append([]string{"run", "--listen", "127.0.0.1:0"}, args...), env.get, io.Discard, r.log)
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the console ended with %v", err)
			}
		case <-time.After(patience):
			t.Error("the console does not end")
		}
	})
	t.Cleanup(r.stop)
	for end := time.Now().Add(patience); r.addr == ""; time.Sleep(time.Millisecond) {
		select {
		case err := <-ended:
			t.Fatalf("the console ended: %v\n%s", err, r.log)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("the console does not start:\n%s", r.log)
		}
		r.addr = r.logged("console started", "listen")
	}
	return r
}

// logged is a field of the first line of log with that message; "" if there is none.
func (r *running) logged(message, field string) string {
	for line := range strings.Lines(r.log.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["msg"] == message {
			value, _ := fields[field].(string)
			return value
		}
	}
	return ""
}

// ask makes a GET request. What fails before an answer has the status 0.
func (r *running) ask(client *http.Client, url, token string) (status int, body string) {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), "GET", url, nil)
	if err != nil {
		r.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(text)
}

func plainClient() *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
}

// newToken makes a token by the command, and the line for the file.
func newToken(t *testing.T, args ...string) (token, line string) {
	t.Helper()
	stdout, stderr, err := command(t, nil, append([]string{"token"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	token = strings.TrimSuffix(stdout, "\n")
	if !regexp.MustCompile(`^vst_[A-Z2-7]{26}$`).MatchString(token) || strings.Contains(stderr, token) {
		t.Fatalf("the token has %d characters, and stderr says %s", len(token), stderr)
	}
	_, line, _ = strings.Cut(stderr, "\n\n")
	return token, line
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestToken(t *testing.T) {
	t.Parallel()
	_, line := newToken(t, "--role", "ask", "--project", "p1,p2", "--expires", "2999-01-31", "night-job")
	if !regexp.MustCompile(`^  - \{name: "night-job", role: ask, token_hash: "sha256:[0-9a-f]{64}", projects: \["p1", "p2"\], expires: "2999-01-31"\}\n$`).MatchString(line) {
		t.Errorf("the line is %q", line)
	}
	for want, args := range map[string][]string{
		"give the name of one principal":      {"token"},
		"is not valid: write 1 to 64 letters": {"token", "a b"},
		`"admin" is none of read, ask`:        {"token", "--role", "admin", "a"},
		"is not valid: write a project id":    {"token", "--project", "a/b", "a"},
		"--expires: 2020-01-01 has passed":    {"token", "--expires", "2020-01-01", "a"},
		`"soon" is not valid: write a day`:    {"token", "--expires", "soon", "a"},
	} {
		stdout, _, err := command(t, nil, args...)
		if err == nil || !strings.Contains(err.Error(), want) || stdout != "" {
			t.Errorf("%q: %v, want %s", args, err, want)
		}
	}
}

// What would be unsafe, or makes no sense, is refused before anything is listened on, all at once.
func TestBadSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, line := newToken(t, "alice")
	file := write(t, filepath.Join(dir, "principals.yaml"), "principals:\n"+line)
	bad := write(t, filepath.Join(dir, "bad.yaml"), "principals:\n- {name: a, role: boss, certificate: true}\n")
	passwords := write(t, filepath.Join(dir, "web.yml"), "basic_auth_users:\n  a: $2a$04$ZyDSVM/Si7BHqhzrrYlBkONTBFNKIhpZXwvBQ1/dSS1Tay9Vx6mZ6\n")
	for name, c := range map[string]struct {
		args []string
		want []string // "" for none
	}{
		"every address":            {[]string{"--listen", ":9465"}, []string{"--listen (VIZSTOP_CONSOLE_LISTEN): :9465 can be reached from other machines"}},
		"an address":               {[]string{"--listen", "192.0.2.1:1"}, []string{"192.0.2.1:1 can be reached"}},
		"a name":                   {[]string{"--listen", "vizstop.example:1"}, []string{"vizstop.example:1 can be reached"}},
		"loopback":                 {[]string{"--listen", "[::1]:1"}, nil},
		"localhost":                {[]string{"--listen", "localhost:1"}, nil},
		"every address, file":      {[]string{"--listen", ":9465", "--principals", file}, nil},
		"actions":                  {[]string{"--actions"}, []string{"--actions (VIZSTOP_CONSOLE_ACTIONS) needs to know who acts"}},
		"actions, file":            {[]string{"--actions", "--principals", file}, nil},
		"actions, every address":   {[]string{"--actions", "--listen", ":1"}, []string{"can be reached", "needs to know who acts"}},
		"no file":                  {[]string{"--principals", "missing"}, []string{"--principals (VIZSTOP_CONSOLE_PRINCIPALS): stat missing"}},
		"bad file":                 {[]string{"--principals", bad}, []string{"bad.yaml:2:19: \"boss\" is not valid"}},
		"passwords":                {[]string{"--web-config-file", passwords}, []string{"web.yml has basic_auth_users, which would refuse every request with a token"}},
		"no address":               {[]string{"--listen", "9465"}, []string{`"9465" is not an address`}},
		"prefix":                   {[]string{"--prefix", "vizstop"}, []string{`"vizstop" is not a path such as /vizstop`}},
		"prefix that goes up":      {[]string{"--prefix", "/a/../b"}, []string{`is not a path`}},
		"prefix with a wildcard":   {[]string{"--prefix", "/{x}"}, []string{`is not a path`}},
		"prefixes":                 {[]string{"--prefix", "/a/b-1/"}, nil},
		"origin":                   {[]string{"--trusted-origin", "ops.example"}, []string{"--trusted-origin (VIZSTOP_CONSOLE_TRUSTED_ORIGIN): \"ops.example\" is not an origin"}},
		"origin with a path":       {[]string{"--trusted-origin", "https://ops.example/x"}, []string{"is not an origin"}},
		"origins":                  {[]string{"--trusted-origin", "https://ops.example,https://b.example:8443"}, nil},
		"host":                     {[]string{"--host", "https://x.example"}, []string{`"https://x.example" is not a name`}},
		"host with a port":         {[]string{"--host", "x.example:1"}, []string{`is not a name`}},
		"hosts":                    {[]string{"--host", "x.example", "--host", "2001:db8::1"}, nil},
		"address of Grafana":       {[]string{"--grafana-url", "grafana"}, []string{"--grafana-url (VIZSTOP_CONSOLE_GRAFANA_URL): this is not an address"}},
		"script as runbooks":       {[]string{"--runbook-url", "javascript:alert(1)"}, []string{"this is not an address"}},
		"metrics":                  {[]string{"--metrics-listen", "x"}, []string{`"x" is not an address`}},
		"an argument":              {[]string{"x"}, []string{`takes no argument "x"`}},
		"an account without a key": {[]string{"--region", "cn-north-4"}, nil},
	} {
		_, _, err := command(t, nil, append([]string{"check"}, c.args...)...)
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		for _, want := range c.want {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		}
	}
	proxy := environ{"https_proxy": "http://u:s3cret%zz@127.0.0.1:9"}
	for _, name := range []string{"check", "run"} {
		if _, _, err := command(t, proxy, name); err == nil || !strings.HasPrefix(err.Error(), "https_proxy is not the URL of a proxy") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s with a bad proxy: %v", name, err)
		}
	}
	if _, _, err := command(t, nil, "chekc"); err == nil || !strings.Contains(err.Error(), `unknown command "chekc"`) {
		t.Errorf("the error is %v", err)
	}
}

// "check" says what "run" would do, and what should not stay so.
func TestCheck(t *testing.T) {
	t.Parallel()
	_, line := newToken(t, "--project", "p1", "alice")
	text := "principals:\n" + line + "- {name: former, role: operate, expires: 2020-01-01, certificate: true}\n"
	file := write(t, filepath.Join(t.TempDir(), "principals.yaml"), strings.Replace(text, "  - {", "- {", 1))
	env := environ{"VIZSTOP_CONSOLE_PRINCIPALS": file, "VIZSTOP_CONSOLE_LISTEN": ":9465", "VIZSTOP_CONSOLE_ACTIONS": "true", "VIZSTOP_CONSOLE_HOST": "x.example"}
	stdout, _, err := command(t, env, "check")
	want := `serves http://:9465/, with the Redis redis://127.0.0.1:6379/0
answers to x.example, besides loopback names and its address
actions are switched on
cannot ask by rule or undo: it has no credentials
principal alice: read, 1 of the projects
principal former: operate, all projects, expired
warning: tokens travel in clear: give the console TLS with --web-config-file (VIZSTOP_CONSOLE_WEB_CONFIG_FILE), or say with --behind-proxy (VIZSTOP_CONSOLE_BEHIND_PROXY) that a proxy does it
warning: the principal former has expired, on 2020-01-01T00:00:00Z: it is refused
warning: the principal former comes with a client certificate, and none is asked for: set client_auth_type and client_ca_file in --web-config-file
warning: --actions lets nobody do anything: no principal has the role operate
`
	if err != nil || stdout != want {
		t.Errorf("%v\n%s", err, stdout)
	}
	env["VIZSTOP_CONSOLE_BEHIND_PROXY"] = "true"
	if stdout, _, _ := command(t, env, "check"); strings.Contains(stdout, "in clear") {
		t.Errorf("behind a proxy:\n%s", stdout)
	}
}

// A console without anything is for this machine to look at.
func TestRun(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	env := environ{"VIZSTOP_REDIS": server.URL}
	r := start(t, env, "--prefix", "/ops/", "--metrics-listen", "127.0.0.1:0")
	for path, want := range map[string]int{"/readyz": 200, "/healthz": 200, "/ops/v1/nothing": 404, "/metrics": 404} {
		if status, body := r.ask(plainClient(), "http://"+r.addr+path, ""); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	metrics := r.logged("metrics are served", "listen")
	if status, body := r.ask(plainClient(), "http://"+metrics+"/metrics", ""); status != 200 || !strings.Contains(body, "vizstop_console_in_flight_requests") {
		t.Errorf("metrics: %d", status)
	}
	r.stop()
	if !strings.Contains(r.log.String(), "console stops") {
		t.Errorf("the log is\n%s", r.log)
	}
}

// A file of principals that changes counts without a restart, and no token is in any line of log.
func TestPrincipalsReadAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	first, line := newToken(t, "alice")
	file := write(t, filepath.Join(t.TempDir(), "principals.yaml"), "principals:\n"+line)
	r := start(t, environ{"VIZSTOP_REDIS": server.URL, "VIZSTOP_CONSOLE_PRINCIPALS": file, "VIZSTOP_LOG_LEVEL": "debug"})
	url := "http://" + r.addr + "/metrics"
	if status, body := r.ask(plainClient(), url, first); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	second, line := newToken(t, "alice")
	write(t, file, "principals:\n"+line)
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if status, _ := r.ask(plainClient(), url, second); status == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the new token does not count:\n%s", r.log)
		}
	}
	if status, _ := r.ask(plainClient(), url, first); status != 401 && status != 429 {
		t.Errorf("the old token: %d", status)
	}
	if _, body := r.ask(plainClient(), url, second); !strings.Contains(body, "\nvizstop_refused_files 0\n") || !strings.Contains(body, "\nvizstop_console_build_info{") {
		t.Error("the metrics lack refused files, or the version")
	}
	write(t, file, "principals:\n- {name: secret-name, role: boss}\n")
	ready := "http://" + r.addr + "/readyz"
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		status, body := r.ask(plainClient(), ready, "")
		if status == 200 && strings.HasPrefix(body, "ok\nrefused files: 1 ") && !strings.Contains(body, "secret") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d %s", status, body)
		}
	}
	if status, body := r.ask(plainClient(), url, second); status != 200 || !strings.Contains(body, "\nvizstop_refused_files 1\n") {
		t.Errorf("after a refused change: %d", status)
	}
	r.stop()
	for _, token := range []string{first, second} {
		if strings.Contains(r.log.String(), token[4:]) {
			t.Errorf("the log shows a token:\n%s", r.log)
		}
	}
}

// authority makes certificates.
type authority struct {
	*testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T, dir, file string) *authority {
	t.Helper()
	a := &authority{T: t, dir: dir, pool: x509.NewCertPool()}
	a.cert, a.key = a.make(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, file)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) make(template *x509.Certificate, from *authority, file string) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if from != nil {
		parent, signer = from.cert, from.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.Fatal(err)
	}
	write(a.T, filepath.Join(a.dir, file+".pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(a.T, filepath.Join(a.dir, file+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})))
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.Fatal(err)
	}
	return cert, key
}

// client is one that shows a certificate of that common name; "" for none.
func (a *authority) client(trusts *authority, name string) *http.Client {
	config := &tls.Config{RootCAs: trusts.pool}
	if name != "" {
		cert, key := a.make(&x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, a, "client")
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { // whoever the server asks for
			return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}, nil
		}
	}
	return &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config, ForceAttemptHTTP2: true}}
}

// With TLS, tokens come in; with client certificates that were verified, their names do.
func TestTLS(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	dir := t.TempDir()
	ca, stranger := newAuthority(t, dir, "ca"), newAuthority(t, dir, "stranger")
	ca.make(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, ca, "server")
	token, line := newToken(t, "alice")
	file := write(t, filepath.Join(dir, "principals.yaml"), "principals:\n"+line+"  - {name: robot, role: read, certificate: true}\n")
	const withTLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
	for name, c := range map[string]struct {
		web                                                   string
		none, token, robot, unknown, alice, forged, forgedOne int // 0: there is no connection
	}{
		"TLS":                {withTLS, 401, 200, 401, 401, 401, 401, 200},
		"shown":              {withTLS + "  client_auth_type: RequestClientCert\n", 401, 200, 401, 401, 401, 401, 200},
		"verified if given":  {withTLS + "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n", 401, 200, 200, 401, 401, 0, 0},
		"required, verified": {withTLS + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n", 0, 0, 200, 401, 401, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			web := write(t, filepath.Join(dir, "web.yml"), c.web)
			r := start(t, environ{"VIZSTOP_REDIS": server.URL, "VIZSTOP_CONSOLE_PRINCIPALS": file, "VIZSTOP_CONSOLE_WEB_CONFIG_FILE": web})
			url := "https://" + r.addr + "/metrics"
			for what, one := range map[string]struct {
				client *http.Client
				token  string
				want   int
			}{
				"nothing":                      {ca.client(ca, ""), "", c.none},
				"a token":                      {ca.client(ca, ""), token, c.token},
				"robot's certificate":          {ca.client(ca, "robot"), "", c.robot},
				"a stranger's name":            {ca.client(ca, "unknown"), "", c.unknown},
				"the name of who has a token":  {ca.client(ca, "alice"), "", c.alice},
				"robot by another CA":          {stranger.client(ca, "robot"), "", c.forged},
				"a token, robot by another CA": {stranger.client(ca, "robot"), token, c.forgedOne},
			} {
				if status, body := r.ask(one.client, url, one.token); status != one.want {
					t.Errorf("%s: %d %.200s, want %d", what, status, body, one.want)
				}
			}
			if c.token == 200 {
				res, err := ca.client(ca, "").Get("https://" + r.addr + "/healthz")
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if res.Header.Get("Strict-Transport-Security") != "max-age=31536000" || res.ProtoMajor != 2 {
					t.Errorf("HTTP %d, headers %v", res.ProtoMajor, res.Header)
				}
			}
			r.stop()
			if strings.Contains(r.log.String(), token[4:]) {
				t.Error("the log shows a token")
			}
		})
	}
}

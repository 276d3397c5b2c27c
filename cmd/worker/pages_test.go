package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"vizstop/internal/redistest"
)

const (
	webUser     = "prometheus"
	webPassword = "web-password"
)

// webFiles is a folder with a certificate for 127.0.0.1, and the client's view
// of it.
type webFiles struct {
	t    *testing.T
	dir  string
	pool *x509.CertPool
}

func newWebFiles(t *testing.T) *webFiles {
	t.Helper()
	f := &webFiles{t: t, dir: t.TempDir(), pool: x509.NewCertPool()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	f.pool.AppendCertsFromPEM(cert)
	f.write("cert.pem", string(cert))
	f.write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})))
	return f
}

func (f *webFiles) write(name, text string) (path string) {
	f.t.Helper()
	path = filepath.Join(f.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return path
}

const withTLS = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"

// withPassword is the part of a web configuration that asks for a password.
func withPassword(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return "basic_auth_users:\n  " + webUser + ": " + string(hash) + "\n"
}

// ask makes one request to a worker's pages.
func (f *webFiles) ask(method, url, user, password string) (status int, header http.Header, body string) {
	f.t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: f.pool}}}
	req, err := http.NewRequestWithContext(f.t.Context(), method, url, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	res, err := client.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

func TestPagesWithTLSAndPassword(t *testing.T) {
	server, sim := redistest.Start(t), simulate(t)
	files := newWebFiles(t)
	config := files.write("web.yml", withTLS+withPassword(t, webPassword))
	env := signing(server, sim)
	env["VIZSTOP_WEB_CONFIG_FILE"] = config
	r := start(t, env)

	for _, path := range []string{"/metrics", "/readyz", "/healthz", "/"} {
		if status, _, body := files.ask("GET", "https://"+r.addr+path, webUser, webPassword); status != 200 || body == "" {
			t.Errorf("%s with the password: %d %q", path, status, body)
		}
		for _, wrong := range [][2]string{{"", ""}, {webUser, "wrong"}, {"other", webPassword}} {
			if status, _, body := files.ask("GET", "https://"+r.addr+path, wrong[0], wrong[1]); status != 401 || strings.Contains(body, "ok") {
				t.Errorf("%s as %q: %d %q, want 401", path, wrong, status, body)
			}
		}
		if status, _, body := files.ask("GET", "http://"+r.addr+path, webUser, webPassword); status != 400 || !strings.Contains(body, "HTTPS") {
			t.Errorf("%s without TLS: %d %q, want 400", path, status, body)
		}
	}

	// A new password counts from the next request on.
	files.write("web.yml", withTLS+withPassword(t, "another"))
	if status, _, _ := files.ask("GET", "https://"+r.addr+"/metrics", webUser, webPassword); status != 401 {
		t.Errorf("with the old password: %d, want 401", status)
	}
	if status, _, _ := files.ask("GET", "https://"+r.addr+"/metrics", webUser, "another"); status != 200 {
		t.Errorf("with the new password: %d, want 200", status)
	}

	// A file that went bad opens nothing, and its content is not logged.
	files.write("web.yml", "basic_auth_users: "+webPassword+"\n")
	if _, err := tls.Dial("tcp", r.addr, &tls.Config{RootCAs: files.pool}); err == nil {
		t.Error("a connection was made with a web configuration file that makes no sense")
	}
	r.stop()
	if strings.Contains(r.log.String(), webPassword[:5]) || !strings.Contains(r.log.String(), "(what it says)") {
		t.Errorf("the log tells what stands in the web configuration file, or not that it is bad:\n%s", r.log)
	}
}

// Only a password, or only TLS, is possible too.
func TestPagesWithPasswordOnly(t *testing.T) {
	server, sim := redistest.Start(t), simulate(t)
	files := newWebFiles(t)
	r := start(t, signing(server, sim), "--web-config-file", files.write("web.yml", withPassword(t, webPassword)))
	if status, _, _ := files.ask("GET", "http://"+r.addr+"/metrics", "", ""); status != 401 {
		t.Errorf("without the password: %d, want 401", status)
	}
	if status, _, _ := files.ask("GET", "http://"+r.addr+"/metrics", webUser, webPassword); status != 200 {
		t.Errorf("with the password: %d, want 200", status)
	}
	files.write("web.yml", "basic_auth_users: "+webPassword+"\n")
	if status, _, body := files.ask("GET", "http://"+r.addr+"/metrics", webUser, webPassword); status != 500 || strings.Contains(body, webPassword) {
		t.Errorf("with a file that went bad: %d %q, want 500", status, body)
	}
	r.stop()
	if strings.Contains(r.log.String(), webPassword[:5]) {
		t.Errorf("the log tells what stands in the web configuration file:\n%s", r.log)
	}
}

func TestBadWebConfig(t *testing.T) {
	t.Parallel()
	files := newWebFiles(t)
	for name, c := range map[string]struct{ text, want string }{
		"plain password":  {"basic_auth_users:\n  prometheus: secret-text\n", "crypto/bcrypt: "},
		"not a map":       {"basic_auth_users: secret-text\n", "line 1: cannot unmarshal !!str (what it says)"},
		"unknown key":     {"basic_auth: {}\n", "field basic_auth not found"},
		"key without end": {"tls_server_config:\n  cert_file: cert.pem\n", "missing one of key or key_file"},
		"no certificate":  {"tls_server_config:\n  cert_file: none.pem\n  key_file: key.pem\n", "none.pem: no such file"},
	} {
		path := files.write("web.yml", c.text)
		got := refusal(t, environ{"VIZSTOP_WEB_CONFIG_FILE": path, "HW_AUTH_TOKEN": "t"})
		text := strings.Join(got, "\n")
		if !strings.HasPrefix(text, "--web-config-file (VIZSTOP_WEB_CONFIG_FILE): "+path+": ") || !strings.Contains(text, c.want) {
			t.Errorf("%s: %s; want %s", name, text, c.want)
		}
		if strings.Contains(text, "secret-t") {
			t.Errorf("%s: the error quotes the file: %s", name, text)
		}
	}
	got := refusal(t, environ{"HW_AUTH_TOKEN": "t"}, "--web-config-file", "missing.yml")
	wantLines(t, got, []string{"--web-config-file (VIZSTOP_WEB_CONFIG_FILE): missing.yml: open missing.yml: no such file"})
}

// Nothing can be changed through the pages, and a browser is told to be careful
// with them.
func TestPagesAreForReading(t *testing.T) {
	server, sim := redistest.Start(t), simulate(t)
	r := start(t, signing(server, sim))
	files := newWebFiles(t)
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/"} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
			if status, _, _ := files.ask(method, "http://"+r.addr+path, "", ""); status != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d, want 405", method, path, status)
			}
		}
		for _, method := range []string{"GET", "HEAD"} {
			status, header, _ := files.ask(method, "http://"+r.addr+path, "", "")
			if status != 200 || header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: %d %v", method, path, status, header)
			}
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+r.addr+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Large", strings.Repeat("x", 64<<10))
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 KiB of headers: %d, want 431", res.StatusCode)
	}
}

// What the web configuration file says of headers wins.
func TestHeadersOfTheWebConfig(t *testing.T) {
	server, sim := redistest.Start(t), simulate(t)
	files := newWebFiles(t)
	r := start(t, signing(server, sim), "--web-config-file",
		files.write("web.yml", "http_server_config:\n  headers:\n    X-Frame-Options: sameorigin\n"))
	if _, header, _ := files.ask("GET", "http://"+r.addr+"/", "", ""); header.Get("X-Frame-Options") != "sameorigin" {
		t.Errorf("headers %v", header)
	}
}

// Listening beyond this machine without protection is told, once.
func TestOpenPagesAreTold(t *testing.T) {
	const note = "the pages are open to whoever reaches this machine"
	server, sim := redistest.Start(t), simulate(t)
	files := newWebFiles(t)
	protected := files.write("web.yml", withPassword(t, webPassword))
	for name, c := range map[string]struct {
		args []string
		told int
	}{
		"every address":       {[]string{"--listen", ":0"}, 1},
		"every IPv4 address":  {[]string{"--listen", "0.0.0.0:0"}, 1},
		"this machine":        {[]string{"--listen", "127.0.0.1:0"}, 0},
		"this machine's name": {[]string{"--listen", "localhost:0"}, 0},
		"with a password":     {[]string{"--listen", "0.0.0.0:0", "--web-config-file", protected}, 0},
	} {
		r := start(t, signing(server, sim), c.args...)
		r.stop()
		if n := strings.Count(r.log.String(), note); n != c.told {
			t.Errorf("%s: told %d times, want %d", name, n, c.told)
		}
	}
}

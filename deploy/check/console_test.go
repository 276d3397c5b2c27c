package check

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// consolePages starts a console on a Redis of its own, and returns its address.
func consolePages(t *testing.T, args ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "v") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	redis, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is not installed: run `make deps`")
	}
	socket := filepath.Join(dir, "s")
	serveProgram(t, `(eady to accept connections at)`, redis, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", dir)
	args = append([]string{"run", "--redis", "unix://" + socket, "--listen", "127.0.0.1:0", "--log-format", "json"}, args...)
	return "http://" + serve(t, `"msg":"console started".*"listen":"([^"]*)"`, "console", args...)
}

// webConfig writes a web configuration file, and beside it tls.crt and tls.key, and returns its path.
func webConfig(t *testing.T, content string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), DNSNames: []string{"localhost"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{
		"web.yml": []byte(content),
		"tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "web.yml")
}

// ofTheConsole are the resources of the console in the example, by kind, with its container, its ports by name, and
// what is mounted: the source of each volume by the path where it is.
func ofTheConsole(t *testing.T) (byKind map[string]any, u use, ports map[string]string, mounts map[string]any) {
	t.Helper()
	byKind, ports, mounts = map[string]any{}, map[string]string{}, map[string]any{}
	all := kustomize(t, "overlays/example")
	for _, r := range all {
		if name := text(r, "metadata", "name"); name == "vizstop-console" || strings.HasPrefix(name, "vizstop-console-web-") {
			byKind[text(r, "kind")] = r
		}
	}
	pod := dig(podTemplate(byKind["Deployment"]), "spec")
	container := list(pod, "containers")[0]
	for _, p := range list(container, "ports") {
		ports[text(p, "name")] = jsonNumber(p, "containerPort")
	}
	for _, m := range list(container, "volumeMounts") {
		for _, v := range list(pod, "volumes") {
			if text(v, "name") == text(m, "name") {
				mounts[text(m, "mountPath")] = v
			}
		}
	}
	return byKind, useOf(t, "console", all, container), ports, mounts
}

// The console listens where the Service and the policy lead, its files are mounted, and they are what it reads.
func TestConsoleInKubernetes(t *testing.T) {
	t.Parallel()
	byKind, u, ports, mounts := ofTheConsole(t)
	for port, variable := range map[string]string{"https": "VIZSTOP_CONSOLE_LISTEN", "metrics": "VIZSTOP_CONSOLE_METRICS_LISTEN"} {
		if u.env[variable] != ":"+ports[port] {
			t.Errorf("%s is %s, the port %s is %s", variable, u.env[variable], port, ports[port])
		}
	}
	labels := dig(podTemplate(byKind["Deployment"]), "metadata", "labels").(map[string]any)
	for kind, selector := range map[string]any{
		"Deployment":    dig(byKind["Deployment"], "spec", "selector", "matchLabels"),
		"Service":       dig(byKind["Service"], "spec", "selector"),
		"NetworkPolicy": dig(byKind["NetworkPolicy"], "spec", "podSelector", "matchLabels"),
	} {
		match, _ := selector.(map[string]any)
		if match["app.kubernetes.io/component"] != "console" {
			t.Errorf("%s selects %v", kind, match)
		}
		for k, v := range match {
			if labels[k] != v {
				t.Errorf("%s selects %s=%v, the console has %v", kind, k, v, labels[k])
			}
		}
	}
	var named []any
	named = append(named, list(byKind["Service"], "spec", "ports")...)
	for _, rule := range list(byKind["NetworkPolicy"], "spec", "ingress") {
		named = append(named, list(rule, "ports")...)
	}
	for _, p := range named {
		if name := text(p, "targetPort") + text(p, "port"); ports[name] == "" {
			t.Errorf("the console has no port %q: %v", name, p)
		}
	}

	template := secretTemplate(t, "components/console")
	for _, variable := range []string{"VIZSTOP_CONSOLE_PRINCIPALS", "VIZSTOP_REDIS_PASSWORD_FILE"} {
		volume, key := mounts[filepath.Dir(u.env[variable])], filepath.Base(u.env[variable])
		if text(volume, "secret", "secretName") != text(template, "metadata", "name") || dig(template, "stringData", key) == nil {
			t.Errorf("%s is %s, where %v is mounted", variable, u.env[variable], volume)
		}
	}
	file := filepath.Join(t.TempDir(), "principals.yaml")
	if err := os.WriteFile(file, []byte(text(template, "stringData", "principals.yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, nil, "console", "check", "--principals", file); err != nil || !strings.Contains(out, "principal operator") {
		t.Errorf("the principals of the template: %v\n%s", err, out)
	}
}

// The web configuration file that is mounted names files of the secret that is mounted, and gives TLS.
func TestConsoleInKubernetesHasTLS(t *testing.T) {
	t.Parallel()
	byKind, u, _, mounts := ofTheConsole(t)
	path := u.env["VIZSTOP_CONSOLE_WEB_CONFIG_FILE"]
	config := byKind["ConfigMap"]
	if text(mounts[filepath.Dir(path)], "configMap", "name") != text(config, "metadata", "name") {
		t.Errorf("%s is not of %s: %v", path, text(config, "metadata", "name"), mounts)
	}
	content := text(config, "data", filepath.Base(path))
	const at = "/run/secrets/vizstop-console-tls/"
	if text(mounts[filepath.Clean(at)], "secret", "secretName") != "vizstop-console-tls" {
		t.Errorf("nothing is at %s: %v", at, mounts)
	}
	file := webConfig(t, strings.ReplaceAll(content, at, ""))
	out, err := run(t, nil, "console", "check", "--web-config-file", file, "--principals", filepath.Join(repository, "docs/principals.example.yaml"))
	if err != nil || !strings.Contains(out, "serves https://") {
		t.Errorf("%v\n%s", err, out)
	}
	// And with client certificates.
	open := strings.NewReplacer(at+"ca.crt", "tls.crt", at, "", "# client_", "client_").Replace(content)
	out, err = run(t, nil, "console", "check", "--web-config-file", webConfig(t, open), "--principals", filepath.Join(repository, "docs/principals.example.yaml"))
	if err != nil || strings.Contains(out, "comes with a client certificate, and none is asked for") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The drop-in for TLS gives the console files that it can read.
func TestConsoleUnitHasTLS(t *testing.T) {
	t.Parallel()
	text := strings.Join(unit(t, filepath.Join("vizstop-console.service.d", "tls.conf")), "\n")
	_, example, _ := strings.Cut(text, "#   tls_server_config")
	example, _, _ = strings.Cut("tls_server_config"+example, "\n")
	file := webConfig(t, strings.NewReplacer("console.", "tls.").Replace(example)+"\n")
	out, err := run(t, nil, "console", "check", "--web-config-file", file)
	if err != nil || !strings.Contains(out, "serves https://") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, word := range []string{"console.crt", "console.key"} {
		if !strings.Contains(example, word) || !strings.Contains(text, "LoadCredential="+word+":") {
			t.Errorf("%s is not both named and loaded", word)
		}
	}
}

// Probes need no token, on any host name.
func TestConsoleProbesNeedNoToken(t *testing.T) {
	t.Parallel()
	url := consolePages(t, "--principals", filepath.Join(repository, "docs/principals.example.yaml"))
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusOK, "/metrics": http.StatusUnauthorized} {
		if status, body := get(t, url+path); status != want {
			t.Errorf("%s: %d %.200s", path, status, body)
		}
	}
}

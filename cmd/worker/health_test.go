package main

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"vizstop/internal/redistest"
)

// askHealth runs "worker health" as a container would, with the worker's own
// environment.
func askHealth(t *testing.T, addr string, args ...string) (string, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	env := environ{"VIZSTOP_LISTEN": addr, "VIZSTOP_REDIS": "redis://nowhere"}
	err := run(t.Context(), append([]string{"health", "--timeout", patience.String()}, args...), env.get, &stdout, &stderr)
	if stderr.Len() > 0 {
		t.Errorf("worker health wrote %q", &stderr)
	}
	return stdout.String(), err
}

func TestHealth(t *testing.T) {
	server, sim := redistest.Start(t, "--appendonly", "yes"), simulate(t, "10", "11")
	rdb := server.Client(t)
	sim.RejectCredentials(true)
	r := start(t, signing(server, sim))
	for _, args := range [][]string{nil, {"--ready"}} {
		if got, err := askHealth(t, r.addr, args...); got != "ok\n" || err != nil {
			t.Errorf("worker health %q: %q, %v", args, got, err)
		}
	}
	ask(t, rdb, "b", "10", "11") // one refusal could be the stop's own fault
	await(t, "the hold", func() bool { _, page := r.get("/readyz"); return strings.Contains(page, " held since ") })
	if got, err := askHealth(t, r.addr); got != "ok\n" || err != nil {
		t.Errorf("a worker that is held lives: %q, %v", got, err)
	}
	if got, err := askHealth(t, r.addr, "--ready"); got != "" || err == nil ||
		!strings.Contains(err.Error(), "/readyz: 503 Service Unavailable: not ready\ncalls of account default held since ") {
		t.Errorf("a worker that is held is not ready: %q, %v", got, err)
	}
	r.stop()
	if _, err := askHealth(t, r.addr); err == nil || !strings.HasPrefix(err.Error(), "no worker answers: ") {
		t.Errorf("after the end: %v", err)
	}
}

// A worker whose Redis hangs says so before whoever asks has lost patience.
func TestHealthWhileRedisHangs(t *testing.T) {
	server, sim := redistest.Start(t, "--appendonly", "yes"), simulate(t)
	r := start(t, signing(server, sim))
	server.Pause()
	_, err := askHealth(t, r.addr, "--ready")
	server.Resume()
	if err == nil || !strings.Contains(err.Error(), "503 Service Unavailable: not ready\nRedis: no answer within ") {
		t.Errorf("health while Redis hangs: %v", err)
	}
}

// A worker that takes connections and says nothing is not well.
func TestHealthOfAHungWorker(t *testing.T) {
	t.Parallel()
	hung := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hung }))
	defer server.Close()
	defer close(hung)
	_, err := askHealth(t, server.Listener.Addr().String(), "--timeout", "50ms")
	if err == nil || !strings.Contains(err.Error(), "takes connections and did not answer") || strings.Contains(err.Error(), "--listen") {
		t.Errorf("a worker that doesn't answer: %v", err)
	}
}

// A worker whose pages want TLS or a password lives; whether it is ready, only who
// has the password can tell.
func TestHealthBehindAWebConfig(t *testing.T) {
	server, sim := redistest.Start(t), simulate(t)
	for _, text := range []string{withTLS, withPassword(t, webPassword)} {
		config := newWebFiles(t).write("web.yml", text)
		r := start(t, signing(server, sim), "--web-config-file", config)
		if got, err := askHealth(t, r.addr, "--web-config-file", config); !strings.HasPrefix(got, "ok") || err != nil {
			t.Errorf("a worker that lives: %q, %v", got, err)
		}
		for _, args := range [][]string{nil, {"--web-config-file", config, "--ready"}} {
			if got, err := askHealth(t, r.addr, args...); got != "" || err == nil {
				t.Errorf("worker health %q: %q, %v", args, got, err)
			}
		}
		r.stop()
		if got, err := askHealth(t, r.addr, "--web-config-file", config); got != "" || err == nil {
			t.Errorf("after the end: %q, %v", got, err)
		}
	}
}

// The health check of a worker that listens on every address asks this machine.
func TestLocalURL(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		":9464":          "http://127.0.0.1:9464/x",
		"0.0.0.0:9464":   "http://127.0.0.1:9464/x",
		"[::]:9464":      "http://127.0.0.1:9464/x",
		"[::1]:9464":     "http://[::1]:9464/x",
		"10.0.0.7:80":    "http://10.0.0.7:80/x",
		"localhost:9464": "http://localhost:9464/x",
	} {
		if got, err := localURL(listen, "/x"); got != want || err != nil {
			t.Errorf("%s: %s, %v; want %s", listen, got, err, want)
		}
	}
	l, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		t.Skip("no IPv6 here")
	}
	defer l.Close()
	url, _ := localURL(l.Addr().String(), "")
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatalf("[::] does not take IPv4: %v", err)
	}
	conn.Close()
}

package settings

import (
	"strings"
	"testing"

	"vizstop/internal/redistest"
)

// A Redis whose certificate comes from a CA of one's own, and which asks for one, is reached with files.
func TestRedisWithCertificates(t *testing.T) {
	t.Parallel()
	cert := redistest.SelfSigned(t)
	server := redistest.Start(t, append([]string{"--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "yes"}, cert.Args()...)...)
	env := map[string]string{"VIZSTOP_REDIS": "rediss://" + server.Addr}
	connect := func(args ...string) error {
		t.Helper()
		var r Redis
		var s Set
		r.Declare(&s, false)
		if err := load(t, &s, env, args...); err != nil {
			return err
		}
		client, err := r.Connect(t.Context(), 1)
		if err == nil {
			client.Close()
		}
		return err
	}
	if err := connect("--redis-ca", cert.File, "--redis-cert", cert.File, "--redis-key", cert.KeyFile); err != nil {
		t.Error(err)
	}
	for want, args := range map[string][]string{
		"is named by --redis-ca (VIZSTOP_REDIS_CA)":                                nil,
		"is named by --redis-cert and --redis-key":                                 {"--redis-ca", cert.File},
		"--redis-ca (VIZSTOP_REDIS_CA): " + cert.KeyFile + " holds no certificate": {"--redis-ca", cert.KeyFile},
		"--redis-ca (VIZSTOP_REDIS_CA): open missing":                              {"--redis-ca", "missing"},
		"--redis-cert (VIZSTOP_REDIS_CERT) and --redis-key (VIZSTOP_REDIS_KEY) go": {"--redis-cert", cert.File},
		"--redis-cert, --redis-key (VIZSTOP_REDIS_CERT, VIZSTOP_REDIS_KEY): tls: ": {"--redis-cert", cert.KeyFile, "--redis-key", cert.File},
		"go with TLS: write rediss:// in --redis (VIZSTOP_REDIS)":                  {"--redis", "redis://127.0.0.1:6379", "--redis-ca", cert.File},
	} {
		if err := connect(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", args, err, want)
		}
	}
}

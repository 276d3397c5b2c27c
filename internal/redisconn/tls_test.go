package redisconn

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/redistest"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	cert := redistest.SelfSigned(t)
	args := append([]string{"--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no"}, cert.Args()...)
	s := redistest.Start(t, args...)

	o := mustParse(t, "rediss://"+s.Addr)
	if err := checkOptions(t, o.WithRootCAs(cert.Pool)); err != nil {
		t.Error(err)
	}
	if err := checkOptions(t, mustParse(t, "redis://"+s.Addr+"?tls=true").WithRootCAs(cert.Pool)); err != nil {
		t.Error(err)
	}
	wantHint(t, checkOptions(t, o), "has a certificate that is not trusted: x509: certificate signed by unknown authority; a CA of your own is named by --redis-ca (VIZSTOP_REDIS_CA)")
	wantHint(t, check(t, "redis://"+s.Addr), "use rediss instead of redis in the URL")
}

func TestTLSVersionAndClientCertificate(t *testing.T) {
	t.Parallel()
	cert := redistest.SelfSigned(t)
	args := append([]string{"--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "yes"}, cert.Args()...)
	s := redistest.Start(t, args...)
	o := mustParse(t, "rediss://"+s.Addr).WithRootCAs(cert.Pool)
	wantHint(t, checkOptions(t, o), "do not agree on TLS")
	wantHint(t, checkOptions(t, o), "--redis-cert and --redis-key")

	loaded := 0
	o = o.WithCertificate(func() (tls.Certificate, error) {
		loaded++
		return tls.LoadX509KeyPair(cert.File, cert.KeyFile)
	})
	if err := checkOptions(t, o); err != nil || loaded == 0 {
		t.Errorf("with a certificate, loaded %d times: %v", loaded, err)
	}
}

func TestTLSContextEndsHandshake(t *testing.T) {
	t.Parallel()
	silent := listen(t, func(net.Conn) {})
	o := mustParse(t, "rediss://"+silent)
	client := o.Client()
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	wantHint(t, o.Check(ctx, client), "no answer from Redis at "+silent+"; does it speak TLS?")
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %s, so the context did not end the handshake", took)
	}
}

// A handshake that takes too long is tried again, as a dial is.
func TestSlowHandshakeIsTriedAgain(t *testing.T) {
	t.Parallel()
	silent, dials := listen(t, func(net.Conn) {}), 0
	dial := dialer(&tls.Config{}, 20*time.Millisecond)
	client := redis.NewClient(&redis.Options{Addr: silent, MaxRetries: 2, MinRetryBackoff: -1, DialerRetries: 1,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials++
			return dial(ctx, network, addr)
		}})
	defer client.Close()
	if err := client.Ping(t.Context()).Err(); !isTimeout(err) || errors.Is(err, context.DeadlineExceeded) || dials != 3 {
		t.Errorf("%d dials, %v; want 3 and a timeout that is not the context's", dials, err)
	}
}

func TestTLSToPlainServer(t *testing.T) {
	t.Parallel()
	plain := listen(t, func(c net.Conn) { _, _ = c.Write([]byte("-ERR Protocol error\r\n")) })
	wantHint(t, check(t, "rediss://"+plain), "does not speak TLS: use redis instead of rediss")
}

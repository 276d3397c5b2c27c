package redisconn

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vizstop/internal/redistest"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	roots, files := selfSigned(t)
	args := append([]string{"--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no"}, files...)
	s := redistest.Start(t, args...)

	o := mustParse(t, "rediss://"+s.Addr)
	if err := checkOptions(t, o.WithRootCAs(roots)); err != nil {
		t.Error(err)
	}
	if err := checkOptions(t, mustParse(t, "redis://"+s.Addr+"?tls=true").WithRootCAs(roots)); err != nil {
		t.Error(err)
	}
	wantHint(t, checkOptions(t, o), "has a certificate that is not trusted: x509: certificate signed by unknown authority")
	wantHint(t, check(t, "redis://"+s.Addr), "use rediss instead of redis in the URL")
}

func TestTLSVersionAndClientCertificate(t *testing.T) {
	t.Parallel()
	roots, files := selfSigned(t)
	args := append([]string{"--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "yes"}, files...)
	s := redistest.Start(t, args...)
	o := mustParse(t, "rediss://"+s.Addr).WithRootCAs(roots)
	wantHint(t, checkOptions(t, o), "do not agree on TLS")
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
	if took := time.Since(start); took > dialTimeout/2 {
		t.Errorf("took %s, so the context did not end the handshake", took)
	}
}

func TestTLSToPlainServer(t *testing.T) {
	t.Parallel()
	plain := listen(t, func(c net.Conn) { _, _ = c.Write([]byte("-ERR Protocol error\r\n")) })
	wantHint(t, check(t, "rediss://"+plain), "does not speak TLS: use redis instead of rediss")
}

// selfSigned makes a certificate for 127.0.0.1 and returns it as a trusted one
// and as arguments of redis-server.
func selfSigned(t *testing.T) (*x509.CertPool, []string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "vizstop test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},

		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	certFile := writeFile(t, "cert.pem", certPEM)
	keyFile := writeFile(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	return roots, []string{"--tls-cert-file", certFile, "--tls-key-file", keyFile, "--tls-ca-cert-file", certFile}
}

func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

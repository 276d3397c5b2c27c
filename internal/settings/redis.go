package settings

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/redisconn"
)

// Redis is where the queue and the ledger live.
type Redis struct {
	URL           string
	Password      string
	CA, Cert, Key string // PEM files; "" means the system's CAs, and no certificate of our own

	opts *redisconn.Options
}

// Declare adds the settings of r to s. embedded says whether the URL may be the
// word embedded.
func (r *Redis) Declare(s *Set, embedded bool) {
	usage := "Redis: redis://, rediss://, unix://, redis-sentinel://h1,h2/0?master=name or redis-cluster://h1,h2"
	if embedded {
		usage += `; or "embedded", which keeps nothing on disk`
	}
	s.String(&r.URL, "redis", "VIZSTOP_REDIS", "redis://127.0.0.1:6379/0", usage, func(v string) (err error) {
		r.opts, err = redisconn.Parse(v)
		if err == nil && r.opts.IsEmbedded() && !embedded {
			err = fmt.Errorf("only the worker can embed Redis: give the URL that it prints")
		}
		return err
	})
	s.Secret(&r.Password, "VIZSTOP_REDIS_PASSWORD")
	s.String(&r.CA, "redis-ca", "VIZSTOP_REDIS_CA", "", "PEM file of the CAs that Redis' certificate may come from (default: the system's)", nil)
	s.String(&r.Cert, "redis-cert", "VIZSTOP_REDIS_CERT", "", "PEM file of the certificate to show to a Redis that asks for one", nil)
	s.String(&r.Key, "redis-key", "VIZSTOP_REDIS_KEY", "", "PEM file of its private key", nil)
	s.Check(r.secure)
}

// secure reads the files for TLS.
func (r *Redis) secure() error {
	if r.CA == "" && r.Cert == "" && r.Key == "" {
		return nil
	}
	if !r.opts.TLS() {
		return errors.New("--redis-ca, --redis-cert and --redis-key go with TLS: write rediss:// in --redis (VIZSTOP_REDIS)")
	}
	return errors.Join(r.trust(), r.identify())
}

// trust has the certificates of CA trusted.
func (r *Redis) trust() error {
	if r.CA == "" {
		return nil
	}
	text, err := os.ReadFile(r.CA)
	roots := x509.NewCertPool()
	if err == nil && !roots.AppendCertsFromPEM(text) {
		err = fmt.Errorf("%s holds no certificate in PEM", r.CA)
	}
	if err != nil {
		return fmt.Errorf("--redis-ca (VIZSTOP_REDIS_CA): %w", err)
	}
	r.opts = r.opts.WithRootCAs(roots)
	return nil
}

// identify has our certificate shown.
func (r *Redis) identify() error {
	if r.Cert == "" && r.Key == "" {
		return nil
	}
	if r.Cert == "" || r.Key == "" {
		return errors.New("--redis-cert (VIZSTOP_REDIS_CERT) and --redis-key (VIZSTOP_REDIS_KEY) go together")
	}
	load := func() (tls.Certificate, error) { return tls.LoadX509KeyPair(r.Cert, r.Key) }
	if _, err := load(); err != nil {
		return fmt.Errorf("--redis-cert, --redis-key (VIZSTOP_REDIS_CERT, VIZSTOP_REDIS_KEY): %w", err)
	}
	r.opts = r.opts.WithCertificate(load)
	return nil
}

// Embedded reports whether the worker is to run its own Redis.
func (r *Redis) Embedded() bool { return r.opts.IsEmbedded() }

// Use has another Redis be used, in place of the one that was set.
func (r *Redis) Use(o *redisconn.Options) { r.opts = o }

// Describe is the URL without secrets.
func (r *Redis) Describe() string { return r.opts.String() }

// Connect returns a client with up to pool connections of a Redis that
// answers. The error says what to do.
func (r *Redis) Connect(ctx context.Context, pool int) (redis.UniversalClient, error) {
	opts := r.opts.WithPoolSize(pool)
	if r.Password != "" {
		opts = opts.WithPassword(r.Password)
	}
	client := opts.Client()
	if err := opts.Check(ctx, client); err != nil {
		client.Close()
		return nil, fmt.Errorf("--redis (VIZSTOP_REDIS): %w", err)
	}
	return client, nil
}

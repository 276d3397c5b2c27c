package redisconn

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// timeouts bound one attempt; go-redis makes up to four, with a pause between
// them that grows from 10 ms to 1 s. The greeting of a new connection has only
// one, whatever command it is for. The context of a call ends it earlier.
type timeouts struct {
	dial        time.Duration // with the TLS handshake
	read, write time.Duration
	pool        time.Duration // the wait for a connection when all are in use
}

func (o *Options) timeouts() timeouts {
	if o.inProcess {
		// Nothing can cut it off from us. What answers late answers: on a machine that is busy, or was suspended.
		const patience = 10 * time.Minute
		return timeouts{dial: patience, read: patience, write: patience, pool: patience}
	}
	return timeouts{dial: 5 * time.Second, read: 3 * time.Second, write: 3 * time.Second, pool: 4 * time.Second}
}

// clientName is what CLIENT LIST shows.
const clientName = "vizstop"

// How much of what goes either way a connection reads or writes at a time, in bytes.
const (
	commandBuffer  = 4 << 10
	pipelineBuffer = 32 << 10
)

// Client returns a client of its own, which the caller closes. It connects
// when it is first used; Check tells whether it can. A command may be sent again
// when its answer did not come, so it may have taken effect before.
func (o *Options) Client() redis.UniversalClient {
	client := redis.NewUniversalClient(o.universal())
	client.AddHook(explainRefusals{})
	PauseAfterRefusals(client)
	return client
}

func (o *Options) universal() *redis.UniversalOptions {
	config, l, limits := o.tlsConfig(), o.login(), o.timeouts()
	return &redis.UniversalOptions{
		Addrs:            o.addrs,
		ClientName:       clientName,
		DB:               o.db,
		Username:         l.user,
		Password:         l.password,
		SentinelUsername: l.sentinelUser,
		SentinelPassword: l.sentinelPassword,
		MasterName:       o.master,
		IsClusterMode:    o.kind == cluster,
		PoolSize:         o.poolSize,
		TLSConfig:        config,
		Dialer:           dialer(config, limits.dial),
		DialTimeout:      limits.dial,
		DialerRetries:    1, // the retries of a command dial again
		ReadTimeout:      limits.read,
		WriteTimeout:     limits.write,
		PoolTimeout:      limits.pool,

		// A worker has a hundred connections, and go-redis would give each 64 KiB and a pipeline's 256 KiB: 2 MiB
		// more at the worker's peak. What is longer than a buffer passes it by.
		ReadBufferSize: commandBuffer, WriteBufferSize: commandBuffer,
		PipelineReadBufferSize: pipelineBuffer, PipelineWriteBufferSize: pipelineBuffer,

		ContextTimeoutEnabled: true,

		// With version 3, go-redis looks for push messages before every reply,
		// which costs a worker a twentieth of its CPU; nothing here uses them.
		Protocol: 2,

		// Both only cost a failing command per connection where the server
		// is older than Redis 7.2 or not Redis Enterprise.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

func (o *Options) tlsConfig() *tls.Config {
	if !o.tls {
		return nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.roots}
	if o.certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c, err := o.certificate()
			return &c, err
		}
	}
	return config
}

// dialer does what go-redis' own does, but honours the context in a TLS
// handshake too (go-redis 9.23 uses tls.DialWithDialer, which has none).
func dialer(config *tls.Config, timeout time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{Timeout: timeout}
	if config == nil {
		return d.DialContext
	}
	secure := &tls.Dialer{NetDialer: d, Config: config}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := secure.DialContext(ctx, network, addr)
		if errors.Is(err, context.DeadlineExceeded) {
			// A handshake took too long. As a failed dial it is tried again, while the context of the command allows.
			err = &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
		}
		return conn, err
	}
}

package redisconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// probeKey is only looked for. Its name is one that the access list of
// vizstop's user must allow anyway.
const probeKey = "vizstop:check"

// Found out by probe rather than said by Redis.
var (
	errIsCluster  = errors.New("is part of a cluster")
	errIsSentinel = errors.New("is a Sentinel")
	errIsReplica  = errors.New("is a replica")
	errNoPassword = errors.New("user without password")
)

// Check tells whether client, made by o.Client, reaches a Redis that vizstop
// can work with: it answers, lets us in, is of the kind that the URL says and
// serves a key. The error is one line with a hint at what to do; it holds no
// secret and wraps nothing but the error of ctx. Without a deadline in ctx, a server
// that takes connections and says nothing costs 12 s, or up to 18 s if it is a
// cluster of three; a host that takes none 20 s, as does silence with TLS. Nothing
// is written.
//
// It needs the Options because go-redis does not tell the Sentinels of a client,
// nor the name of their master.
func (o *Options) Check(ctx context.Context, client redis.UniversalClient) error {
	err := o.probe(ctx, client)
	if err == nil {
		return nil
	}
	hint := o.explain(err)
	for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, cause) {
			return fmt.Errorf("%s: %w", hint, cause)
		}
	}
	return errors.New(hint)
}

func (o *Options) probe(ctx context.Context, client redis.UniversalClient) error {
	if l := o.login(); l.user != "" && l.password == "" {
		return errNoPassword // go-redis would log in as nobody, without a word
	}
	if err := greet(ctx, client); err != nil {
		return err
	}
	if err := o.checkMode(ctx, client); err != nil {
		return err
	}
	return client.Exists(ctx, probeKey).Err()
}

// longestSilence is how long a server that takes connections may say nothing.
const longestSilence = 12 * time.Second

// greet waits for the first answer. go-redis tries a dial again after a time-out, but
// not the greeting of a new connection: a server that stands still for as long as
// one attempt, as behind a slow disk, would count as out of reach.
func greet(ctx context.Context, client redis.UniversalClient) error {
	for began := time.Now(); ; {
		err := client.Ping(ctx).Err()
		if WritesRefused(err) != "" { // with a full disk it refuses a PING, too, and can be read all the same
			return nil
		}
		op, ok := errors.AsType[*net.OpError](err)
		dialing := ok && op.Op == "dial"
		if !isTimeout(err) || dialing || ctx.Err() != nil || time.Since(began) >= longestSilence {
			return err
		}
	}
}

// checkMode finds a cluster node, a Sentinel or a replica behind the URL of a
// single server: they answer a PING, but fail later. HELLO tells it and is
// open to every user; servers that don't know it (before Redis 6, embedded) pass.
func (o *Options) checkMode(ctx context.Context, client redis.UniversalClient) error {
	if o.kind == sentinel || o.kind == cluster {
		return nil
	}
	reply, err := client.Do(ctx, "HELLO").Slice() // names and values in turn
	if err != nil {
		return ctx.Err()
	}
	server := make(map[any]any)
	for i := 0; i+1 < len(reply); i += 2 {
		if name, ok := reply[i].(string); ok {
			server[name] = reply[i+1]
		}
	}
	switch {
	case server["mode"] == "cluster":
		return errIsCluster
	case server["mode"] == "sentinel":
		return errIsSentinel
	case server["role"] == "replica":
		return errIsReplica
	}
	return nil
}

// where names the server as the URL does.
func (o *Options) where() string {
	switch o.kind {
	case sentinel:
		return fmt.Sprintf("Redis master %q of the Sentinels at %s", o.master, strings.Join(o.addrs, ","))
	case cluster:
		return "Redis Cluster at " + strings.Join(o.addrs, ",")
	default:
		return "Redis at " + o.addrs[0]
	}
}

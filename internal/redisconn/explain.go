package redisconn

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"net"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"unicode"

	"github.com/redis/go-redis/v9"
)

const isRunning = ": is it running? set --redis or VIZSTOP_REDIS"

// explain turns an error of go-redis into one line for a person. Text of the
// other side goes through quote only.
func (o *Options) explain(err error) string {
	if hint := o.explainOwn(err); hint != "" {
		return hint
	}
	if o.kind == sentinel && strings.Contains(err.Error(), "all sentinels") {
		if hint := o.explainSentinel(err); hint != "" {
			return hint
		}
	}
	if known, ok := errors.AsType[explainedError](err); ok {
		err = known.error
	}
	if reply, ok := errors.AsType[redis.Error](err); ok && !errors.Is(err, redis.Nil) {
		return o.explainReply(reply.Error())
	}
	if hint := o.explainTLS(err); hint != "" {
		return hint
	}
	if hint := o.explainNetwork(err); hint != "" {
		return hint
	}
	if strings.Contains(err.Error(), "cluster has no nodes") {
		return o.clusterDown()
	}
	if unreadable.MatchString(err.Error()) {
		return "what answers at " + strings.Join(o.addrs, ",") + " is not Redis: is the address right?"
	}
	return o.where() + ": " + o.quote(err.Error())
}

// unreadable finds go-redis' errors about replies that are not Redis' protocol;
// they have no type.
var unreadable = regexp.MustCompile(`redis: (can't parse|can't read|invalid|got \d+ elements)`)

// explainOwn covers what probe found out by itself.
func (o *Options) explainOwn(err error) string {
	switch {
	case errors.Is(err, errNoPassword):
		return "the Redis URL names a user but no password: set VIZSTOP_REDIS_PASSWORD, " +
			"or write redis://:password@host if that was the password"
	case errors.Is(err, errIsCluster):
		return o.isCluster()
	case errors.Is(err, errIsSentinel):
		return o.where() + " is a Sentinel: use redis-sentinel://" + o.hosts() + "/0?master=name"
	case errors.Is(err, errIsReplica):
		return o.isReplica()
	}
	return ""
}

func (o *Options) isCluster() string {
	if o.kind == unixSocket {
		return o.where() + " is part of a Redis Cluster: use redis-cluster://host"
	}
	scheme := (&Options{kind: cluster, tls: o.tls}).scheme()
	return o.where() + " is part of a Redis Cluster: use " + scheme + "://" + o.hosts()
}

func (o *Options) isReplica() string {
	return o.where() + " is a read-only replica: use its master, or redis-sentinel:// to find it"
}

func (o *Options) clusterDown() string {
	return o.where() + " is down: not every slot has a server that answers (see CLUSTER INFO)"
}

func (o *Options) explainSentinel(err error) string {
	at := "the Sentinels at " + strings.Join(o.addrs, ",")
	text := err.Error()
	switch {
	case errors.Is(err, redis.Nil):
		return at + " do not know a master " + strconv.Quote(o.master) + ": see `sentinel monitor` in their configuration"
	case strings.Contains(text, "NOAUTH"), strings.Contains(text, "WRONGPASS"):
		return at + " refuse the password: check sentinel_user and sentinel_password in the URL"
	case strings.Contains(text, "unknown command"):
		return "what answers at " + strings.Join(o.addrs, ",") + " is no Sentinel: is it redis://" + o.hosts() + "/0?"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "no Sentinel at " + strings.Join(o.addrs, ",") + isRunning
	}
	return ""
}

// explainReply covers errors that a Redis server sent. Their first word is
// stable, the rest is not.
func (o *Options) explainReply(reply string) string {
	at := o.where()
	code, _, _ := strings.Cut(reply, " ")
	switch code {
	case "NOAUTH":
		return at + " wants a password: set VIZSTOP_REDIS_PASSWORD"
	case "WRONGPASS":
		return at + " refuses the password: check the user in the URL and VIZSTOP_REDIS_PASSWORD"
	case "NOPERM":
		return at + " does not allow its user what vizstop does (" + o.quote(reply) +
			"): " + whatToAllow
	case "LOADING":
		return at + " is still loading its data: try again in a while"
	case "MOVED", "ASK":
		return o.isCluster()
	case "CLUSTERDOWN":
		return o.clusterDown()
	case "MASTERDOWN", "READONLY":
		return o.isReplica()
	case "DENIED":
		return at + " is in protected mode: without a password it serves its own machine only"
	}
	return o.explainERR(reply)
}

// explainERR covers replies that only their text tells apart (Redis 7.0).
func (o *Options) explainERR(reply string) string {
	at := o.where()
	has := func(s string) bool { return strings.Contains(reply, s) }
	switch {
	case has("DB index"):
		return at + " has no database " + strconv.Itoa(o.db) + ": see `databases` in its configuration"
	case has("SELECT is not allowed in cluster mode"):
		return o.isCluster()
	case has("cluster support disabled"):
		scheme := (&Options{kind: single, tls: o.tls}).scheme()
		return "Redis at " + strings.Join(o.addrs, ",") + " is not a cluster: use " + scheme + "://host:port/0"
	case has("max number of clients"):
		return at + " has no connection left: see `maxclients` in its configuration"
	}
	return at + ": " + o.quote(reply)
}

// clientCertificate is what to do about the most frequent reason why a server ends a handshake.
const clientCertificate = "; a certificate that it asks for is named by --redis-cert and --redis-key (VIZSTOP_REDIS_CERT, VIZSTOP_REDIS_KEY)"

// explainTLS covers a handshake that failed on either side.
func (o *Options) explainTLS(err error) string {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return o.where() + " does not speak TLS: use redis instead of rediss in the URL"
	}
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return o.where() + " has a certificate that is not trusted: " + oneLine(bad.Err.Error()) +
			"; a CA of your own is named by --redis-ca (VIZSTOP_REDIS_CA)"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "remote error" || op.Op == "local error") {
		return o.where() + " and vizstop do not agree on TLS: " + oneLine(op.Err.Error()) + clientCertificate
	}
	return ""
}

func (o *Options) explainNetwork(err error) string {
	none := "no " + o.where()
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return none + ": host " + strconv.Quote(dns.Name) + " has no address; set --redis or VIZSTOP_REDIS"
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return none + isRunning
	case errors.Is(err, fs.ErrPermission):
		return o.where() + ": this process may not open the socket"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return none + ": no route to it"
	case errors.Is(err, context.Canceled):
		return "no answer from " + o.where()
	case isTimeout(err):
		return "no answer from " + o.where() + o.tlsDoubt("; does it speak TLS?", "")
	case o.tls && hangsUp(err): // the alert that says why may get lost
		return o.where() + " hangs up at once: perhaps it and vizstop do not agree on TLS" + clientCertificate
	case hangsUp(err):
		return o.where() + " hangs up at once: is it Redis?" +
			o.tlsDoubt("", " if it speaks TLS, use rediss instead of redis in the URL")
	}
	return ""
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

func (o *Options) tlsDoubt(with, without string) string {
	switch {
	case o.kind == unixSocket:
		return ""
	case o.tls:
		return with
	}
	return without
}

// authWord finds replies that repeat a command: "unknown command 'HELLO', with
// args beginning with: '3' 'AUTH' 'user' …".
var authWord = regexp.MustCompile(`(?i)\bauth\b`)

// quote makes text of the other side safe to show: one short line, or none of
// it when it may repeat the password.
func (o *Options) quote(text string) string {
	const withheld = "it answers with an error that may hold the password, so it is not shown"
	if authWord.MatchString(text) {
		return withheld
	}
	for _, secret := range o.secrets() {
		if strings.Contains(text, secret) {
			return withheld
		}
	}
	return oneLine(text)
}

func oneLine(text string) string {
	const longest = 200
	runes := []rune(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text))
	if len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return string(runes)
}

func hangsUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

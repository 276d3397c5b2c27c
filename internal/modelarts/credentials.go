package modelarts

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/sdkhmac"
)

// Credentials prove who we are. Make them with NewAKSK, NewToken, NewPassword,
// NewAgency or NewReplaceable.
// They are safe for concurrent use, may serve several clients, and print
// without their secrets.
type Credentials interface {
	// authorize adds the proof to a request that is about to be sent.
	authorize(ctx context.Context, c *Client, req *http.Request, cl *Call) error

	// renew is told that the proof on req was refused. It answers whether the
	// next authorize brings another one, so that one repeat makes sense.
	renew(req *http.Request, cl *Call) bool
}

// errHeader stands for a secret with, say, a line break in it, which net/http
// would refuse in words that do not say whose fault it is.
var errHeader = errors.New("the token or access key has characters that a header cannot carry")

// secret keeps a text where fmt never looks, not even when it prints a private
// field of somebody else's struct with the wrong verb: in a function.
type secret func() string

func newSecret(s string) secret { return func() string { return s } }

// anonymous sends no proof.
type anonymous struct{}

func (anonymous) authorize(context.Context, *Client, *http.Request, *Call) error { return nil }
func (anonymous) renew(*http.Request, *Call) bool                                { return false }

// token is a ready token.
type token struct{ value secret }

// NewToken uses a token that somebody else got from IAM. It is good for at most
// 24 hours, and then every call ends with jobs.KindCredentials. White space around it
// is ignored.
func NewToken(value string) Credentials {
	return &token{newSecret(strings.TrimSpace(value))}
}

func (t *token) authorize(_ context.Context, _ *Client, req *http.Request, cl *Call) error {
	return setSecret(req, cl, "X-Auth-Token", t.value())
}

func (t *token) renew(*http.Request, *Call) bool { return false }

// String does not show the token.
func (t *token) String() string { return "a ready token" }

// GoString does not show the token.
func (t *token) GoString() string { return "modelarts.NewToken(...)" }

// aksk signs with an access key.
type aksk struct {
	accessKey     string
	secretKey     secret
	securityToken secret
}

// NewAKSK signs each request with an access key. securityToken belongs to a
// temporary key and is empty for a permanent one. A refused signature is never
// sent again by itself: more than five refusals in a row lock the key for five
// minutes.
//
// Source: API Gateway FAQ on APIG.0301 (the lock).
func NewAKSK(key sdkhmac.Key, securityToken string) Credentials {
	return &aksk{key.AccessKey, newSecret(key.SecretKey), newSecret(securityToken)}
}

// authorize signs what the documents recommend and nothing that net/http could
// add or rewrite later.
func (a *aksk) authorize(_ context.Context, c *Client, req *http.Request, cl *Call) error {
	if !validHeader(a.accessKey) {
		return &jobs.Error{Operation: cl.Operation, Kind: jobs.KindCredentials, Err: errHeader}
	}
	signed := []string{"host"}
	if cl.ProjectID != allProjects {
		req.Header.Set("X-Project-Id", cl.ProjectID)
		signed = append(signed, "x-project-id")
	}
	if value := a.securityToken(); value != "" {
		if err := setSecret(req, cl, "X-Security-Token", value); err != nil {
			return err
		}
		signed = append(signed, "x-security-token")
	}
	if len(cl.Body) > 0 {
		signed = append(signed, "content-type")
	}
	key := sdkhmac.Key{AccessKey: a.accessKey, SecretKey: a.secretKey()}
	sdkhmac.Sign(req, key, cl.Body, signed, c.now())
	return nil
}

func (a *aksk) renew(*http.Request, *Call) bool { return false }

// String shows the access key, which is sent in clear anyway, and no secret.
func (a *aksk) String() string { return "AK " + a.accessKey }

// GoString shows no secret.
func (a *aksk) GoString() string { return "modelarts.NewAKSK(" + a.accessKey + ", ...)" }

// setSecret puts a secret value into a header, or says that it does not fit into one.
func setSecret(req *http.Request, cl *Call, header, value string) error {
	if !validHeader(value) {
		return &jobs.Error{Operation: cl.Operation, Kind: jobs.KindCredentials, Err: errHeader}
	}
	req.Header.Set(header, value)
	return nil
}

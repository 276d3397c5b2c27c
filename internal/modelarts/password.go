package modelarts

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

const (
	// renewBefore is how much life a token must have left to be used. The
	// documents ask for "enough" without a number.
	renewBefore = 10 * time.Minute
	// fallbackLife is for an answer without expires_at; tokens live 24 hours.
	fallbackLife = 23 * time.Hour
)

// PasswordConfig is an IAM user who logs in with a password. A HUAWEI ID cannot,
// nor can a user with a second factor.
type PasswordConfig struct {
	// IAMEndpoint is such as "https://iam.cn-north-4.myhuaweicloud.com", by the
	// same rules as the base URL in New.
	IAMEndpoint string
	// User is the IAM user's name.
	User string
	// Password is never shown.
	Password string `json:"-"`
	// Domain is the name of the account that the user belongs to.
	Domain string
	// AllowPlainHTTP allows http to hosts other than this machine; the password
	// then travels in clear.
	AllowPlainHTTP bool
}

// String shows everything but the password.
func (c PasswordConfig) String() string {
	return "IAM user " + c.User + " of " + c.Domain + " at " + c.IAMEndpoint
}

// GoString shows everything but the password.
func (c PasswordConfig) GoString() string { return "modelarts.PasswordConfig{" + c.String() + "}" }

// password keeps one token for each project.
type password struct {
	endpoint *url.URL
	user     string
	domain   string
	password secret
	tokens   *lender[secret]
}

// NewPassword logs in at IAM for the project of each request and keeps the token until it has less than 10 minutes
// left or the API refuses it; then the request is sent once more with a new one. Concurrent calls share one login,
// and a call that gives up does not end it for the others. A login that IAM refuses is answered from memory for 30
// seconds, and for all projects if it was about the user (jobs.KindCredentials; else jobs.KindPermission), because
// wrong passwords lock the account. Nothing is sent before the first call; the login goes through the HTTP client,
// clock and observer of the Client that needs it.
func NewPassword(cfg PasswordConfig) (Credentials, error) {
	switch {
	case cfg.User == "":
		return nil, errors.New("modelarts: the IAM user is empty")
	case cfg.Password == "":
		return nil, errors.New("modelarts: the IAM password is empty")
	case cfg.Domain == "":
		return nil, errors.New("modelarts: the IAM domain is empty")
	}
	endpoint, err := parseEndpoint("IAM endpoint", cfg.IAMEndpoint, cfg.AllowPlainHTTP)
	if err != nil {
		return nil, err
	}
	p := &password{
		endpoint: endpoint,
		user:     cfg.User,
		domain:   cfg.Domain,
		password: newSecret(cfg.Password),
	}
	p.tokens = newLender(p.fetch)
	return p, nil
}

func (p *password) authorize(ctx context.Context, c *Client, req *http.Request, cl *Call) error {
	value, err := p.tokens.get(ctx, c, cl.ProjectID)
	if err != nil {
		return err
	}
	return setSecret(req, cl, "X-Auth-Token", value())
}

// renew forgets the token on req unless another call has replaced it already.
func (p *password) renew(req *http.Request, cl *Call) bool {
	p.tokens.forget(cl.ProjectID, func(value secret) bool { return value() == req.Header.Get("X-Auth-Token") })
	return true
}

// String does not show the password.
func (p *password) String() string {
	return PasswordConfig{IAMEndpoint: p.endpoint.String(), User: p.user, Domain: p.domain}.String()
}

// GoString does not show the password.
func (p *password) GoString() string { return "modelarts.NewPassword(" + p.String() + ")" }

package modelarts

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"
	"vizstop/internal/jobs"

	"golang.org/x/sync/singleflight"
)

const (
	// renewBefore is how much life a token must have left to be used. The
	// documents ask for "enough" without a number.
	renewBefore = 10 * time.Minute
	// minTokenUse keeps a wrong clock, by which every token has expired, from
	// turning each call into a login.
	minTokenUse = time.Minute
	// fallbackLife is for an answer without expires_at; tokens live 24 hours.
	fallbackLife = 23 * time.Hour
	// refusalMemory is how long a refused login is not tried again.
	refusalMemory = 30 * time.Second
	// loginTimeout bounds a login, which must outlive the call that began it.
	loginTimeout = 30 * time.Second
)

// allProjects is where a refusal is remembered that is about the password.
const allProjects = ""

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
	flights  singleflight.Group // by project: who needs a token waits for the login under way
	turn     sync.Mutex         // one login at a time, so that a wrong password is tried once

	mu       sync.Mutex
	tokens   map[string]*cachedToken // by project
	refusals map[string]refusal      // by project, or allProjects
}

type cachedToken struct {
	value   secret
	renewAt time.Time
}

type refusal struct {
	err   *jobs.Error
	until time.Time
}

// NewPassword logs in at IAM for the project of each request and keeps the
// token until it has less than 10 minutes left or the API refuses it; then the
// request is sent once more with a new one. Concurrent calls share one login,
// and a call that gives up does not end it for the others. A login that IAM
// refuses is answered from memory for 30 seconds, and for all projects if it was
// about the user (jobs.KindCredentials; else jobs.KindPermission), because wrong passwords lock the account. Nothing is sent
// before the first call; the login goes through the HTTP client, clock and
// observer of the Client that needs it.
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
	return &password{
		endpoint: endpoint,
		user:     cfg.User,
		domain:   cfg.Domain,
		password: newSecret(cfg.Password),
		tokens:   map[string]*cachedToken{},
		refusals: map[string]refusal{},
	}, nil
}

func (p *password) authorize(ctx context.Context, c *Client, req *http.Request, cl *Call) error {
	value, err := p.token(ctx, c, cl.ProjectID)
	if err != nil {
		return err
	}
	return setSecret(req, cl, "X-Auth-Token", value)
}

// renew forgets the token on req unless another call has replaced it already.
func (p *password) renew(req *http.Request, cl *Call) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t, ok := p.tokens[cl.ProjectID]; ok && t.value() == req.Header.Get("X-Auth-Token") {
		delete(p.tokens, cl.ProjectID)
	}
	return true
}

// token waits for a login if need be, but no longer than ctx.
func (p *password) token(ctx context.Context, c *Client, project string) (string, error) {
	if value, known, err := p.remembered(project, c.now()); known {
		return value, err
	}
	login := p.flights.DoChan(project, func() (any, error) {
		return p.login(context.WithoutCancel(ctx), c, project)
	})
	select {
	case <-ctx.Done():
		return "", interrupted(ctx, jobs.OperationToken, false)
	case result := <-login:
		value, _ := result.Val.(string)
		return value, copyOf(result.Err)
	}
}

// login fetches a token and remembers how that went.
func (p *password) login(ctx context.Context, c *Client, project string) (string, error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	if value, known, err := p.remembered(project, c.now()); known {
		return value, err
	}
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	value, expires, err := p.fetch(ctx, c, project)
	if err != nil {
		p.refused(project, err, c.now())
		return "", err
	}
	p.keep(project, value, expires, c.now())
	return value, nil
}

// remembered is the answer that needs no login, if known.
func (p *password) remembered(project string, now time.Time) (value string, known bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t, ok := p.tokens[project]; ok && now.Before(t.renewAt) {
		return t.value(), true, nil
	}
	for _, key := range []string{project, allProjects} {
		if r, ok := p.refusals[key]; ok && now.Before(r.until) {
			return "", true, copyOf(r.err)
		}
	}
	return "", false, nil
}

func (p *password) keep(project, value string, expires, now time.Time) {
	renewAt := expires.Add(-renewBefore)
	if soonest := now.Add(minTokenUse); renewAt.Before(soonest) {
		renewAt = soonest
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetOld(now)
	p.tokens[project] = &cachedToken{newSecret(value), renewAt}
}

// refused remembers err if IAM refused us: for one project, or for all if it is
// about the user. Tasks may name any project, and a bad one must not shut out the
// others.
func (p *password) refused(project string, err error, now time.Time) {
	apiErr, ok := errors.AsType[*jobs.Error](err)
	switch {
	case !ok || apiErr.Kind != jobs.KindCredentials && apiErr.Kind != jobs.KindPermission:
		return
	case apiErr.Kind == jobs.KindCredentials:
		project = allProjects
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetOld(now)
	p.refusals[project] = refusal{apiErr, now.Add(refusalMemory)}
}

// forgetOld keeps the maps as small as the projects in use.
func (p *password) forgetOld(now time.Time) {
	for project, t := range p.tokens {
		if !now.Before(t.renewAt) {
			delete(p.tokens, project)
		}
	}
	for project, r := range p.refusals {
		if !now.Before(r.until) {
			delete(p.refusals, project)
		}
	}
}

// String does not show the password.
func (p *password) String() string {
	return PasswordConfig{IAMEndpoint: p.endpoint.String(), User: p.user, Domain: p.domain}.String()
}

// GoString does not show the password.
func (p *password) GoString() string { return "modelarts.NewPassword(" + p.String() + ")" }

// copyOf gives each caller an error of its own.
func copyOf(err error) error {
	if apiErr, ok := errors.AsType[*jobs.Error](err); ok {
		own := *apiErr
		return &own
	}
	return err
}

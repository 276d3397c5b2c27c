package modelarts

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"vizstop/internal/jobs"
)

// Source for this file: IAM API reference, "Obtaining Temporary Access Keys and
// Security Tokens of an Agency".

// How long a key of an agency may be asked for.
const (
	MinAgencyDuration = 15 * time.Minute
	MaxAgencyDuration = 24 * time.Hour
)

// AgencyConfig is an agency of another account that is assumed.
type AgencyConfig struct {
	// IAMEndpoint is such as "https://iam.cn-north-4.myhuaweicloud.com", by the
	// same rules as the base URL in New.
	IAMEndpoint string
	// Name is the agency's name.
	Name string
	// Domain is the name of the account that the agency belongs to.
	Domain string
	// Through prove who assumes it. They may be of another agency.
	Through Credentials
	// Duration is the life to ask for, in whole seconds: MinAgencyDuration to
	// MaxAgencyDuration.
	Duration time.Duration
	// AllowPlainHTTP allows http to hosts other than this machine; the keys then
	// travel in clear.
	AllowPlainHTTP bool
}

// agency keeps one temporary key, which is good for all projects.
type agency struct {
	AgencyConfig
	endpoint *url.URL
	keys     *lender[*aksk]
}

// NewAgency signs with a temporary key of an agency, and gets another one when 80 %
// of its life have passed or the API refuses it; then the request is sent once
// more. Concurrent calls share one assumption, and a call that gives up does not
// end it for the others. A refused assumption is answered from memory for 30
// seconds. It is jobs.KindCredentials, since it is about no project. Nothing is sent
// before the first call; the assumption goes through the HTTP client, clock and
// observer of the Client that needs it, as jobs.OperationToken.
func NewAgency(cfg AgencyConfig) (Credentials, error) {
	switch {
	case cfg.Name == "":
		return nil, errors.New("modelarts: the agency's name is empty")
	case cfg.Domain == "":
		return nil, errors.New("modelarts: the agency's domain is empty")
	case cfg.Through == nil:
		return nil, errors.New("modelarts: the agency has nobody to assume it")
	case cfg.Duration < MinAgencyDuration || cfg.Duration > MaxAgencyDuration || cfg.Duration%time.Second != 0:
		return nil, fmt.Errorf("modelarts: an agency's duration is %v: it must be whole seconds from %v to %v", cfg.Duration, MinAgencyDuration, MaxAgencyDuration)
	}
	endpoint, err := parseEndpoint("IAM endpoint", cfg.IAMEndpoint, cfg.AllowPlainHTTP)
	if err != nil {
		return nil, err
	}
	a := &agency{AgencyConfig: cfg, endpoint: endpoint}
	a.keys = newLender(a.fetch)
	return a, nil
}

func (a *agency) authorize(ctx context.Context, c *Client, req *http.Request, cl *Call) error {
	key, err := a.keys.get(ctx, c, allProjects)
	if err != nil {
		return err
	}
	return key.authorize(ctx, c, req, cl)
}

// renew forgets the key on req unless another call has replaced it already.
func (a *agency) renew(req *http.Request, _ *Call) bool {
	a.keys.forget(allProjects, func(key *aksk) bool { return key.securityToken() == req.Header.Get("X-Security-Token") })
	return true
}

// fetch assumes the agency, and once more if who assumes it had to be renewed.
func (a *agency) fetch(ctx context.Context, c *Client, _ string) (key *aksk, renewAt time.Time, err error) {
	body, err := a.body()
	if err != nil {
		return nil, time.Time{}, err
	}
	cl := &Call{
		Operation:   jobs.OperationToken,
		Method:      http.MethodPost,
		url:         below(a.endpoint, "v3.0", "OS-CREDENTIAL", "securitytokens"),
		ProjectID:   allProjects,
		contentType: "application/json;charset=utf8",
		Body:        body,
	}
	cl.Accept = func(ans *Answer) (err error) {
		key, renewAt, err = a.read(ans.Body, c.now())
		return err
	}
	for repeated := false; ; repeated = true {
		req, err := c.newRequest(ctx, cl)
		if err != nil {
			return nil, time.Time{}, err
		}
		if err := a.Through.authorize(ctx, c, req, cl); err != nil {
			return nil, time.Time{}, a.refusal(c, err)
		}
		apiErr := c.exchange(req, cl)
		if apiErr == nil {
			return key, renewAt, nil
		}
		if repeated || apiErr.HTTPStatus != http.StatusUnauthorized || !a.Through.renew(req, cl) {
			return nil, time.Time{}, a.refusal(c, apiErr)
		}
	}
}

// refusal names the agency, and says that it is about no project.
func (a *agency) refusal(c *Client, err error) error {
	apiErr, ok := errors.AsType[*jobs.Error](copyOf(err))
	if !ok || apiErr.Kind != jobs.KindPermission && apiErr.Kind != jobs.KindCredentials {
		return err
	}
	apiErr.Kind = jobs.KindCredentials
	apiErr.Hint = hint(apiErr, nil) // the one before is about a project
	if apiErr.HTTPStatus == http.StatusUnauthorized {
		apiErr.Hint = cmp.Or(apiErr.Hint, c.advice)
	}
	words := fmt.Sprintf("agency %q of %q cannot be assumed", a.Name, a.Domain)
	if apiErr.Err == nil {
		apiErr.Err = errors.New(words)
	} else {
		apiErr.Err = fmt.Errorf("%s: %w", words, apiErr.Err)
	}
	return apiErr
}

type assumeJSON struct {
	Auth struct {
		Identity struct {
			Methods    []string `json:"methods"`
			AssumeRole struct {
				AgencyName      string `json:"agency_name"`
				DomainName      string `json:"domain_name"`
				DurationSeconds int64  `json:"duration_seconds"`
				SessionUser     struct {
					Name string `json:"name"`
				} `json:"session_user"`
			} `json:"assume_role"`
		} `json:"identity"`
	} `json:"auth"`
}

// sessionUser is who the other account's audit log says it was.
const sessionUser = "vizstop"

func (a *agency) body() ([]byte, error) {
	var assume assumeJSON
	role := &assume.Auth.Identity.AssumeRole
	assume.Auth.Identity.Methods = []string{"assume_role"}
	role.AgencyName, role.DomainName, role.DurationSeconds = a.Name, a.Domain, int64(a.Duration/time.Second)
	role.SessionUser.Name = sessionUser
	return json.Marshal(&assume)
}

// read takes the key out of an answer, and when to renew it.
func (a *agency) read(body []byte, now time.Time) (*aksk, time.Time, error) {
	var answer struct {
		Credential struct {
			Access        string `json:"access"`
			Secret        string `json:"secret"`
			SecurityToken string `json:"securitytoken"`
			ExpiresAt     string `json:"expires_at"`
		} `json:"credential"`
	}
	lent := &answer.Credential
	if json.Unmarshal(body, &answer) != nil || lent.Access == "" || lent.Secret == "" || lent.SecurityToken == "" {
		return nil, time.Time{}, errors.New("the answer holds no temporary access key") // in words: the body is secret
	}
	life := a.Duration
	if expires, err := time.Parse(time.RFC3339, lent.ExpiresAt); err == nil { // by a clock that may differ from ours
		life = min(life, expires.Sub(now))
	}
	key := &aksk{lent.Access, newSecret(lent.Secret), newSecret(lent.SecurityToken)}
	return key, now.Add(life * 8 / 10), nil
}

// String shows no secret.
func (a *agency) String() string {
	return fmt.Sprintf("agency %s of %s at %s through %v", a.Name, a.Domain, a.endpoint, a.Through)
}

// GoString shows no secret.
func (a *agency) GoString() string { return "modelarts.NewAgency(" + a.String() + ")" }

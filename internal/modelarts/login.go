package modelarts

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"vizstop/internal/jobs"
)

// Source for this file: IAM API reference, "Obtaining a User Token Through
// Password Authentication".

type loginJSON struct {
	Auth struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password struct {
				User loginUserJSON `json:"user"`
			} `json:"password"`
		} `json:"identity"`
		Scope struct {
			Project struct {
				ID string `json:"id"`
			} `json:"project,omitzero"`
			Domain struct {
				Name string `json:"name"`
			} `json:"domain,omitzero"`
		} `json:"scope"`
	} `json:"auth"`
}

type loginUserJSON struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Domain   struct {
		Name string `json:"name"`
	} `json:"domain"`
}

// fetch asks IAM once for a token of a project, or of the whole account.
func (p *password) fetch(ctx context.Context, c *Client, project string) (token secret, renewAt time.Time, err error) {
	body, err := p.loginBody(project)
	if err != nil {
		return nil, time.Time{}, err
	}
	// Without the catalogue the answer is small. Any value will do.
	u := below(p.endpoint, "v3", "auth", "tokens")
	u.RawQuery = "nocatalog=true"
	cl := &Call{
		Operation:   jobs.OperationToken,
		Method:      http.MethodPost,
		url:         u,
		ProjectID:   project,
		contentType: "application/json;charset=utf8",
		Body:        body,
		secrets:     []string{p.password()},
	}
	cl.Accept = func(a *Answer) error {
		value := a.Header.Get("X-Subject-Token")
		if value == "" {
			return errors.New("the answer holds no token")
		}
		token, renewAt = newSecret(value), expiry(a.Body, c.now()).Add(-renewBefore)
		return nil
	}
	req, err := c.newRequest(ctx, cl)
	if err != nil {
		return nil, time.Time{}, err
	}
	if apiErr := c.exchange(req, cl); apiErr != nil {
		return nil, time.Time{}, apiErr
	}
	return token, renewAt, nil
}

func (p *password) loginBody(project string) ([]byte, error) {
	var login loginJSON
	user := &login.Auth.Identity.Password.User
	login.Auth.Identity.Methods = []string{"password"}
	user.Name, user.Password, user.Domain.Name = p.user, p.password(), p.domain
	if login.Auth.Scope.Project.ID = project; project == allProjects {
		login.Auth.Scope.Domain.Name = p.domain
	}
	return json.Marshal(&login)
}

// expiry reads token.expires_at, such as "2026-01-02T03:04:05.123000Z".
func expiry(body []byte, now time.Time) time.Time {
	var t struct {
		Token struct {
			ExpiresAt time.Time `json:"expires_at"`
		} `json:"token"`
	}
	if json.Unmarshal(body, &t) != nil || t.Token.ExpiresAt.IsZero() {
		return now.Add(fallbackLife)
	}
	return t.Token.ExpiresAt
}

package modelarts

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
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
			} `json:"project"`
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

// fetch asks IAM once for a token of a project.
func (p *password) fetch(ctx context.Context, c *Client, project string) (value string, expires time.Time, err error) {
	body, err := p.loginBody(project)
	if err != nil {
		return "", time.Time{}, err
	}
	// Without the catalogue the answer is small. Any value will do.
	u := below(p.endpoint, "v3", "auth", "tokens")
	u.RawQuery = "nocatalog=true"
	cl := &call{
		operation:   OperationToken,
		method:      http.MethodPost,
		url:         u,
		project:     project,
		contentType: "application/json;charset=utf8",
		body:        body,
		secrets:     []string{p.password()},
	}
	cl.accept = func(a *answer) error {
		if value = a.header.Get("X-Subject-Token"); value == "" {
			return errors.New("the answer holds no token")
		}
		expires = expiry(a.body, c.now())
		return nil
	}
	req, err := c.newRequest(ctx, cl)
	if err != nil {
		return "", time.Time{}, err
	}
	if apiErr := c.exchange(req, cl); apiErr != nil {
		return "", time.Time{}, apiErr
	}
	return value, expires, nil
}

func (p *password) loginBody(project string) ([]byte, error) {
	var login loginJSON
	user := &login.Auth.Identity.Password.User
	login.Auth.Identity.Methods = []string{"password"}
	user.Name, user.Password, user.Domain.Name = p.user, p.password(), p.domain
	login.Auth.Scope.Project.ID = project
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

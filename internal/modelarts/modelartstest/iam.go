package modelartstest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// iamTime is IAM's form of a time.
func iamTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// tokenRequest is the body of POST /v3/auth/tokens.
//
// Source: IAM API reference, "Obtaining a User Token Through Password
// Authentication".
type tokenRequest struct {
	Auth struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password struct {
				User struct {
					Name     string `json:"name"`
					Password string `json:"password"`
					Domain   struct {
						Name string `json:"name"`
					} `json:"domain"`
				} `json:"user"`
			} `json:"password"`
		} `json:"identity"`
		Scope struct {
			Project *struct {
				ID   string `json:"id"`
				Name string `json:"name"`
			} `json:"project"`
		} `json:"scope"`
	} `json:"auth"`
}

// issueToken answers the password method of IAM; totp is not simulated. A scope
// without a project gives a token that ModelArts refuses.
func (s *Simulator) issueToken(x *exchange, now time.Time) answer {
	var req tokenRequest
	if json.Unmarshal(x.body, &req) != nil || !slices.Contains(req.Auth.Identity.Methods, "password") {
		return iamError(http.StatusBadRequest, "The request body is invalid")
	}
	given := req.Auth.Identity.Password.User
	user := User{Name: given.Name, Password: given.Password, Domain: given.Domain.Name}
	known := slices.Contains(s.cfg.Auth.Users, user) && !s.creds.revoked[user.String()]
	if s.creds.rejectAll || s.creds.required && !known {
		return iamError(http.StatusUnauthorized, "The username or password is wrong.")
	}
	t := token{owner: user.String()}
	var p Project
	if scope := req.Auth.Scope.Project; scope != nil {
		var ok bool
		if p, ok = s.scopedProject(Project{ID: scope.ID, Name: scope.Name}); !ok {
			return iamError(http.StatusNotFound, "Could not find project: "+cmp.Or(scope.ID, scope.Name))
		}
		if mine := s.creds.scopes[user.String()].Projects; len(mine) > 0 && !slices.Contains(mine, p.ID) {
			return iamError(http.StatusForbidden, "You have no access to the project "+cmp.Or(p.ID, p.Name))
		}
		// Where any project exists, nobody knows the id behind a name.
		t.projectID, t.anyProj = p.ID, p.ID == ""
	}
	t.expires = now.Add(s.cfg.Auth.TokenLife)
	s.creds.issued++
	value := fmt.Sprintf("MIIsimulated%08d", s.creds.issued)
	s.creds.tokens[value] = &t
	return answer{
		status: http.StatusCreated,
		header: http.Header{"X-Subject-Token": {value}},
		body:   object{"token": tokenBody(user, p, now, t.expires)},
	}
}

// scopedProject finds the project of a scope by its id or its name. If the
// configuration names none, every project exists as the scope describes it.
func (s *Simulator) scopedProject(scope Project) (Project, bool) {
	if len(s.cfg.Projects) == 0 {
		return scope, scope != Project{}
	}
	i := slices.IndexFunc(s.cfg.Projects, func(p Project) bool {
		return scope.ID != "" && p.ID == scope.ID || scope.ID == "" && scope.Name != "" && p.Name == scope.Name
	})
	if i < 0 {
		return Project{}, false
	}
	return s.cfg.Projects[i], true
}

func tokenBody(u User, p Project, issued, expires time.Time) object {
	domain := object{"id": resourceID("domain", u.Domain), "name": u.Domain}
	body := object{
		"expires_at": iamTime(expires),
		"issued_at":  iamTime(issued),
		"methods":    []string{"password"},
		"catalog":    []object{},
		"roles":      []object{},
		"user": object{
			"id": resourceID("user", u.Name), "name": u.Name, "domain": domain, "password_expires_at": "",
		},
	}
	if p != (Project{}) {
		body["project"] = object{"id": p.ID, "name": p.Name, "domain": domain}
	}
	return body
}

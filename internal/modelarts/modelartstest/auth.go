package modelartstest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Auth is who may call. The zero value lets everybody in, tokens from the IAM
// endpoint included; any key, token or user turns authentication on.
type Auth struct {
	AccessKeys     map[string]string // access key to secret key
	SecurityTokens map[string]string // the X-Security-Token that a temporary access key needs
	Tokens         []string          // tokens that hold for every project and never end
	Users          []User            // who get tokens from POST /v3/auth/tokens
	TokenLife      time.Duration     // of those tokens; 0 means 24 h
}

// User is an IAM user. Domain is the account's name.
type User struct{ Name, Password, Domain string }

// String shows the user without the password.
func (u User) String() string { return u.Domain + "/" + u.Name }

// GoString hides the password under %#v too.
func (u User) GoString() string { return "modelartstest.User{" + u.String() + "}" }

// String counts what there is and shows none of it.
func (a Auth) String() string {
	return fmt.Sprintf("%d access keys, %d tokens, %d users", len(a.AccessKeys), len(a.Tokens), len(a.Users))
}

// GoString does the same under %#v.
func (a Auth) GoString() string { return "modelartstest.Auth{" + a.String() + "}" }

// token is one X-Auth-Token that the simulator knows.
type token struct {
	expires   time.Time // zero: never
	projectID string
	anyProj   bool
	revoked   bool
}

type credentials struct {
	required  bool
	rejectAll bool
	keys      map[string]string
	locks     map[string]*lock // by access key
	tokens    map[string]*token
	issued    int
}

func newCredentials(a Auth) credentials {
	c := credentials{
		required: len(a.AccessKeys)+len(a.Tokens)+len(a.Users) > 0,
		keys:     map[string]string{},
		locks:    map[string]*lock{},
		tokens:   map[string]*token{},
	}
	maps.Copy(c.keys, a.AccessKeys)
	for _, t := range a.Tokens {
		c.tokens[t] = &token{anyProj: true}
	}
	return c
}

// RejectCredentials makes every credential wrong, and right again. Meanwhile
// signed requests count towards the lock of their key, and IAM says that the
// password is wrong. It works without configured authentication too.
func (s *Simulator) RejectCredentials(reject bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.creds.rejectAll = reject
}

// RevokeTokens ends every token known so far, issued and configured. IAM still
// gives out new ones.
func (s *Simulator) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.creds.tokens {
		t.revoked = true
	}
}

// AddToken makes a token good for every project, for ever; also a revoked one.
func (s *Simulator) AddToken(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.creds.required = true
	s.creds.tokens[value] = &token{anyProj: true}
}

// SetAccessKey adds an access key or changes its secret key. A lock stays.
func (s *Simulator) SetAccessKey(accessKey, secretKey string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.creds.required = true
	s.creds.keys[accessKey] = secretKey
}

// RemoveAccessKey makes an access key unknown.
func (s *Simulator) RemoveAccessKey(accessKey string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.creds.keys, accessKey)
}

// caller is what a credential says about the project; the zero value speaks for
// none.
type caller struct {
	anyProject bool
	projectID  string
}

// authenticate finds out who calls. Where there is no authentication, that is
// somebody who may do everything.
func (s *Simulator) authenticate(x *exchange, now time.Time) (caller, *answer) {
	switch {
	case !s.creds.required && !s.creds.rejectAll:
		return caller{anyProject: true}, nil
	case x.Header.Get("X-Auth-Token") != "":
		return s.checkToken(x, now)
	case x.Header.Get("Authorization") != "":
		return s.checkSignature(x, now)
	}
	return caller{}, s.unauthenticated(x, "x-auth-token not found")
}

func (s *Simulator) checkToken(x *exchange, now time.Time) (caller, *answer) {
	t := s.creds.tokens[x.Header.Get("X-Auth-Token")]
	switch {
	case t == nil || s.creds.rejectAll:
		return caller{}, s.unauthenticated(x, "decrypt token fail")
	case t.revoked:
		return caller{}, s.gateway(x, http.StatusUnauthorized, ".0307", "The token must be updated")
	case !t.expires.IsZero() && !now.Before(t.expires):
		return caller{}, s.unauthenticated(x, "token expires, expires_at: "+iamTime(t.expires))
	}
	return caller{anyProject: t.anyProj, projectID: t.projectID}, nil
}

// checkProject refuses a project that does not exist, and a credential of
// another project.
func (s *Simulator) checkProject(x *exchange, who caller) *answer {
	known := func(p Project) bool { return p.ID == x.projectID }
	if len(s.cfg.Projects) > 0 && !slices.ContainsFunc(s.cfg.Projects, known) {
		return s.gateway(x, http.StatusForbidden, ".0310", "The project is unavailable")
	}
	var a answer
	switch {
	case who.anyProject || who.projectID == x.projectID:
		return nil
	case who.projectID == "":
		a = s.serviceError(http.StatusUnauthorized, "ModelArts.0212", "The token has no project")
	default:
		a = s.serviceError(http.StatusForbidden, "ModelArts.0210",
			"The project in the token is different from the project in the URI")
	}
	return &a
}

// unauthenticated is a .0301 with one of its documented texts.
//
// Source: API Request Signing Guide, "Common Errors Related to IAM
// Authentication Information".
func (s *Simulator) unauthenticated(x *exchange, reason string) *answer {
	return s.gateway(x, http.StatusUnauthorized, ".0301",
		"Incorrect IAM authentication information: "+reason)
}

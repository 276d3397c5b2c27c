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
	AccessKeys     map[string]string `json:"access_keys"`     // access key to secret key
	SecurityTokens map[string]string `json:"security_tokens"` // the X-Security-Token that a temporary access key needs
	Tokens         []string          `json:"tokens"`          // tokens that hold for every project and never end
	Users          []User            `json:"users"`           // who get tokens from POST /v3/auth/tokens
	Agencies       []Agency          `json:"agencies"`        // what others may assume, to get a temporary access key
	Scopes         map[string]Scope  `json:"scopes"`          // by credential; one without may be used everywhere
	TokenLife      time.Duration     `json:"-"`               // of those tokens; 0 means 24 h
}

// User is an IAM user. Domain is the account's name.
type User struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Domain   string `json:"domain"`
}

// String shows the user without the password.
func (u User) String() string { return u.Domain + "/" + u.Name }

// GoString hides the password under %#v too.
func (u User) GoString() string { return "modelartstest.User{" + u.String() + "}" }

// String counts what there is and shows none of it.
func (a Auth) String() string {
	return fmt.Sprintf("%d access keys, %d tokens, %d users, %d agencies",
		len(a.AccessKeys), len(a.Tokens), len(a.Users), len(a.Agencies))
}

// GoString does the same under %#v.
func (a Auth) GoString() string { return "modelartstest.Auth{" + a.String() + "}" }

// token is one X-Auth-Token that the simulator knows.
type token struct {
	owner     string    // the credential that it stands for
	expires   time.Time // zero: never
	projectID string
	anyProj   bool
	revoked   bool
}

// accessKey is one access key that the simulator knows.
type accessKey struct {
	owner         string // the credential that it stands for
	secret        string
	securityToken string    // the X-Security-Token that must come with it; "" for none
	expires       time.Time // zero: never
}

type credentials struct {
	required  bool
	rejectAll bool
	keys      map[string]*accessKey
	locks     map[string]*lock // by access key
	tokens    map[string]*token
	scopes    map[string]Scope // by credential
	revoked   map[string]bool  // by credential
	issued    int
}

func newCredentials(a Auth) credentials {
	c := credentials{
		required: len(a.AccessKeys)+len(a.Tokens)+len(a.Users) > 0,
		keys:     map[string]*accessKey{},
		locks:    map[string]*lock{},
		tokens:   map[string]*token{},
		scopes:   map[string]Scope{},
		revoked:  map[string]bool{},
	}
	maps.Copy(c.scopes, a.Scopes)
	for key, secret := range a.AccessKeys {
		c.keys[key] = &accessKey{owner: key, secret: secret, securityToken: a.SecurityTokens[key]}
	}
	for _, t := range a.Tokens {
		c.tokens[t] = &token{owner: t, anyProj: true}
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
	s.creds.tokens[value] = &token{owner: value, anyProj: true}
}

// SetAccessKey adds an access key or changes its secret key. A lock stays.
func (s *Simulator) SetAccessKey(id, secretKey string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.creds.required = true
	key := accessKey{owner: id, secret: secretKey}
	if old := s.creds.keys[id]; old != nil {
		key.securityToken = old.securityToken
	}
	s.creds.keys[id] = &key
}

// RemoveAccessKey makes an access key unknown.
func (s *Simulator) RemoveAccessKey(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.creds.keys, id)
}

// caller is what a credential says about the project; the zero value speaks for
// none.
type caller struct {
	credential string // as Scope names it; "" without authentication
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
	case t.revoked || s.creds.revoked[t.owner]:
		return caller{}, s.gateway(x, http.StatusUnauthorized, ".0307", "The token must be updated")
	case !t.expires.IsZero() && !now.Before(t.expires):
		return caller{}, s.unauthenticated(x, "token expires, expires_at: "+iamTime(t.expires))
	}
	return caller{credential: t.owner, anyProject: t.anyProj, projectID: t.projectID}, nil
}

// checkProject refuses a project that does not exist in the region asked, and a
// credential of another project.
func (s *Simulator) checkProject(x *exchange) *answer {
	here := func(p Project) bool { return p.ID == x.projectID && (p.Region == "" || p.Region == x.region) }
	known := len(s.cfg.Projects) == 0 || slices.ContainsFunc(s.cfg.Projects, here)
	mine := x.who.anyProject || x.who.projectID == x.projectID
	var a answer
	switch {
	case known && mine && s.creds.scopes[x.who.credential].covers(x.projectID, x.region):
		return nil
	case x.generation == V2:
		return documented("ModelArts.2786")
	case !known:
		return s.gateway(x, http.StatusForbidden, ".0310", "The project is unavailable")
	case !mine && x.who.projectID == "":
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

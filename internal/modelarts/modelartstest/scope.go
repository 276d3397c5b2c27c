package modelartstest

import (
	"errors"
	"slices"
)

// Scope is where a credential may be used. An empty list means everywhere.
//
// The methods below name a credential by its access key, by the token, or by User.String or Agency.String, which
// stand for the tokens and keys that they got as well.
type Scope struct {
	Projects []string `json:"projects"` // ids
	Regions  []string `json:"regions"`  // of Config.Regions
}

func (c Scope) covers(projectID, region string) bool {
	in := func(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }
	return in(c.Projects, projectID) && in(c.Regions, region)
}

// SetScope says where a credential may be used from now on. Elsewhere it is told what a credential of another project
// is: 403 with ModelArts.0210 (v1), 404 with ModelArts.2786 (v2).
func (s *Simulator) SetScope(credential string, scope Scope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.creds.scopes[credential] = scope
}

// Revoke makes a credential wrong until GiveBack: the access key is unknown, the token must be updated, the password is
// wrong, the agency may not be assumed.
func (s *Simulator) Revoke(credential string) { s.setRevoked(credential, true) }

// GiveBack ends Revoke. A lock that refused requests have put on an access key stays for its time.
func (s *Simulator) GiveBack(credential string) { s.setRevoked(credential, false) }

func (s *Simulator) setRevoked(credential string, revoked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.creds.revoked[credential] = revoked
}

// CredentialOrder is a change of one credential as JSON, for a simulator that is a process of its own.
type CredentialOrder struct {
	Credential string `json:"credential"`
	Revoked    bool   `json:"revoked"`    // Revoke or, if false, GiveBack
	SecretKey  string `json:"secret_key"` // adds that access key or changes its secret key; "" leaves it
	Scope      *Scope `json:"scope"`      // for SetScope; null leaves it
}

func (o CredentialOrder) check() error {
	if o.Credential == "" {
		return errors.New("credential is empty")
	}
	return nil
}

func (s *Simulator) orderCredential(o CredentialOrder) {
	if o.SecretKey != "" {
		s.SetAccessKey(o.Credential, o.SecretKey)
	}
	if o.Scope != nil {
		s.SetScope(o.Credential, *o.Scope)
	}
	s.setRevoked(o.Credential, o.Revoked)
}

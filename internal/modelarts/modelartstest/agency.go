package modelartstest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// How many seconds a temporary key may live.
const (
	minKeySeconds = 900 // also without duration_seconds
	maxKeySeconds = 86400
)

// Agency is what another account's credentials may assume.
type Agency struct {
	Name      string   `json:"name"`
	Domain    string   `json:"domain"`     // the account that has it
	AssumedBy []string `json:"assumed_by"` // credentials, named as for Scope; empty means any
}

// String is how Scope's methods name the agency.
func (a Agency) String() string { return a.Domain + "/" + a.Name }

// Assumed is how the requests went that asked for one agency, whatever they were answered.
type Assumed struct {
	Asked  int `json:"asked"`
	AtOnce int `json:"at_once"` // most that were under way at once, from arrival until the answer goes out

	underWay int
}

// Assumed tells of the agency that Agency.String names.
func (s *Simulator) Assumed(agency string) Assumed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.assumedOf(agency)
}

// allAssumed are the counts of all agencies that were asked for.
func (s *Simulator) allAssumed() map[string]Assumed {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]Assumed{}
	for name, a := range s.assumed {
		all[name] = *a
	}
	return all
}

// assumedOf is the count of an agency, which begins here if need be. The lock is held.
func (s *Simulator) assumedOf(agency string) *Assumed {
	if s.assumed[agency] == nil {
		s.assumed[agency] = &Assumed{}
	}
	return s.assumed[agency]
}

// assumeBegins counts a request that has arrived. The lock is held.
func (s *Simulator) assumeBegins(x *exchange) {
	agency, _ := s.requestedAgency(readAssume(x.body))
	x.agency = agency.String()
	a := s.assumedOf(x.agency)
	a.Asked++
	a.underWay++
	a.AtOnce = max(a.AtOnce, a.underWay)
}

func (s *Simulator) assumeEnds(x *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.assumedOf(x.agency).underWay--
}

// assumeRequest is the body of POST /v3.0/OS-CREDENTIAL/securitytokens.
//
// Source: IAM API reference, "Obtaining Temporary Access Keys and Security Tokens Through an Agency".
type assumeRequest struct {
	Auth struct {
		Identity struct {
			Methods    []string `json:"methods"`
			AssumeRole struct {
				Agency   string `json:"agency_name"`
				Domain   string `json:"domain_name"`
				DomainID string `json:"domain_id"` // instead of the name
				Seconds  *int64 `json:"duration_seconds"`
			} `json:"assume_role"`
		} `json:"identity"`
	} `json:"auth"`
}

// readAssume gives back nothing for a body that is not understood.
func readAssume(body []byte) (req assumeRequest) {
	if json.Unmarshal(body, &req) != nil {
		return assumeRequest{}
	}
	return req
}

// requestedAgency is the agency that is asked for; false if there is none of that name.
func (s *Simulator) requestedAgency(req assumeRequest) (Agency, bool) {
	role := req.Auth.Identity.AssumeRole
	i := slices.IndexFunc(s.cfg.Auth.Agencies, func(a Agency) bool {
		return a.Name == role.Agency && (a.Domain == role.Domain || resourceID("domain", a.Domain) == role.DomainID)
	})
	if i < 0 {
		return Agency{Name: role.Agency, Domain: cmp.Or(role.Domain, role.DomainID)}, false
	}
	return s.cfg.Auth.Agencies[i], true
}

// assume answers the method assume_role. A revoked agency may not be assumed.
func (s *Simulator) assume(x *exchange, now time.Time) answer {
	req := readAssume(x.body)
	lifetime := int64(minKeySeconds)
	if given := req.Auth.Identity.AssumeRole.Seconds; given != nil {
		lifetime = *given
	}
	if !slices.Contains(req.Auth.Identity.Methods, "assume_role") || lifetime < minKeySeconds || lifetime > maxKeySeconds {
		return iamError(http.StatusBadRequest, "The request body is invalid")
	}
	agency, known := s.requestedAgency(req)
	if !known {
		return iamError(http.StatusNotFound, "Could not find agency: "+agency.Name)
	}
	trusted := len(agency.AssumedBy) == 0 || slices.Contains(agency.AssumedBy, x.who.credential)
	if !trusted || s.creds.revoked[agency.String()] {
		return iamError(http.StatusForbidden, "You are not authorized to assume the agency "+agency.Name)
	}
	return s.issueKey(agency, now.Add(time.Duration(lifetime)*time.Second))
}

// issueKey makes a temporary access key of an agency.
func (s *Simulator) issueKey(agency Agency, expires time.Time) answer {
	s.creds.issued++
	access := fmt.Sprintf("HSTSIMULATED%08d", s.creds.issued)
	key := &accessKey{
		secret:        resourceID("secret", access),
		securityToken: "simulated-security-token-" + resourceID("token", access),
		owner:         agency.String(),
		expires:       expires,
	}
	s.creds.keys[access] = key
	return answer{status: http.StatusCreated, body: object{"credential": object{
		"access": access, "secret": key.secret, "securitytoken": key.securityToken, "expires_at": iamTime(key.expires),
	}}}
}

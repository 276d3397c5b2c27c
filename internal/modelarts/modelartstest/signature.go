package modelartstest

import (
	"cmp"
	"crypto/subtle"
	"slices"
	"strings"
	"time"

	"vizstop/internal/modelarts/sdkhmac"
)

// More than maxFailures failures of one access key in a row lock it.
//
// Source: API Gateway user guide, FAQ on IAM authentication errors.
const (
	maxFailures = 5
	lockTime    = 5 * time.Minute
)

// lock guards one access key.
type lock struct {
	failures int
	until    time.Time
}

// authorization is a parsed Authorization header.
type authorization struct {
	accessKey, signature string
	signed               []string
}

// parseAuthorization reads "SDK-HMAC-SHA256 Access=…, SignedHeaders=…,
// Signature=…"; false if it is anything else.
func parseAuthorization(header string) (authorization, bool) {
	fields, ok := strings.CutPrefix(header, sdkhmac.Algorithm+" ")
	if !ok {
		return authorization{}, false
	}
	var a authorization
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Access":
			a.accessKey = value
		case "SignedHeaders":
			a.signed = strings.Split(value, ";")
		case "Signature":
			a.signature = value
		}
	}
	return a, a.accessKey != "" && a.signature != "" && slices.Contains(a.signed, "x-sdk-date")
}

// checkSignature verifies an AK/SK signature as the gateway does. A locked key
// gets no further.
func (s *Simulator) checkSignature(x *exchange, now time.Time) (caller, *answer) {
	auth, ok := parseAuthorization(x.Header.Get("Authorization"))
	if !ok {
		return caller{}, s.unauthenticated(x, "verify aksk signature fail, malformed Authorization header")
	}
	l := s.creds.locks[auth.accessKey]
	if l == nil {
		l = &lock{}
		s.creds.locks[auth.accessKey] = l
	}
	if now.Before(l.until) {
		return caller{}, s.unauthenticated(x, "AK access failed to reach the limit,forbidden.")
	}
	if reason := s.signatureProblem(x, auth, now); reason != "" {
		if l.failures++; l.failures > maxFailures {
			*l = lock{until: now.Add(lockTime)}
		}
		return caller{}, s.unauthenticated(x, reason)
	}
	l.failures = 0
	projectID := x.Header.Get("X-Project-Id")
	return caller{
		credential: s.creds.keys[auth.accessKey].owner, anyProject: projectID == "", projectID: projectID,
	}, nil
}

// signatureProblem is why a signature is refused; "" if it is right.
func (s *Simulator) signatureProblem(x *exchange, auth authorization, now time.Time) string {
	key := s.creds.keys[auth.accessKey]
	if key == nil || s.creds.revoked[key.owner] ||
		key.securityToken != "" && x.Header.Get("X-Security-Token") != key.securityToken {
		return "ak " + auth.accessKey + " not exist"
	}
	if !key.expires.IsZero() && !now.Before(key.expires) {
		return "security token expires, expires_at: " + iamTime(key.expires)
	}
	date := x.Header.Get("X-Sdk-Date")
	signedAt, err := time.Parse(sdkhmac.DateLayout, date)
	if err != nil || now.Sub(signedAt).Abs() > sdkhmac.MaxClockSkew {
		return "calc aksk signature fail:signature expired, signature time:" + date +
			",server time:" + now.UTC().Format(sdkhmac.DateLayout)
	}
	// UNSIGNED-PAYLOAD is a value of this header too.
	hash := cmp.Or(x.Header.Get("X-Sdk-Content-Sha256"), sdkhmac.PayloadHash(x.body))
	canonical := sdkhmac.CanonicalRequest(x.Request, auth.signed, hash)
	want := sdkhmac.Signature(key.secret, date, canonical)
	if s.creds.rejectAll || subtle.ConstantTimeCompare([]byte(want), []byte(auth.signature)) != 1 {
		return "verify aksk signature fail, canonicalRequest:" + strings.ReplaceAll(canonical, "\n", "|")
	}
	return ""
}

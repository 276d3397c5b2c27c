// Package sdkhmac computes the AK/SK signature SDK-HMAC-SHA256 of Huawei Cloud
// requests. The client signs with it and the simulator verifies with it; the
// published vectors in its tests hold both to the vendor's algorithm.
//
// Source: Huawei Cloud, API Request Signing Guide ("Constructing a Standard
// Request" to "Adding the Signature").
package sdkhmac

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Algorithm is the first word of the Authorization header.
const Algorithm = "SDK-HMAC-SHA256"

// DateLayout is the form of the X-Sdk-Date header, in UTC.
const DateLayout = "20060102T150405Z"

// MaxClockSkew is how far X-Sdk-Date may be from the gateway's clock.
const MaxClockSkew = 15 * time.Minute

// Key is an access key pair. The zero value signs nothing valid.
type Key struct {
	AccessKey string // AK: sent in clear
	SecretKey string // SK: never sent
}

// String hides the secret key, so that a Key can't be logged by accident.
func (k Key) String() string { return "AK " + k.AccessKey }

// GoString hides the secret key under %#v too.
func (k Key) GoString() string { return "sdkhmac.Key{AccessKey:" + k.AccessKey + "}" }

// Sign adds X-Sdk-Date, signs the headers named in signed together with
// X-Sdk-Date and sets Authorization. Names in signed may be of any case;
// "host" means req.Host, or the URL's host where that is empty. Nothing is
// verified: a header in signed that the request lacks is signed as empty.
func Sign(req *http.Request, key Key, body []byte, signed []string, now time.Time) {
	date := now.UTC().Format(DateLayout)
	req.Header.Set("X-Sdk-Date", date)
	names := normalizeNames(append(slices.Clone(signed), "x-sdk-date"))
	canonical := CanonicalRequest(req, names, PayloadHash(body))
	req.Header.Set("Authorization", Algorithm+
		" Access="+key.AccessKey+
		", SignedHeaders="+strings.Join(names, ";")+
		", Signature="+Signature(key.SecretKey, date, canonical))
}

// CanonicalRequest is the text whose hash is signed. It works on outgoing and
// on received requests. names must be lower case and sorted, as they stand in
// SignedHeaders.
func CanonicalRequest(req *http.Request, names []string, payloadHash string) string {
	var text strings.Builder
	text.Grow(512)
	for _, part := range []string{req.Method, canonicalURI(req.URL), canonicalQuery(req.URL)} {
		text.WriteString(part)
		text.WriteByte('\n')
	}
	for _, name := range names {
		value := req.Header.Get(name)
		if name == "host" {
			value = host(req)
		}
		text.WriteString(name)
		text.WriteByte(':')
		text.WriteString(strings.TrimSpace(value))
		text.WriteByte('\n')
	}
	text.WriteByte('\n')
	text.WriteString(strings.Join(names, ";"))
	text.WriteByte('\n')
	text.WriteString(payloadHash)
	return text.String()
}

// Signature is the lower-case hex signature of a canonical request under date,
// the value of X-Sdk-Date. The secret key itself is the HMAC key.
func Signature(secretKey, date, canonicalRequest string) string {
	toSign := Algorithm + "\n" + date + "\n" + PayloadHash([]byte(canonicalRequest))
	mac := hmac.New(sha256.New, []byte(secretKey))
	mac.Write([]byte(toSign))
	return hex.EncodeToString(mac.Sum(nil))
}

// PayloadHash is the lower-case hex SHA-256 of b; nil and empty are the same.
func PayloadHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func host(req *http.Request) string {
	if req.Host != "" {
		return req.Host
	}
	return req.URL.Host
}

func normalizeNames(names []string) []string {
	for i, n := range names {
		names[i] = strings.ToLower(n)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// canonicalURI escapes each path segment and ends in a slash, whether or not
// the path on the wire does.
func canonicalURI(u *url.URL) string {
	uri := escape(u.Path, "/")
	if !strings.HasSuffix(uri, "/") {
		uri += "/"
	}
	return uri
}

// canonicalQuery sorts by name, then value, in byte order.
func canonicalQuery(u *url.URL) string {
	if u.RawQuery == "" {
		return ""
	}
	var pairs []string
	for name, values := range u.Query() {
		for _, v := range values {
			pairs = append(pairs, escape(name, "")+"="+escape(v, ""))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

const upperHex = "0123456789ABCDEF"

// escape leaves the unreserved characters of RFC 3986 and those of keep alone and
// writes every other byte as %XX. net/url has no function for that set:
// QueryEscape turns a blank into a plus, PathEscape leaves some reserved
// characters.
func escape(s, keep string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '_', c == '.', c == '~', strings.IndexByte(keep, c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	return b.String()
}

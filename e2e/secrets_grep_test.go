package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// vault holds secrets and everything that was written while they were in use.
type vault struct {
	mu      sync.Mutex
	secrets map[string]string // name to secret
	written map[string]string // where to what
}

func newVault() *vault { return &vault{secrets: map[string]string{}, written: map[string]string{}} }

// secret makes an unmistakable secret. Its special characters look different in
// each encoding.
func (v *vault) secret(name string) string {
	return v.add(name, "Hush+"+name+"/&%"+strings.Repeat("=Zq9", 3))
}

func (v *vault) add(name, secret string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.secrets[name] = secret
	return secret
}

func (v *vault) collect(where, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.written[where] += text + "\n"
}

// leaks lists which secrets stand where, in any encoding.
func (v *vault) leaks() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var found []string
	for where, text := range v.written {
		for name, secret := range v.secrets {
			for form, encoded := range encodings(secret) {
				if strings.Contains(text, encoded) {
					found = append(found, name+" ("+form+") in "+where)
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

// encodings are the forms in which a secret could be written, by name.
func encodings(secret string) map[string]string {
	quoted, _ := json.Marshal(secret) // a string always encodes
	forms := map[string]string{
		"raw": secret, "JSON": strings.Trim(string(quoted), `"`), "URL query": url.QueryEscape(secret), "URL path": url.PathEscape(secret),
		"URL user": url.UserPassword("", secret).String(), "hex": hex.EncodeToString([]byte(secret)),
		"upper-case hex": strings.ToUpper(hex.EncodeToString([]byte(secret))),
	}
	// In the middle of another text, base64 starts at any of three places. The
	// characters at the ends depend on the neighbours.
	for _, offset := range []string{"0", "1", "2"} {
		before := int(offset[0] - '0')
		padded := []byte(strings.Repeat("x", before) + secret)
		for len(padded)%3 != 0 {
			padded = padded[:len(padded)-1]
		}
		skip := (before*8 + 5) / 6
		forms["base64 from "+offset] = base64.StdEncoding.EncodeToString(padded)[skip:]
		forms["URL base64 from "+offset] = base64.URLEncoding.EncodeToString(padded)[skip:]
	}
	return forms
}

// The search finds what it is for.
func TestLeaksAreFound(t *testing.T) {
	t.Parallel()
	v := newVault()
	secret := v.secret("one")
	v.secret("other")
	quoted, err := json.Marshal("a" + secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"raw": "log: " + secret + ".", "JSON": string(quoted), "query": "http://host/?a=" + url.QueryEscape(secret),
		"path": "/" + url.PathEscape(secret), "user": "redis://" + url.UserPassword("u", secret).String() + "@host",
		"hex": hex.EncodeToString([]byte("ab" + secret)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"basic":    base64.StdEncoding.EncodeToString([]byte("user:" + secret)),
		"basic 1":  base64.StdEncoding.EncodeToString([]byte("user1:" + secret + "!")),
		"basic 2":  base64.StdEncoding.EncodeToString([]byte("user12:" + secret + "tail")),
		"URL-safe": base64.RawURLEncoding.EncodeToString([]byte("x" + secret)),
	} {
		v.written = map[string]string{name: "before " + text + " after"}
		leaks := v.leaks()
		if len(leaks) == 0 {
			t.Errorf("%s was not found: %s", name, text)
		}
		for _, l := range leaks {
			if !strings.HasPrefix(l, "one (") {
				t.Errorf("%s: found %s", name, l)
			}
		}
	}
	v.written = map[string]string{"clean": "Hush+one/&% and HushZq9Zq9"}
	if leaks := v.leaks(); len(leaks) > 0 {
		t.Errorf("found %q where nothing is", leaks)
	}
}

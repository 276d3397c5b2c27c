package modelarts

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"vizstop/internal/plain"
)

// How many characters of an answer's texts are kept.
const (
	maxMessage = 200
	maxToken   = 128 // a code or a request id
	maxText    = 512 // any other text of a job; the documents allow 256 at most
)

// echo starts the part of a gateway's message that repeats the headers we
// signed, a security token among them.
//
// Source: API Request Signing Guide, "Common Errors Related to IAM
// Authentication Information".
const echo = "canonicalrequest"

// clean makes one printable line of at most limit characters out of s and drops
// the gateway's echo of our request.
func clean(s string, limit int) string {
	if i := indexFold(s, echo); i >= 0 {
		s = s[:i]
	}
	return plain.Line(s, limit)
}

// indexFold is where the lower-case ASCII text sub starts in s, in any case of
// letters; -1 if nowhere. strings.ToLower would not do: it can change lengths.
func indexFold(s, sub string) int {
	for i := range len(s) - len(sub) + 1 {
		if strings.EqualFold(s[i:i+len(sub)], sub) {
			return i
		}
	}
	return -1
}

// hide takes our secrets out of a text that an answer sent back, in whichever
// way the answer may have written them.
func hide(s string, secrets []string) string {
	for _, secret := range secrets {
		if secret == "" || len(secret) > len(s) { // no form of it is shorter
			continue
		}
		for _, form := range formsOf(secret) {
			s = strings.ReplaceAll(s, form, "[hidden]")
		}
	}
	return s
}

// withoutSecrets is err, or if its text shows a secret, an error with the rest of
// the text.
func withoutSecrets(err error, secrets []string) error {
	if err == nil {
		return nil
	}
	if text := hide(err.Error(), secrets); text != err.Error() {
		return errors.New(text)
	}
	return err
}

// formsOf is a secret as it is, and as it stands in JSON (ours writes & as
// \u0026, that of others may not) and in URLs.
func formsOf(secret string) []string {
	forms := []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	for _, escapeHTML := range []bool{true, false} {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(escapeHTML)
		if enc.Encode(secret) == nil { // a string always encodes
			forms = append(forms, strings.Trim(strings.TrimSpace(b.String()), `"`))
		}
	}
	return forms
}

// secretsOf is what a request carries that no error may show.
func secretsOf(req *http.Request, cl *Call) []string {
	return append([]string{
		req.Header.Get("X-Auth-Token"),
		req.Header.Get("X-Security-Token"),
		req.Header.Get("Authorization"),
	}, cl.secrets...)
}

// validHeader tells whether net/http will send s as a header's value.
func validHeader(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r != '\t' && unicode.IsControl(r) })
}

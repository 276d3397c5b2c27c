package modelarts

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

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
func clean(s string, limit int) string { return plain.Line(withoutEcho(s), limit) }

func withoutEcho(s string) string {
	if i := indexFold(s, echo); i >= 0 {
		return s[:i]
	}
	return s
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

// hidden stands for a text of which nobody knows where in it a secret is.
const hidden = "[hidden: the text repeats a secret]"

// hideParts is hide for the words of a refusal, which may repeat a request in ways of
// their own: where they have a part of a secret, however it is written, nothing of them is
// left.
func hideParts(s string, secrets []string) string {
	s = hide(withoutEcho(s), secrets)
	if len(s) > maxSearched { // all that is shown is within it
		s = strings.ToValidUTF8(s[:maxSearched], "")
	}
	written := decode(s)
	bare, decoded := letters(s), letters(written)
	for _, secret := range secrets {
		if strings.Contains(secret, signature) {
			continue // its secret part is among them
		}
		if form := bareForm(decode(secret)); len(form) >= leastForm && strings.Contains(bareForm(written), form) {
			return hidden
		}
		plain, encoded := letters(secret), letters(base64.StdEncoding.EncodeToString([]byte(secret)))
		if repeats(bare, plain) || repeats(decoded, plain) || repeats(bare, encoded) {
			return hidden
		}
	}
	return s
}

const (
	maxSearched = 2 << 10 // bytes of a text
	// leastPart is how many letters and digits in a row give a part of a secret away.
	leastPart = 16
	// leastSecret is how many a secret must have to be known by them alone.
	leastSecret = 8
	// leastForm is how many bytes one must have to be known by its bareForm.
	leastForm = 4
)

// bareForm is a decoded text without what JSON and URLs may add to it.
func bareForm(s string) string { return strings.NewReplacer("+", " ", `\`, "").Replace(s) }

// repeats says whether text has so much of a secret in a row that it can be no chance.
// Both are letters and digits alone.
func repeats(text, secret string) bool {
	if len(secret) < leastSecret {
		return false
	}
	part := min(len(secret), leastPart)
	short, long := text, secret
	if len(secret) < len(text) {
		short, long = secret, text
	}
	for i := 0; i+part <= len(short); i++ {
		if strings.Contains(long, short[i:i+part]) {
			return true
		}
	}
	return false
}

// letters leaves only letters and digits of ASCII.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return -1
	}, s)
}

// escape is how a character may stand in JSON and other languages, or in URLs.
var escape = regexp.MustCompile(`\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|%([0-9a-fA-F]{2})|\\[nrtbf]`)

// pair is a character beyond the first 65,536 as JSON and JavaScript escape it.
var pair = regexp.MustCompile(`\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})`)

// decode undoes what HTML, JSON and URLs make of characters, one of them after the other, too. Nothing of an escape is
// left that may look like a letter of the secret.
func decode(s string) string {
	for range 3 {
		before := s
		s = pair.ReplaceAllStringFunc(html.UnescapeString(s), func(found string) string {
			high, _ := strconv.ParseUint(found[2:6], 16, 16) // pair has seen to the digits
			low, _ := strconv.ParseUint(found[8:12], 16, 16)
			return string(utf16.DecodeRune(rune(high), rune(low)))
		})
		s = escape.ReplaceAllStringFunc(s, func(found string) string {
			code, err := strconv.ParseUint(strings.TrimLeft(found, `\ux%`), 16, 16)
			switch {
			case err != nil:
				return ""
			case found[0] == '%': // a byte
				return string([]byte{byte(code)})
			}
			return string(rune(code))
		})
		if s == before {
			break
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
	if text := hideParts(err.Error(), secrets); text != err.Error() {
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

// signature stands before the secret part of the Authorization of a signed request. Of the
// rest, the names of the key and of the headers, refusals may well speak.
const signature = "Signature="

// secretsOf is what a request carries that no error may show.
func secretsOf(req *http.Request, cl *Call) []string {
	authorization := req.Header.Get("Authorization")
	_, signed, _ := strings.Cut(authorization, signature)
	return append([]string{
		req.Header.Get("X-Auth-Token"),
		req.Header.Get("X-Security-Token"),
		authorization,
		signed,
	}, cl.secrets...)
}

// validHeader tells whether net/http will send s as a header's value.
func validHeader(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r != '\t' && unicode.IsControl(r) })
}

package modelarts

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/samples"
	"vizstop/internal/modelarts/sdkhmac"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                                    "",
		"plain":                               "plain",
		"  a \t b \n":                         "a b",
		"a\x00b\x1b[2Jc":                      "a b [2Jc",
		"测试":                                  "测试",
		"\xff\xfe":                            "",
		"left\u202eright":                     "left right",
		"fail, canonicalRequest:GET|x|secret": "fail,",
		"fail, CANONICALREQUEST secret":       "fail,",
		strings.Repeat("é", 20):               strings.Repeat("é", 20),
		strings.Repeat("é", 21):               strings.Repeat("é", 17) + "...",
	} {
		if got := clean(in, 20); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

// An answer may repeat whatever we sent; none of it may come out of an error.
func TestErrorsHideWhatAnswersEcho(t *testing.T) {
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("X-Auth-Token")
		w.Header().Set("X-Request-Id", token)
		w.WriteHeader(401)
		fmt.Fprintf(w, `{"error_code":"APIG.0301 %s","error_msg":"bad token %s"}`, token, token)
	})
	c := newClient(t, server.URL)
	_, err := stopJob(c, t.Context(), testProject, "10")
	mustHide(t, err, testToken)
	if !strings.Contains(err.Error(), "bad token [hidden]") {
		t.Errorf("error is %q", err)
	}
}

// mustHide fails if any way of printing v shows the secret.
func mustHide(t *testing.T, v any, secret string) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(verb, v); strings.Contains(text, secret) {
			t.Errorf("%s shows the secret: %s", verb, text)
		}
	}
	if apiErr, ok := v.(*jobs.Error); ok {
		if text := fmt.Sprintf("%+v %#v", *apiErr, *apiErr); strings.Contains(text, secret) {
			t.Errorf("the fields show the secret: %s", text)
		}
	}
}

func TestValidHeader(t *testing.T) {
	for value, want := range map[string]bool{
		"": true, "plain text\t": true, "a\nb": false, "a\rb": false, "a\x00": false, "a\x7f": false,
	} {
		if got := validHeader(value); got != want {
			t.Errorf("validHeader(%q) = %v", value, got)
		}
	}
}

// A refusal that repeats a secret in a way of its own, or a part of it, shows nothing. Words
// that are like none do.
func TestHideParts(t *testing.T) {
	const escaped = "Winter%42Storm&lt;Rain-and-more" // it looks so itself
	const password, token = `p&w/d<"x> 'q+Z%é-more`, "MIIEowIBAAKCAQEA7bq3+/Qk1vJ2xk0n5yTfX=="
	for _, echoed := range []string{
		"Pa " + html.EscapeString(password), "p%26w%2fd%3c%22x%3e+%27q%2bZ%25%c3%a9-more", `p&w\/d<\"x> \'q+Z%\u00e9-more`,
		`p\x26w\x2fd<"x>\n'q+Z%-more`, base64.StdEncoding.EncodeToString([]byte(password)),
		token[:20], "…" + token[10:], escaped[:len(escaped)-1], "MIIEowIBA\nAKCAQEA7bq3+", strings.ReplaceAll(token, "A", "A\n"), url.QueryEscape(token) + "x",
	} {
		got := hideParts("bad: "+echoed, []string{"", password, token, escaped})
		if got != hidden && got != "bad: [hidden]x" {
			t.Errorf("hideParts left %q of %q", got, echoed)
		}
	}
	for _, words := range []string{"The username or password is wrong.", "Incorrect IAM authentication information: verify aksk signature fail", "MIIEowIBAAKCAQE"} {
		if got := hideParts(words, []string{password, token, "short"}); got != words {
			t.Errorf("hideParts made %q of %q", got, words)
		}
	}
}

// A secret with few letters is known by all of its characters, and so is one that was written anew twice.
func TestHidePartsOfShortSecrets(t *testing.T) {
	for _, row := range [][2]string{
		{"Qw12&<>!", "Qw12&amp;&lt;&gt;!"},
		{"Qw12&<>!", "Qw12%26%3c%3e%21"},
		{`A1"&<>'!#$z9`, "A1&#34;&amp;&lt;&gt;&#39;!#$z9"},
		{"Zoë&1", "Zo%c3%ab%261"},
		{"Zoë&1", `Zo\u00eb\x261`},
		{"pAssw0rd<Wint3r", "pAssw0rd&amp;lt;Wint3r"},
		{"Qw 1<2", "Qw+1%3c2"},
		{`Ab\nc&12`, `Ab\nc&amp;12`},
		{"x%41&y9", "x%41&amp;y9"},
		{"Qw12/&x", `Qw12\/\u0026x`},
		{`A1"&<x`, `A1\"&amp;&lt;x`},
		{"Qw12/x!", `Qw12\/x!`},
		{"Qw12'x!", `Qw12\'x!`},
		{"Qw 1!2z", "Qw+1!2z"},
		{"Qw1😀!", `Qw1\ud83d\uDE00!`},
	} {
		if got := hideParts("wrong password "+row[1], []string{row[0]}); got != hidden {
			t.Errorf("hideParts left %q of the password %s", got, row[0])
		}
		if got := hideParts("wrong &quot;password&quot;", []string{row[0]}); got != "wrong &quot;password&quot;" {
			t.Errorf("hideParts made %q of harmless words", got)
		}
	}
}

// What a gateway says of a wrong secret key is shown, though it repeats what we have signed.
func TestAWrongSecretKeyIsSaid(t *testing.T) {
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, after, _ := strings.Cut(r.Header.Get("Authorization"), "SignedHeaders=")
		names, _, _ := strings.Cut(after, ",")
		canonical := sdkhmac.CanonicalRequest(r, strings.Split(names, ";"), sdkhmac.PayloadHash(nil))
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(map[string]string{"error_code": "APIG.0301", "error_msg": "Incorrect IAM authentication information: verify aksk signature fail, SignedHeaders=" + names + ", canonicalRequest:" + strings.ReplaceAll(canonical, "\n", "|")})
	})
	c := newClient(t, server.URL, WithCredentials(NewAKSK(testKey, "")))
	_, err := stopJob(c, t.Context(), testProject, "10")
	if err == nil || !strings.Contains(err.Error(), "verify aksk signature fail") {
		t.Errorf("got %v, want the words", err)
	}
}

func TestHideKnowsEveryForm(t *testing.T) {
	const secret = "a\"b&c/d+e %"
	for _, echoed := range []string{secret, `a\"b\u0026c/d+e %`, `a\"b&c/d+e %`, "a%22b%26c%2Fd%2Be+%25", "a%22b&c%2Fd+e%20%25"} {
		if got := hide("x "+echoed+" y", []string{"", secret}); got != "x [hidden] y" {
			t.Errorf("hide left %q of %q", got, echoed)
		}
	}
}

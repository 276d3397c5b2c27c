package principals

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"vizstop/internal/reread"
)

// team is a file of principals with the tokens of some of them.
type team struct {
	path                     string
	alice, spare, ci, former string
}

func newTeam(t *testing.T) *team {
	t.Helper()
	m := &team{path: filepath.Join(t.TempDir(), "principals.yaml")}
	var hashes [4]string
	for i, p := range []*string{&m.alice, &m.spare, &m.ci, &m.former} {
		*p, hashes[i] = NewToken()
	}
	m.write(t, "principals:\n- {name: alice, role: operate, token_hash: [\""+hashes[0]+"\", \""+hashes[1]+"\"]}\n"+
		"- {name: ci, role: ask, projects: [p1], certificate: true, token_hash: \""+hashes[2]+"\"}\n"+
		"- {name: former, role: read, expires: 2026-01-01, token_hash: \""+hashes[3]+"\"}\n")
	return m
}

func (m *team) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(m.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, path string) *Directory {
	t.Helper()
	d, err := Open(path, func() time.Time { return time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC) })
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func request(headers ...string) *http.Request {
	r := &http.Request{Header: http.Header{}}
	for _, h := range headers {
		r.Header.Add("Authorization", h)
	}
	return r
}

func basic(user, password string) *http.Request {
	r := request()
	r.SetBasicAuth(user, password)
	return r
}

func withCertificate(r *http.Request, name string, verified bool) *http.Request {
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: name}}
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	if verified {
		r.TLS.VerifiedChains = [][]*x509.Certificate{{cert}}
	}
	return r
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	m := newTeam(t)
	d := open(t, m.path)
	other, _ := NewToken()
	for name, c := range map[string]struct {
		r    *http.Request
		want string // the principal
		why  Why
		says string
	}{
		"bearer":                    {request("Bearer " + m.alice), "alice", 0, ""},
		"small bearer":              {request("bearer  " + m.alice), "alice", 0, ""},
		"second token":              {request("Bearer " + m.spare), "alice", 0, ""},
		"password":                  {basic("", m.ci), "ci", 0, ""},
		"password and user":         {basic("ci", m.ci), "ci", 0, ""},
		"another's name":            {basic("alice", m.ci), "", Wrong, "Leave the user empty"},
		"nothing":                   {request(), "", Unknown, "Authorization: Bearer"},
		"another token":             {request("Bearer " + other), "", Wrong, "Nobody has this token"},
		"no token":                  {request("Bearer hunter2"), "", Wrong, "begin with vst_"},
		"empty token":               {request("Bearer "), "", Wrong, "begin with vst_"},
		"token in small letters":    {request("Bearer " + strings.ToLower(m.alice)), "", Wrong, "begin with vst_"},
		"token and more":            {request("Bearer " + m.alice + "A"), "", Wrong, "begin with vst_"},
		"its hash":                  {request("Bearer " + hashN(1)), "", Wrong, "begin with vst_"},
		"other scheme":              {request("Digest " + m.alice), "", Wrong, "neither Bearer nor Basic"},
		"two headers":               {request("Bearer "+m.alice, "Bearer "+m.ci), "", Wrong, "twice"},
		"expired":                   {request("Bearer " + m.former), "", TooLate, "former has expired, on 2026-01-01T00:00:00Z"},
		"certificate":               {withCertificate(request(), "ci", true), "ci", 0, ""},
		"certificate, not verified": {withCertificate(request(), "ci", false), "", Unknown, "Authorization: Bearer"},
		"certificate of no use":     {withCertificate(request(), "alice", true), "", Unknown, `is "alice", and no principal`},
		"certificate of a stranger": {withCertificate(request(), "a\nb", true), "", Unknown, `"a b"`},
		"token before certificate":  {withCertificate(request("Bearer "+m.alice), "ci", true), "alice", 0, ""},
		"wrong token, certificate":  {withCertificate(request("Bearer "+other), "ci", true), "", Wrong, "Nobody has this token"},
	} {
		p, err := d.Authenticate(c.r)
		refusal, _ := errors.AsType[*Refusal](err)
		switch {
		case c.want != "":
			if err != nil || p.Name != c.want {
				t.Errorf("%s: %v, %v", name, p, err)
			}
		case p != nil || refusal == nil || refusal.Why != c.why || !strings.Contains(err.Error(), c.says):
			t.Errorf("%s: %v, %v; want %d %s", name, p, err, c.why, c.says)
		default:
			for _, secret := range []string{m.alice, m.ci, m.former, other, "hunter2"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%s: the error shows the token", name)
				}
			}
		}
	}
}

// Without a file everybody may look, and nothing else.
func TestWithoutFile(t *testing.T) {
	t.Parallel()
	d := open(t, "")
	p, err := d.Authenticate(request("Bearer x"))
	if err != nil || p.Name != "local" || !p.May(Read) || p.May(Ask) || !p.All() || d.HasFile() || d.Watch() != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestWhatPrincipalsMay(t *testing.T) {
	t.Parallel()
	var nobody *Principal
	one, all := &Principal{Role: Ask, Projects: []string{"p1"}}, &Principal{Role: Operate}
	for what, ok := range map[string]bool{
		"nobody may nothing": !nobody.May(Read) && !nobody.Sees("p1") && !nobody.All(),
		"ask may read":       one.May(Read) && one.May(Ask) && !one.May(Operate),
		"one project":        one.Sees("p1") && !one.Sees("p2") && !one.All(),
		"all projects":       all.May(Operate) && all.Sees("p2") && all.All(),
		"context":            FromContext(NewContext(t.Context(), one)) == one && FromContext(t.Context()) == nil,
	} {
		if !ok {
			t.Error(what)
		}
	}
}

func TestNewToken(t *testing.T) {
	t.Parallel()
	token, hash := NewToken()
	other, _ := NewToken()
	if !tokenForm.MatchString(token) || len(token) != tokenLength || !hashForm.MatchString(hash) || token == other {
		t.Errorf("%d characters, hash %s", len(token), hash)
	}
}

// A new file counts once it is there; a bad one is told, without what stands in it, and changes nothing.
func TestReadAgain(t *testing.T) {
	m := newTeam(t)
	synctest.Test(t, func(t *testing.T) {
		d := open(t, m.path)
		var log bytes.Buffer
		w := reread.New(slog.New(slog.NewTextHandler(&log, nil)), d.Watch()...)
		asked := make(chan os.Signal)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); w.Run(ctx, time.Hour, asked) }()
		reload := func() { asked <- syscall.SIGHUP; synctest.Wait() }
		knows := func(token string) bool { _, err := d.Authenticate(request("Bearer " + token)); return err == nil }

		token, hash := NewToken()
		m.write(t, "principals: [{name: bob, role: read, token_hash: "+token+"}]\n")
		reload()
		if !knows(m.alice) || knows(token) || !strings.Contains(log.String(), "a change was refused") {
			t.Errorf("a bad file has changed something, or nobody was told: %s", &log)
		}
		m.write(t, "principals: [{name: bob, role: read, token_hash: \""+hash+"\"}]\n")
		reload()
		if knows(m.alice) || !knows(token) {
			t.Error("the new file does not count")
		}
		if err := os.Remove(m.path); err != nil {
			t.Fatal(err)
		}
		reload()
		if !knows(token) {
			t.Error("a file that is gone has locked out everybody")
		}
		cancel()
		<-ended
		if strings.Contains(log.String(), token[4:]) {
			t.Errorf("the log shows the token: %s", &log)
		}
	})
}

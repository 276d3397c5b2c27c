package principals

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"vizstop/internal/plain"
	"vizstop/internal/reread"
)

// Directory recognizes who sends requests. It is safe for concurrent use.
type Directory struct {
	path string
	now  func() time.Time
	file atomic.Pointer[File] // nil: there is none, and everybody is Local
}

// Open reads the file of principals at path; "" for none. now may be nil: the clock of this machine.
func Open(path string, now func() time.Time) (*Directory, error) {
	if now == nil {
		now = time.Now
	}
	d := &Directory{path: path, now: now}
	if path == "" {
		return d, nil
	}
	return d, d.read()
}

func (d *Directory) read() error {
	f, err := Load(d.path)
	if err != nil {
		return err
	}
	d.file.Store(f)
	return nil
}

// HasFile reports whether there is a file: without one everybody is Local.
func (d *Directory) HasFile() bool { return d.path != "" }

// File is what the file says now; nil without one.
func (d *Directory) File() *File { return d.file.Load() }

// Watch is what is to be read again when it changes; none without a file. What was read counts from the next
// request on; a bad file changes nothing.
func (d *Directory) Watch() []reread.Group {
	if d.path == "" {
		return nil
	}
	return []reread.Group{{Name: "principals", Files: []string{d.path}, Read: d.read}}
}

// Why is why a request was refused.
type Why int

// The reasons.
const (
	Unknown Why = iota + 1 // nothing was sent to recognize anybody by
	Wrong                  // a token that nobody has, or another's name with it
	TooLate                // the principal's time is over
)

// Refusal is the error of a request whose sender was not recognized. Its text says what to do, and shows nothing of
// what was sent as a token.
type Refusal struct {
	Why  Why
	text string
}

// Error is for the sender.
func (r *Refusal) Error() string { return r.text }

func refuse(why Why, format string, args ...any) (*Principal, error) {
	return nil, &Refusal{why, fmt.Sprintf(format, args...)}
}

const howToCome = "Send a token as \"Authorization: Bearer\", or as the password of Basic; \"console token NAME\" makes one."

// Authenticate says who sends r, by its token or else by its client certificate, which the server has verified. The
// error is a *Refusal.
//
// A token is looked up by its hash. How long that takes tells at most something of hashes, and nobody can make a
// token for a hash.
func (d *Directory) Authenticate(r *http.Request) (*Principal, error) {
	if d.path == "" {
		return Local(), nil
	}
	f := d.file.Load()
	var p *Principal
	var err error
	if header := r.Header.Values("Authorization"); len(header) > 0 {
		p, err = f.byHeader(r, header)
	} else {
		p, err = f.byCertificate(r)
	}
	if err == nil && p.Expired(d.now()) {
		return refuse(TooLate, "The principal %s has expired, on %s. Whoever looks after the file of principals can give it another date.",
			p.Name, p.Expires.UTC().Format(time.RFC3339))
	}
	return p, err
}

func (f *File) byHeader(r *http.Request, header []string) (*Principal, error) {
	if len(header) > 1 {
		return refuse(Wrong, "The header Authorization stands twice. Send one.")
	}
	user, token, ok := r.BasicAuth()
	if !ok {
		scheme, rest, _ := strings.Cut(header[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return refuse(Wrong, "The header Authorization is neither Bearer nor Basic. %s", howToCome)
		}
		user, token = "", strings.TrimSpace(rest)
	}
	if !tokenForm.MatchString(token) {
		return refuse(Wrong, "This is no token of the console: they begin with %s and have %d characters. %s", tokenPrefix, tokenLength, howToCome)
	}
	p := f.byHash[hashOf(token)]
	switch {
	case p == nil:
		return refuse(Wrong, "Nobody has this token. It may have been replaced: ask whoever looks after the file of principals.")
	case user != "" && user != p.Name:
		return refuse(Wrong, "The token is not the user's. Leave the user empty, or give the name that the token was made for.")
	}
	return p, nil
}

// byCertificate finds the principal of a verified client certificate. One that was only shown counts for nothing.
func (f *File) byCertificate(r *http.Request) (*Principal, error) {
	cert := verified(r)
	if cert == nil {
		return refuse(Unknown, "%s", howToCome)
	}
	name := cert.Subject.CommonName
	if p := f.byName[name]; p != nil && p.Certificate {
		return p, nil
	}
	return refuse(Unknown, "The common name of the certificate is %q, and no principal of that name comes with a certificate. %s",
		plain.Line(name, 64), howToCome)
}

func verified(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return nil
	}
	return r.TLS.VerifiedChains[0][0]
}

// A token is tokenPrefix and what rand.Text returns: 26 characters of 5 bits. The prefix lets scanners of
// repositories and people know what it is.
const (
	tokenPrefix = "vst_"
	tokenLength = len(tokenPrefix) + 26
)

var tokenForm = regexp.MustCompile(`^` + tokenPrefix + `[A-Z2-7]{26}$`)

// NewToken makes a token of 130 random bits, and the hash of it for the file.
func NewToken() (token, hash string) {
	token = tokenPrefix + rand.Text()
	sum := hashOf(token)
	return token, hashPrefix + hex.EncodeToString(sum[:])
}

const hashPrefix = "sha256:"

var hashForm = regexp.MustCompile(`^` + hashPrefix + `[0-9a-f]{64}$`)

// hashOf is the hash of a token. A plain SHA-256 is right: slow hashes protect passwords, which can be guessed; nobody
// guesses 130 random bits, and each request would pay for the slowness. That is why only what NewToken makes is taken.
func hashOf(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

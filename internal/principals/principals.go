// Package principals says who may come into the console and what they may do there: a file of principals, each with the
// hash of a token or a name in client certificates, a role and projects.
package principals

import (
	"context"
	"slices"
	"time"
)

// Role is what a principal may do. A higher one may what a lower one may.
type Role int

// The roles.
const (
	Read    Role = iota + 1 // look at everything
	Ask                     // also ask for jobs to be stopped
	Operate                 // also pause, resume, cancel, retry, undo and allow
)

// String is the role's name in the file.
func (r Role) String() string {
	switch r {
	case Read:
		return "read"
	case Ask:
		return "ask"
	case Operate:
		return "operate"
	}
	return "none"
}

// Principal is a person or a program that was recognized. Nobody changes one: the file being read again makes others. A
// nil Principal may do and see nothing.
type Principal struct {
	Name     string
	Role     Role
	Projects []string  // ids; none: all projects
	Expires  time.Time // from when on it is refused; zero: never

	Certificate bool // it may come with a client certificate whose common name is its name
}

// Expired reports whether p is refused at a time.
func (p *Principal) Expired(now time.Time) bool { return !p.Expires.IsZero() && !now.Before(p.Expires) }

// May reports whether the role of p reaches.
func (p *Principal) May(r Role) bool { return p != nil && p.Role >= r }

// Sees reports whether p may see and ask for what is in a project.
func (p *Principal) Sees(projectID string) bool {
	return p.All() || p != nil && slices.Contains(p.Projects, projectID)
}

// All reports whether p sees every project, and what belongs to none.
func (p *Principal) All() bool { return p != nil && len(p.Projects) == 0 }

// Local is who everybody is without a file of principals: whoever reaches a loopback address may look.
func Local() *Principal { return &Principal{Name: localName, Role: Read} }

const localName = "local"

type contextKey struct{}

// NewContext returns a context of what p does.
func NewContext(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// FromContext is the principal whose request it is; nil if nobody was asked for.
func FromContext(ctx context.Context) *Principal {
	p, _ := ctx.Value(contextKey{}).(*Principal)
	return p
}

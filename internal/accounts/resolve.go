package accounts

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"vizstop/internal/plain"
)

// resolve checks the accounts together and sets who goes through whom.
func (p *parser) resolve() {
	named, credentials := map[string]*draft{}, map[string]*yaml.Node{}
	for _, d := range p.drafts {
		switch first := named[d.Name]; {
		case d.Name == "":
		case first != nil:
			p.Fault(d.at.Line, d.at.Column, "the account %q stands in line %d already: give each a name of its own", d.Name, first.at.Line)
		default:
			named[d.Name] = d
		}
		p.once(credentials, d.credentialKey(), d.key,
			"the account in line %d has the same credential: one credential is one account, so put their regions together")
	}
	used := map[*draft]bool{}
	for _, d := range p.drafts {
		if d.next = p.throughOf(d, named); d.next != nil {
			d.Agency.Through, used[d.next] = &d.next.Account, true
		}
	}
	p.refuseRings()
	for _, d := range p.drafts {
		if d.regions == nil && !used[d] {
			p.Fault(d.at.Line, d.at.Column, "the account has no regions, and no other account goes through it: add regions with projects, or remove it")
		}
	}
}

// credentialKey is the same for two accounts with one credential; empty if it is not known.
func (d *draft) credentialKey() string {
	switch {
	case d.Prefix != "":
		return d.Prefix
	case d.Agency != nil && d.through != nil && d.Agency.Name != "" && d.Agency.Domain != "":
		return d.Agency.Name + "\n" + d.Agency.Domain + "\n" + d.through.Value
	}
	return ""
}

// throughOf is the account that d goes through; nil if there is none.
func (p *parser) throughOf(d *draft, named map[string]*draft) *draft {
	name := p.Text(d.through, accountForm)
	other := named[name]
	if name != "" && other == nil {
		p.Fault(d.through.Line, d.through.Column, "no account in this file is named %q: write the name of one that has credentials, or an agency of its own", name)
	}
	return other
}

// refuseRings notes each ring of accounts that go through each other.
func (p *parser) refuseRings() {
	done := map[*draft]bool{}
	for _, d := range p.drafts {
		var path []*draft
		for ; d != nil && !done[d]; d = d.next {
			done[d] = true
			path = append(path, d)
		}
		if i := slices.Index(path, d); i >= 0 {
			p.ring(path[i:])
		}
	}
}

func (p *parser) ring(ring []*draft) {
	var names []string
	for _, d := range append(ring, ring[0]) {
		names = append(names, d.Name)
	}
	at := ring[0].through
	p.Fault(at.Line, at.Column, "these accounts go through each other in a ring: %s; give one of them credentials", plain.Line(strings.Join(names, " → "), 400))
}

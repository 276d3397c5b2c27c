package principals

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"vizstop/internal/jobs"
	"vizstop/internal/yamlfile"
)

// maxTokens is how many tokens a principal has at once: the new one, and those that it replaces.
const maxTokens = 4

// File is what a file of principals says. Nobody changes it.
type File struct {
	all    []*Principal
	byName map[string]*Principal
	byHash map[[sha256.Size]byte]*Principal
}

// All are the principals, in the order of the file.
func (f *File) All() []*Principal { return f.all }

// Load reads the file at path, which must be a regular file. The error is a *yamlfile.Error if the file could be
// read and its content is wrong.
func Load(path string) (*File, error) {
	data, err := yamlfile.Load(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse reads the content of a file of principals. Errors call it name; they are of type *yamlfile.Error, tell all
// faults at once, and show neither tokens nor hashes.
func Parse(name string, data []byte) (*File, error) {
	p := parser{
		Reader: yamlfile.New(name, words),
		names:  map[string]*yaml.Node{}, hashes: map[[sha256.Size]byte]*yaml.Node{},
		file: &File{byName: map[string]*Principal{}, byHash: map[[sha256.Size]byte]*Principal{}},
	}
	found := p.Fields(p.Document(data), "the file", []string{"principals"}, nil)
	for _, one := range p.Items(found["principals"], "principals", "- name: alice") {
		p.principal(one)
	}
	if err := p.Failed(); err != nil {
		return nil, err
	}
	return p.file, nil
}

// words are what faults of the file say.
var words = yamlfile.Words{
	Empty:  "write a list of principals, below \"principals:\"",
	Second: "write all principals into one list",
	Secrets: `"console token NAME" makes a token and prints the line with its hash, which is all that goes here; ` +
		`if others could read this file, replace the token`,
}

var nameForm = yamlfile.Matching(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`,
	"1 to 64 letters of a to z, digits, '.', '_', '@' or '-', a letter or digit first")

const (
	wantHash    = `what "console token NAME" prints: sha256: and 64 characters of 0 to 9 and a to f`
	wantExpires = "a day such as 2027-01-31, from whose beginning in UTC on it is refused, or a time such as 2027-01-31T18:00:00+08:00"
	wantProject = "a project id: 1 to 64 letters, digits, '_' or '-', such as 0123456789abcdef0123456789abcdef"
)

// parser goes through a file.
type parser struct {
	*yamlfile.Reader
	file   *File
	names  map[string]*yaml.Node            // where a name stands first
	hashes map[[sha256.Size]byte]*yaml.Node // where a hash stands first
}

func (p *parser) principal(n *yaml.Node) {
	found := p.Fields(n, "a principal", []string{"name", "role"}, []string{"token_hash", "certificate", "projects", "expires"})
	if found == nil {
		return
	}
	one := &Principal{Name: p.name(found["name"]), Role: p.role(found["role"]), Projects: p.projects(found["projects"])}
	p.expires(found["expires"], one)
	p.Truth(found["certificate"], &one.Certificate)
	if found["token_hash"] == nil && !one.Certificate {
		p.Fault(n.Line, n.Column, "the principal has no way in: add token_hash, %s, or \"certificate: true\"", wantHash)
	}
	for _, at := range p.tokens(found["token_hash"]) {
		p.token(at, one)
	}
	p.file.all = append(p.file.all, one)
	p.file.byName[one.Name] = one
}

func (p *parser) name(n *yaml.Node) string {
	name := p.Text(n, nameForm)
	switch first := p.names[name]; {
	case name == "":
	case name == localName:
		p.Fault(n.Line, n.Column, "the name %q is everybody's without a file: choose another", localName)
	case first != nil:
		p.Fault(n.Line, n.Column, "the name stands in line %d already: choose another, or make one of the two", first.Line)
	default:
		p.names[name] = n
	}
	return name
}

func (p *parser) role(n *yaml.Node) Role {
	all := []Role{Read, Ask, Operate}
	name := p.OneOf(n, Read.String(), Ask.String(), Operate.String())
	return all[max(0, slices.IndexFunc(all, func(r Role) bool { return r.String() == name }))]
}

// tokens are the hashes of a principal: one, or a list while a token is replaced.
func (p *parser) tokens(n *yaml.Node) []*yaml.Node {
	switch {
	case n == nil:
		return nil
	case n.Kind != yaml.SequenceNode:
		return []*yaml.Node{n}
	case len(n.Content) > maxTokens:
		p.Fault(n.Line, n.Column, "these are more than %d tokens: take out those that were replaced", maxTokens)
	}
	return p.Items(n, "token_hash", "- sha256:...")
}

// token reads a hash. Faults don't show the value: it may be the token itself.
func (p *parser) token(n *yaml.Node, one *Principal) {
	value, ok := p.Scalar(n, wantHash, "!!str")
	if !ok {
		return
	}
	hash, ok := parseHash(value)
	switch first := p.hashes[hash]; {
	case !ok:
		p.Fault(n.Line, n.Column, "this is no hash of a token: write %s", wantHash)
	case first != nil:
		p.Fault(n.Line, n.Column, "the same token stands in line %d already: make one for each principal, with \"console token NAME\"", first.Line)
	default:
		p.hashes[hash] = n
		p.file.byHash[hash] = one
	}
}

func parseHash(value string) (hash [sha256.Size]byte, ok bool) {
	if !hashForm.MatchString(value) {
		return hash, false
	}
	_, err := hex.Decode(hash[:], []byte(value[len(hashPrefix):]))
	return hash, err == nil
}

func (p *parser) projects(n *yaml.Node) (ids []string) {
	if n == nil {
		return nil
	}
	for _, one := range p.Items(n, "projects", "- 0123456789abcdef0123456789abcdef") {
		// An id of digits, or of digits and an e, is a number to YAML; its text is not changed by that.
		id, ok := p.Scalar(one, wantProject, "!!str", "!!int", "!!float")
		switch {
		case !ok:
		case jobs.ValidateID("project", id) != nil:
			p.Fault(one.Line, one.Column, "%s is not valid: write %s", yamlfile.Quoted(id), wantProject)
		case slices.Contains(ids, id):
			p.Fault(one.Line, one.Column, "the project stands in this list twice: leave one")
		default:
			ids = append(ids, id)
		}
	}
	return ids
}

func (p *parser) expires(n *yaml.Node, one *Principal) {
	value, ok := p.Scalar(n, wantExpires, "!!str", "!!timestamp")
	if !ok {
		return
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, value); err == nil {
			one.Expires = t
			return
		}
	}
	p.Fault(n.Line, n.Column, "%s is not valid: write %s", yamlfile.Quoted(value), wantExpires)
}

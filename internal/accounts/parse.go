package accounts

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"vizstop/internal/jobs"
	"vizstop/internal/yamlfile"
)

// Bounds of the file and of what it says.
const (
	maxRate         = 100000 // calls a second, as for --api-rate
	maxProjectName  = 100    // characters
	leastDuration   = 15 * time.Minute
	mostDuration    = 24 * time.Hour
	defaultDuration = time.Hour
)

var (
	accountForm = yamlfile.Matching(`^[a-z][a-z0-9_-]{0,31}$`,
		"1 to 32 small letters, digits, '-' or '_', a letter first")
	prefixForm = yamlfile.Matching(`^[A-Z][A-Z0-9_]{0,39}$`,
		"what the variables' names start with: 1 to 40 capitals, digits or '_', a capital first, such as TEAM_A for TEAM_A_ACCESS_KEY")
	agencyForm = yamlfile.Name(64, "the name of an agency: 1 to 64 characters")
	domainForm = yamlfile.Name(64,
		"the name of the Huawei Cloud account that the agency belongs to: 1 to 64 characters")
	// RegionForm is what a region's name looks like.
	RegionForm = yamlfile.Matching(`^[a-z0-9][a-z0-9-]{0,62}$`,
		"a region such as cn-north-4")
	// CloudForm is what a cloud's domain looks like.
	CloudForm = yamlfile.Matching(`^([a-z0-9][a-z0-9-]{0,62}\.)+[a-z]{2,63}$`,
		"the domain of a cloud, such as "+DefaultCloud)
	projectNameForm = yamlfile.Line(maxProjectName,
		fmt.Sprintf("a name for people: 1 to %d characters on one line", maxProjectName))
)

const (
	wantProject  = "a project id: 1 to 64 letters, digits, '_' or '-', such as 0123456789abcdef0123456789abcdef"
	wantEndpoint = "a URL such as https://modelarts.cn-north-4.myhuaweicloud.com, without user, password, query and fragment"
	wantDuration = "whole seconds from 15m to 24h with their unit, such as 1h or 90m"
)

// words are what faults of an accounts file say.
var words = yamlfile.Words{
	Empty:  "write a list of accounts, below \"accounts:\"",
	Second: "write all accounts into one list",
	Secrets: `write "credentials: {prefix: TEAM_A}", and put it into a variable such as TEAM_A_SECRET_KEY, or into a file that TEAM_A_SECRET_KEY_FILE names; ` +
		`if others could read this file, replace the secret`,
}

var wantRate = fmt.Sprintf("calls a second from 0 (found out by itself) to %d", maxRate)

// Load reads the accounts file at path, which must be a regular file. The error is
// a *yamlfile.Error if the file could be read and its content is wrong.
func Load(path string) (*File, error) {
	data, err := yamlfile.Load(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse reads the content of an accounts file. Errors call it name; they are of
// type *yamlfile.Error and tell all faults at once.
func Parse(name string, data []byte) (*File, error) {
	r := yamlfile.New(name, words)
	p := parser{Reader: r, ids: map[string]*yaml.Node{}}
	p.file(r.Document(data))
	if err := r.Failed(); err != nil {
		return nil, err
	}
	return p.result(name), nil
}

// parser turns a document into accounts and projects.
type parser struct {
	*yamlfile.Reader
	drafts   []*draft
	projects []Project
	ids      map[string]*yaml.Node // where a project id stands first
}

// draft is an account before its references are resolved.
type draft struct {
	Account
	at      *yaml.Node // its name, or itself without one
	key     *yaml.Node // what its credential stands as
	through *yaml.Node
	regions *yaml.Node
	next    *draft // the account that it goes through
}

func (p *parser) result(path string) *File {
	f := &File{projects: p.projects, byID: make(map[string]int, len(p.projects)), path: path}
	for _, d := range p.drafts {
		f.accounts = append(f.accounts, &d.Account)
	}
	for i, one := range f.projects {
		f.byID[one.ID] = i
	}
	return f
}

func (p *parser) file(n *yaml.Node) {
	found := p.Fields(n, "the file", []string{"accounts"}, nil)
	for _, one := range p.Items(found["accounts"], "accounts", "- name: team-a") {
		p.account(one)
	}
	p.resolve()
}

func (p *parser) account(n *yaml.Node) {
	found := p.Fields(n, "an account", []string{"name"},
		[]string{"credentials", "agency", "shadow", "cloud", "regions", "api", "rate", "tensorboard_training"})
	if found == nil {
		return
	}
	d := &draft{at: n, regions: found["regions"]}
	if at := found["name"]; at != nil {
		d.at = at
		if d.Name = p.Text(at, accountForm); d.Name == Default {
			p.Fault(at.Line, at.Column, "the name %q is that of the one account that there is without a file: choose another", Default)
		}
	}
	p.drafts = append(p.drafts, d)
	p.credential(d, found["credentials"], found["agency"])
	p.Truth(found["shadow"], &d.Shadow)
	options := p.options(found, Options{API: V1})
	cloud := p.Text(found["cloud"], CloudForm)
	names := map[string]*yaml.Node{}
	for _, one := range p.Items(d.regions, "regions", "- name: cn-north-4") {
		p.region(d, one, names, cloud, options)
	}
}

// credential reads how an account proves who it is.
func (p *parser) credential(d *draft, credentials, agency *yaml.Node) {
	switch {
	case credentials == nil && agency == nil:
		p.Fault(d.at.Line, d.at.Column, "the account has no credentials: add \"credentials: {prefix: TEAM_A}\", or an agency")
	case credentials != nil && agency != nil:
		p.Fault(agency.Line, agency.Column, "the account has both credentials and an agency: leave one")
	case credentials != nil:
		d.key = p.Fields(credentials, "credentials", []string{"prefix"}, nil)["prefix"]
		d.Prefix = p.Text(d.key, prefixForm)
	default:
		found := p.Fields(agency, "an agency", []string{"name", "domain", "through"}, []string{"duration"})
		d.key, d.through = found["name"], found["through"]
		d.Agency = &Agency{
			Name:     p.Text(found["name"], agencyForm),
			Domain:   p.Text(found["domain"], domainForm),
			Duration: defaultDuration,
		}
		p.Duration(found["duration"], &d.Agency.Duration, leastDuration, mostDuration, wantDuration)
	}
}

// options are those of a level, with what it does not say taken from the level above.
func (p *parser) options(found map[string]*yaml.Node, o Options) Options {
	if api := p.OneOf(found["api"], string(V1), string(V2), string(Probe)); api != "" {
		o.API = Generation(api)
	}
	p.Number(found["rate"], &o.Rate, 0, maxRate, wantRate)
	p.Truth(found["tensorboard_training"], &o.TensorboardTraining)
	return o
}

func (p *parser) region(d *draft, n *yaml.Node, names map[string]*yaml.Node, cloud string, options Options) {
	found := p.Fields(n, "a region", []string{"name", "projects"},
		[]string{"endpoint", "iam_endpoint", "cloud", "api", "rate", "tensorboard_training"})
	if found == nil {
		return
	}
	region := &Region{Name: p.Text(found["name"], RegionForm), Cloud: cloud,
		Endpoint: p.endpoint(found["endpoint"]), IAMEndpoint: p.endpoint(found["iam_endpoint"])}
	if own := p.Text(found["cloud"], CloudForm); own != "" {
		region.Cloud = own
	}
	region.complete()
	d.Regions = append(d.Regions, region)
	p.once(names, region.Name, found["name"], "the region stands in this account already, in line %d: write its projects there")
	options = p.options(found, options)
	for _, one := range p.Items(found["projects"], "projects", "- 0123456789abcdef0123456789abcdef") {
		p.project(one, Project{Options: options, Account: &d.Account, Region: region})
	}
}

// once notes a name that stands somewhere else already; format has the line.
func (p *parser) once(names map[string]*yaml.Node, name string, at *yaml.Node, format string) {
	switch first := names[name]; {
	case name == "":
	case first != nil:
		p.Fault(at.Line, at.Column, format, first.Line)
	default:
		names[name] = at
	}
}

// project reads an id, or an id with more.
func (p *parser) project(n *yaml.Node, project Project) {
	id := n
	if n.Kind == yaml.MappingNode {
		found := p.Fields(n, "a project", []string{"id"}, []string{"name", "api", "rate", "tensorboard_training"})
		id = found["id"]
		project.Name = p.Text(found["name"], projectNameForm)
		project.Options = p.options(found, project.Options)
	}
	// An id of digits, or of digits and an e, is a number to YAML; its text is not changed by that.
	value, ok := p.Scalar(id, wantProject, "!!str", "!!int", "!!float")
	switch {
	case !ok:
		return
	case jobs.ValidateID("project", value) != nil:
		p.Fault(id.Line, id.Column, "%s is not valid: write %s", yamlfile.Quoted(value), wantProject)
		return
	}
	p.once(p.ids, value, id, "the project stands in line %d already: a project belongs to one account and one region, remove one of the two")
	project.ID = value
	p.projects = append(p.projects, project)
}

// endpoint is a URL, or empty. Whether plain http may be used is not for this package to say.
func (p *parser) endpoint(n *yaml.Node) string {
	value, ok := p.Scalar(n, wantEndpoint, "!!str")
	if !ok {
		return ""
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" ||
		u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(value, "#") {
		p.Fault(n.Line, n.Column, "this is not an endpoint: write %s", wantEndpoint) // the value may hold a password
		return ""
	}
	return value
}

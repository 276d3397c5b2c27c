// Package accounts says which account, region and generation of the API serve a
// project. It reads the accounts file, and stands in for one where there is
// none. It knows nothing of HTTP and sees no secret: the file names variables.
package accounts

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"vizstop/internal/plain"
)

// Default is the name of the one account that there is without a file.
const Default = "default"

// DefaultCloud is the domain below which endpoints are, unless a cloud is named.
const DefaultCloud = "myhuaweicloud.com"

// File is what an accounts file says. It never changes, so it is safe for
// concurrent use.
type File struct {
	accounts []*Account
	projects []Project      // in file order
	byID     map[string]int // place in projects
	other    *Project       // what a project is that stands nowhere; nil: there is no such project
	path     string         // "" without a file
}

// Account is one credential and what it serves.
type Account struct {
	// Name is 1 to 32 small letters, digits, "-" and "_", a letter first: fit
	// for a metric label and a part of a Redis key.
	Name string
	// Prefix starts the names of the variables with the credentials, as TEAM_A
	// does in TEAM_A_ACCESS_KEY. It is empty if the account has an agency.
	Prefix string
	// Agency is how the account is reached through another one; nil if it has
	// credentials of its own.
	Agency *Agency
	// Shadow is set if no stop call is ever made for the projects of the account: every
	// stop there only tells what a call would meet.
	Shadow bool
	// Regions are in file order. There is none if the account only lends itself
	// to others.
	Regions []*Region
}

// Agency is what another account has to assume.
type Agency struct {
	Name     string        // of the agency
	Domain   string        // name of the Huawei Cloud account that the agency belongs to
	Through  *Account      // who assumes it; may have an agency itself
	Duration time.Duration // life of what is lent: whole seconds, from 15 minutes to 24 hours
}

// Region is where an account has projects.
type Region struct {
	Name        string // such as cn-north-4
	Cloud       string // domain of the cloud, such as myhuaweicloud.com
	Endpoint    string // URL of ModelArts there
	IAMEndpoint string // URL of IAM there: where passwords log in, and agencies are assumed
}

// Generation is which edition of the API serves a project.
type Generation string

// The generations. Probe means: the worker finds out.
const (
	V1    Generation = "v1"
	V2    Generation = "v2"
	Probe Generation = "probe"
)

// Options is what a project has from itself, its region or its account.
type Options struct {
	API  Generation // V1 unless said otherwise
	Rate float64    // calls a second; 0: that of the workers (--api-rate)
	// TensorboardTraining allows stops of training jobs that show TensorBoard
	// or MindStudio Insight (v2 only).
	TensorboardTraining bool
}

// Project is one project and what serves it.
type Project struct {
	ID   string
	Name string // for people; may be empty
	Options
	Account *Account
	Region  *Region
}

// Single is what there is without a file: one account named "default", whose
// variables start with prefix, serves any project in one region. Empty fields of
// region get what they have by default in a file; its name may not be empty.
func Single(prefix string, region Region, options Options) *File {
	region.complete()
	if options.API == "" {
		options.API = V1
	}
	a := &Account{Name: Default, Prefix: prefix, Regions: []*Region{&region}}
	return &File{
		accounts: []*Account{a},
		other:    &Project{Options: options, Account: a, Region: &region},
	}
}

// complete fills what a region has by default.
func (r *Region) complete() {
	if r.Cloud == "" {
		r.Cloud = DefaultCloud
	}
	if r.Endpoint == "" {
		r.Endpoint = "https://modelarts." + r.Name + "." + r.Cloud
	}
	if r.IAMEndpoint == "" {
		r.IAMEndpoint = "https://iam." + r.Name + "." + r.Cloud
	}
}

// Project finds a project by its id, in constant time. Without a file any id
// has one.
func (f *File) Project(id string) (Project, bool) {
	if i, ok := f.byID[id]; ok {
		return f.projects[i], true
	}
	if f.other == nil {
		return Project{}, false
	}
	p := *f.other
	p.ID = id
	return p, true
}

// Find is Project with words for a project that is in no account.
func (f *File) Find(id string) (Project, error) {
	p, ok := f.Project(id)
	if !ok {
		return p, fmt.Errorf("project %s is in no account of %s: add it there, or check the id", plain.Line(id, mostID), f.path)
	}
	return p, nil
}

// mostID is how many characters of an id that may be wrong are shown.
const mostID = 64

// Accounts lists the accounts in file order. The slice is the caller's, what it
// points to is not to be changed.
func (f *File) Accounts() []*Account { return append([]*Account(nil), f.accounts...) }

// Serving are the names of the accounts that have projects, in file order.
func (f *File) Serving() (names []string) {
	for _, a := range f.accounts {
		if len(a.Regions) > 0 {
			names = append(names, a.Name)
		}
	}
	return names
}

// Projects lists the projects in file order; none without a file. The slice is
// the caller's, what it points to is not to be changed.
func (f *File) Projects() []Project { return append([]Project(nil), f.projects...) }

// Choose lists the ids of the projects of all accounts that have one of the names or
// globs, in file order; of every account if there is none. A glob that no account with
// projects has is an error.
func (f *File) Choose(globs []string) ([]string, error) {
	names := f.Serving()
	matched := func(glob string) func(string) bool {
		return func(name string) bool { ok, _ := path.Match(glob, name); return ok }
	}
	for _, glob := range globs {
		if !slices.ContainsFunc(names, matched(glob)) {
			return nil, fmt.Errorf("%s: no account with projects has such a name in %s; there are %s", glob, f.path, strings.Join(names, ", "))
		}
	}
	var chosen []string
	for _, p := range f.projects {
		if len(globs) == 0 || slices.ContainsFunc(globs, func(glob string) bool { return matched(glob)(p.Account.Name) }) {
			chosen = append(chosen, p.ID)
		}
	}
	return chosen, nil
}

// Open reports whether any project is served, as it is without a file.
func (f *File) Open() bool { return f.other != nil }

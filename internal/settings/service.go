package settings

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"vizstop/internal/accounts"
	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
	v1 "vizstop/internal/modelarts/v1"
	v2 "vizstop/internal/modelarts/v2"
	"vizstop/internal/reread"
)

// Options settle a Service.
type Options struct {
	// Projects are the only ones that will be called: of accounts that serve none of
	// them, no credentials are read. nil: any project.
	Projects []string
	// Client returns further options of the clients of an account; nil: none.
	Client func(account string) []modelarts.Option
	// Spend waits until the rate of a project allows one more call, for what needs
	// several; nil: it does not wait.
	Spend func(ctx context.Context, projectID string) error
	// Owe counts a call that goes out beside a stop call, without waiting; nil: nobody
	// counts it.
	Owe func(ctx context.Context, projectID string)
	// Changed is called after credentials or the accounts file were read again; nil:
	// nothing is.
	Changed func()
}

// Service is the API of every project: in which account, at which endpoint and of
// which generation each is. It is a jobs.API and safe for concurrent use.
type Service struct {
	jobs.Router
	api     *API
	options Options
	now     atomic.Pointer[services]
}

// services is a Service at one moment.
type services struct {
	file   *accounts.File
	apis   map[serviceKey]jobs.API
	offers map[serviceKey][]Offer
	spelt  map[*accounts.Region]string // their endpoints, as Canonical spells them
	logins map[*accounts.Account]Login
	creds  map[credentialKey]*modelarts.Replaceable
	warn   []string
}

// serviceKey tells which projects share an API.
type serviceKey struct {
	region     *accounts.Region
	generation accounts.Generation
	tensor     bool
}

// credentialKey tells which APIs share credentials: agencies and passwords ask IAM.
type credentialKey struct {
	account *accounts.Account
	iam     string
}

// Open returns the API with these settings. The error names every fault of the
// accounts file, endpoints and credentials.
func (a *API) Open(o Options) (*Service, error) {
	s := &Service{api: a, options: o}
	s.Router = s.find
	now, err := s.build()
	if err != nil {
		return nil, err
	}
	s.now.Store(now)
	return s, nil
}

// build reads the accounts file and the credentials.
func (s *Service) build() (*services, error) {
	file, err := s.api.File()
	if err != nil {
		return nil, err
	}
	b := &services{file: file, apis: map[serviceKey]jobs.API{}, offers: map[serviceKey][]Offer{}, spelt: map[*accounts.Region]string{}, logins: map[*accounts.Account]Login{}, creds: map[credentialKey]*modelarts.Replaceable{}}
	kinds := b.kinds(s.options.Projects)
	if err := b.readLogins(s.api, accountsOf(kinds, s.options.Projects == nil, file)); err != nil {
		return nil, err
	}
	for _, p := range append(file.Projects(), kinds...) {
		if b.spelt[p.Region] == "" {
			b.spelt[p.Region] = Canonical(p.Region.Endpoint)
		}
	}
	var faults []error
	for _, p := range kinds {
		if err := b.open(s, p); err != nil {
			faults = append(faults, err)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return b, nil
}

// accountsOf are the accounts whose credentials the calls of some projects need, or
// all of the file.
func accountsOf(projects []accounts.Project, all bool, file *accounts.File) []*accounts.Account {
	if all {
		return file.Accounts()
	}
	var some []*accounts.Account
	for _, p := range projects {
		for a := p.Account; !slices.Contains(some, a); a = a.Agency.Through {
			if some = append(some, a); a.Agency == nil {
				break
			}
		}
	}
	return some
}

// readLogins reads the credentials of those accounts that have some of their own.
func (b *services) readLogins(a *API, of []*accounts.Account) error {
	var faults []error
	for _, account := range of {
		if account.Prefix == "" {
			continue
		}
		l, warnings, err := a.login(account)
		if err != nil {
			faults = append(faults, inAccount(b.file, account, err))
		}
		b.logins[account] = l
		if !b.file.Open() { // else the settings tell of them
			b.warn = append(b.warn, warnings...)
		}
	}
	return errors.Join(faults...)
}

// inAccount names the account of a fault, if there are several.
func inAccount(file *accounts.File, account *accounts.Account, err error) error {
	if file.Open() {
		return err
	}
	return fmt.Errorf("account %s: %w", account.Name, err)
}

// kinds is one project for each API that calls of these projects need; nil: of any.
func (b *services) kinds(ids []string) []accounts.Project {
	if b.file.Open() {
		p, _ := b.file.Project("")
		return []accounts.Project{p}
	}
	all := b.file.Projects()
	if ids != nil {
		all = nil
		for _, id := range ids {
			if p, ok := b.file.Project(id); ok {
				all = append(all, p)
			}
		}
	}
	var some []accounts.Project
	seen := map[serviceKey]bool{}
	for _, p := range all {
		if k := keyOf(p); !seen[k] {
			seen[k] = true
			some = append(some, p)
		}
	}
	return some
}

func keyOf(p accounts.Project) serviceKey {
	return serviceKey{p.Region, p.API, p.TensorboardTraining}
}

// open makes the API of a project, and of all that are served alike.
func (b *services) open(s *Service, p accounts.Project) error {
	var opts []modelarts.Option
	creds, fault := b.credentials(s.api, p.Account, p.Region.IAMEndpoint)
	if fault != nil {
		fault = inAccount(b.file, p.Account, fault)
	} else {
		opts = append(opts, modelarts.WithCredentials(creds), modelarts.WithAdvice(b.advice(p.Account)))
	}
	if s.options.Client != nil {
		opts = append(opts, s.options.Client(p.Account.Name)...)
	}
	if s.api.PlainHTTP {
		opts = append(opts, modelarts.AllowPlainHTTP())
	}
	client, err := modelarts.New(p.Region.Endpoint, opts...)
	switch {
	case err != nil && b.file.Open():
		fault = errors.Join(fault, fmt.Errorf("--endpoint (MODELARTS_ENDPOINT): %w", err))
	case err != nil:
		fault = errors.Join(fault, fmt.Errorf("account %s, region %s: %w", p.Account.Name, p.Region.Name, err))
	}
	if fault != nil {
		return fault
	}
	first := Offer{accounts.V1, v1.New(client), v1.NoJob}
	second := Offer{accounts.V2, v2.New(client, v2.Options{TensorboardTraining: p.TensorboardTraining, Spend: s.options.Spend, Owe: s.options.Owe}), v2.NoJob}
	api, offers := first.API, []Offer{first}
	switch p.API {
	case accounts.V2:
		api, offers = second.API, []Offer{second}
	case accounts.Probe:
		api, offers = jobs.Either(first.API, second.API), []Offer{first, second}
	}
	b.apis[keyOf(p)], b.offers[keyOf(p)] = api, offers
	return nil
}

// credentials are those of an account, for all that asks the same IAM.
func (b *services) credentials(a *API, account *accounts.Account, iam string) (*modelarts.Replaceable, error) {
	key := credentialKey{account, iam}
	if known := b.creds[key]; known != nil {
		return known, nil
	}
	creds, err := b.make(a, key, b.logins)
	if err != nil {
		return nil, err
	}
	b.creds[key] = modelarts.NewReplaceable(creds)
	return b.creds[key], nil
}

func (b *services) make(a *API, key credentialKey, logins map[*accounts.Account]Login) (modelarts.Credentials, error) {
	agency := key.account.Agency
	if agency == nil {
		l, setting := logins[key.account], "iam_endpoint"
		if b.file.Open() {
			setting = "--iam-endpoint (HW_AUTH_URL)"
		}
		return l.credentials(key.account.Prefix, key.iam, setting, a.PlainHTTP)
	}
	through, err := b.credentials(a, agency.Through, key.iam)
	if err != nil {
		return nil, fmt.Errorf("through account %s: %w", agency.Through.Name, err)
	}
	return modelarts.NewAgency(modelarts.AgencyConfig{IAMEndpoint: key.iam, Name: agency.Name, Domain: agency.Domain,
		Through: through, Duration: agency.Duration, AllowPlainHTTP: a.PlainHTTP})
}

// advice is what to check if the API refuses the credentials of an account, or of the one that it goes through.
func (b *services) advice(account *accounts.Account) string {
	agency := ""
	if a := account.Agency; a != nil {
		agency = fmt.Sprintf("check agency %q of %q; ", a.Name, a.Domain)
	}
	for account.Agency != nil {
		account = account.Agency.Through
	}
	l := b.logins[account]
	return agency + l.advice(account.Prefix)
}

// find is the Router.
func (s *Service) find(projectID string) (jobs.API, error) {
	now := s.now.Load()
	p, err := now.file.Find(projectID)
	if err != nil {
		return nil, err
	}
	api := now.apis[keyOf(p)]
	if api == nil {
		return nil, fmt.Errorf("project %s is none of those that were to be called", projectID)
	}
	return api, nil
}

// Serving tells which account and endpoint a project has, how many calls a second it may
// make, 0 if that is not said, and whether its account is a shadow account. A project that
// is in no account has none.
func (s *Service) Serving(projectID string) (account, endpoint string, rate float64, shadow bool) {
	now := s.now.Load()
	p, ok := now.file.Project(projectID)
	if !ok {
		return "", "", 0, false
	}
	return p.Account.Name, now.spelt[p.Region], p.Rate, p.Account.Shadow
}

// Offer is one generation of the API that a project may be offered.
type Offer struct {
	Generation accounts.Generation
	API        jobs.API
	NoJob      string // an id as jobs of this generation have them, of which there is no job
}

// Offers are the generations that a project may be offered: both if that is to be found
// out. A project that is in no account has none.
func (s *Service) Offers(projectID string) []Offer {
	now := s.now.Load()
	p, ok := now.file.Project(projectID)
	if !ok {
		return nil
	}
	return now.offers[keyOf(p)]
}

// Identity tells, without secrets, as whom a project is called; "" for a project that is
// in no account.
func (s *Service) Identity(projectID string) string {
	now := s.now.Load()
	p, ok := now.file.Project(projectID)
	if !ok {
		return ""
	}
	return now.creds[credentialKey{p.Account, p.Region.IAMEndpoint}].String()
}

// File is the accounts file as it is now, or what stands for one.
func (s *Service) File() *accounts.File { return s.now.Load().file }

// Warnings are what is right but should not stay so, of files that the settings do not
// name themselves.
func (s *Service) Warnings() []string { return s.now.Load().warn }

// Watch returns what is to be read again when it changes. set is called with other
// files when the accounts file names other variables.
func (s *Service) Watch(set func(...reread.Group)) []reread.Group {
	now := s.now.Load()
	var groups []reread.Group
	if s.api.Accounts != "" {
		groups = append(groups, reread.Group{Name: "accounts", Files: []string{s.api.Accounts}, Read: func() error {
			if err := s.reopen(); err != nil {
				return err
			}
			set(s.Watch(set)...)
			return nil
		}})
	}
	for _, account := range now.file.Accounts() {
		if files := s.api.files(account); len(files) > 0 {
			groups = append(groups, reread.Group{Name: "credentials of account " + account.Name, Files: files, Read: func() error {
				return s.renew(account)
			}})
		}
	}
	return groups
}

// files hold the secrets of an account.
func (a *API) files(account *accounts.Account) []string {
	if account.Prefix == "" || a.getenv == nil {
		return nil
	}
	return loginFiles(a.getenv, account.Prefix)
}

// reopen takes up another accounts file.
func (s *Service) reopen() error {
	now, err := s.build()
	if err != nil {
		return err
	}
	s.now.Store(now)
	s.changed()
	return nil
}

// renew takes up other credentials of an account: its own, and anew those of the
// agencies that are assumed with them.
func (s *Service) renew(account *accounts.Account) error {
	now := s.now.Load()
	l, _, err := readLogin(s.api.getenv, account.Prefix)
	if err != nil {
		return err
	}
	type change struct {
		of *modelarts.Replaceable
		to modelarts.Credentials
	}
	var changes []change
	for key, of := range now.creds {
		if !goesThrough(key.account, account) {
			continue
		}
		to, err := now.make(s.api, key, map[*accounts.Account]Login{account: l})
		if err != nil {
			return err
		}
		changes = append(changes, change{of, to})
	}
	for _, c := range changes {
		c.of.Replace(c.to)
	}
	s.changed()
	return nil
}

// goesThrough reports whether an account has the credentials of another, or assumes
// agencies with them.
func goesThrough(a, other *accounts.Account) bool {
	for a != other && a.Agency != nil {
		a = a.Agency.Through
	}
	return a == other
}

func (s *Service) changed() {
	if s.options.Changed != nil {
		s.options.Changed()
	}
}

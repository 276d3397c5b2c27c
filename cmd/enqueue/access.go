package main

import (
	"errors"
	"fmt"
	"path"

	"vizstop/internal/accounts"
	"vizstop/internal/caller"
	"vizstop/internal/release"
	"vizstop/internal/settings"
)

// access is the settings of the API: who serves which project, and what of it was
// read already.
type access struct {
	settings.API

	accounts    []string // globs
	allProjects bool

	known *accounts.File
}

// declareProjects declares the settings that choose projects of the accounts file.
func (a *access) declareProjects(s *settings.Set) {
	s.Strings(&a.accounts, "account", "",
		"with --accounts and a rule: all projects of the accounts with this name or glob; repeatable, or several by comma", func(v string) error {
			_, err := path.Match(v, "")
			return err
		})
	s.Bool(&a.allProjects, "all-projects", "", "with --accounts and a rule: all projects of the file")
}

// calls returns the API, at the rate of the fleet. The books are nil in a dry run
// without a Redis.
func (a *access) calls(books *books) (*caller.Caller, error) {
	rate := books.callRate()
	api, err := a.Open(settings.Options{Spend: rate.Spend})
	if err != nil {
		return nil, err
	}
	if books != nil {
		books.served = func(projectID string) release.Serving {
			account, endpoint, rate := api.Serving(projectID)
			return release.Serving{Account: account, Endpoint: endpoint, Rate: rate}
		}
	}
	return &caller.Caller{API: api, Rate: rate}, nil
}

// callRate is what calls of this command keep to. The books are nil in a dry run
// without a Redis.
func (b *books) callRate() caller.Rate {
	if b == nil {
		return &caller.OwnRate{}
	}
	return caller.FleetRate{Rate: b.release, Ledger: b.ledger}
}

// file says where projects are; it needs no credentials.
func (a *access) file() (*accounts.File, error) {
	if a.known == nil {
		known, err := a.File()
		if err != nil {
			return nil, err
		}
		a.known = known
	}
	return a.known, nil
}

// checkProject refuses a project that no account serves: no worker would call it.
func (a *access) checkProject(project string) error {
	f, err := a.file()
	if err != nil {
		return err
	}
	_, err = f.Find(project)
	return err
}

// endpoint is where a project is, by the settings; "" if they don't say.
func (a *access) endpoint(project string) string {
	f, err := a.file()
	if err != nil {
		return ""
	}
	p, ok := f.Project(project)
	if !ok {
		return ""
	}
	return settings.Canonical(p.Region.Endpoint)
}

// projects are those that --account and --all-projects choose; none without them.
func (a *access) projects() ([]string, error) {
	switch {
	case len(a.accounts) == 0 && !a.allProjects:
		return nil, nil
	case len(a.accounts) > 0 && a.allProjects:
		return nil, errors.New("--account and --all-projects exclude each other")
	case a.Accounts == "":
		return nil, errors.New("--account and --all-projects choose projects of the file that --accounts (VIZSTOP_ACCOUNTS) names: name one")
	}
	f, err := a.file()
	if err != nil {
		return nil, err
	}
	chosen, err := f.Choose(a.accounts)
	if err != nil {
		return nil, fmt.Errorf("--account %w", err)
	}
	return chosen, nil
}

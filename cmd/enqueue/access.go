package main

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"vizstop/internal/accounts"
	"vizstop/internal/caller"
	"vizstop/internal/control"
	"vizstop/internal/estimate"
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
	tell  func(text string) // a note for people; nil: nobody hears it
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

// calls returns the API of some projects, at the rate of the fleet. The desk is nil
// in a dry run without a Redis.
func (a *access) calls(desk *control.Desk, projects []string) (*caller.Caller, error) {
	rate := desk.CallRate()
	api, err := a.Open(settings.Options{Projects: projects, Spend: rate.Spend})
	if err != nil {
		return nil, err
	}
	if desk != nil {
		desk.Served = func(projectID string) release.Serving {
			account, endpoint, rate, shadow := api.Serving(projectID)
			return release.Serving{Account: account, Endpoint: endpoint, Rate: rate, Shadow: shadow}
		}
	}
	if a.tell != nil {
		rate = &toldRate{Rate: rate, tell: a.tell, met: map[string]time.Time{}, next: map[string]bool{}}
	}
	return &caller.Caller{API: api, Rate: rate}, nil
}

// introduce tells the desk, if it does not know, which account of the accounts file each project has. The error says
// why the file can't be read: then it still does not know.
func (a *access) introduce(desk *control.Desk) error {
	if a.Accounts == "" || desk.Served != nil {
		return nil
	}
	f, err := a.file()
	if err != nil {
		return err
	}
	desk.Served = func(projectID string) (s release.Serving) {
		if p, ok := f.Project(projectID); ok {
			s.Account, s.Rate = p.Account.Name, p.Rate
		}
		return s
	}
	return nil
}

// doors is the door of each project, which is that of its account.
func (a *access) doors(projects []string) (map[string]*door, error) {
	f, err := a.file()
	if err != nil {
		return nil, err
	}
	byAccount, byProject := map[*accounts.Account]*door{}, map[string]*door{}
	for _, id := range projects {
		p, err := f.Find(id)
		if err != nil {
			return nil, err
		}
		if byAccount[p.Account] == nil {
			byAccount[p.Account] = newDoor()
		}
		byProject[id] = byAccount[p.Account]
	}
	return byProject, nil
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

// inShadow are those projects that the file has in shadow accounts, each with its account,
// and the names of these accounts.
func (a *access) inShadow(projects []string) (names, inShadow []string, err error) {
	if a.Accounts == "" {
		return nil, nil, nil
	}
	f, err := a.file()
	if err != nil {
		return nil, nil, err
	}
	for _, id := range projects {
		p, ok := f.Project(id)
		if !ok || !p.Account.Shadow {
			continue
		}
		inShadow = append(inShadow, fmt.Sprintf("%s (account %s)", id, p.Account.Name))
		if !slices.Contains(names, p.Account.Name) {
			names = append(names, p.Account.Name)
		}
	}
	return names, inShadow, nil
}

// rate is how many calls a second a project gets, and how many a stop takes there, by
// the settings; announced is what the workers give those that have no rate of their own.
func (a *access) rate(project string, announced estimate.Rate) estimate.Rate {
	f, err := a.file()
	if err != nil {
		return announced
	}
	return control.RateOf(f, project, announced)
}

// checkShape refuses a job's id that looks like one of the generation of the API that
// its project does not have, if anything says which it has: a file, credentials, or the
// setting itself.
func (a *access) checkShape(project, job string) error {
	if !a.HasCredentials() && !a.Chosen() && a.Generation != string(accounts.V2) {
		return nil
	}
	f, err := a.file()
	if err != nil {
		return nil // told elsewhere
	}
	p, ok := f.Project(project)
	if !ok {
		return nil
	}
	return settings.CheckShape(p.API, job)
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

package settings

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"vizstop/internal/accounts"
	"vizstop/internal/jobs"
	v1 "vizstop/internal/modelarts/v1"
	v2 "vizstop/internal/modelarts/v2"
)

// API is how to reach ModelArts and as whom: by an accounts file, or as one account
// that the other fields describe. The variables named HW_ are those of Huawei Cloud's
// Terraform provider.
type API struct {
	Accounts string // an accounts file; "" for one account

	Region, Cloud       string
	Endpoint            string // "" means the region's
	IAMEndpoint         string // "" means the region's
	Generation          string // v1, v2 or probe; "" means v1
	TensorboardTraining bool
	Login               Login

	PlainHTTP bool
	getenv    func(string) string
}

const (
	defaultRegion = "cn-north-4"
	loginPrefix   = "HW" // of the variables of the one account
)

// Declare adds the settings of a to s. Credentials may be missing if they are
// optional; what is set must be right all the same. Those of an accounts file are then
// read when they are needed: one account without its own does not stop another.
func (a *API) Declare(s *Set, optional bool) {
	s.String(&a.Accounts, "accounts", "VIZSTOP_ACCOUNTS", "",
		"file of accounts: which credentials, region and API a project has; in place of the settings of one account", nil)
	s.String(&a.Region, "region", "HW_REGION_NAME", defaultRegion, "Huawei Cloud region; gives both endpoints", accounts.RegionForm.Check)
	s.String(&a.Cloud, "cloud", "HW_CLOUD", accounts.DefaultCloud, "domain of the cloud, below which endpoints are", accounts.CloudForm.Check)
	s.String(&a.Endpoint, "endpoint", "MODELARTS_ENDPOINT", "", "ModelArts endpoint (default: https://modelarts.<region>.<cloud>)", nil)
	s.String(&a.IAMEndpoint, "iam-endpoint", "HW_AUTH_URL", "", "IAM endpoint (default: https://iam.<region>.<cloud>)", nil)
	s.OneOf(&a.Generation, "api", "VIZSTOP_API", string(accounts.V1),
		"generation of the API: v1 (visualization jobs), v2 (training jobs of that kind), or probe to find out",
		string(accounts.V1), string(accounts.V2), string(accounts.Probe))
	s.Bool(&a.TensorboardTraining, "tensorboard-training", "VIZSTOP_TENSORBOARD_TRAINING",
		"v2: also stop training jobs that show TensorBoard or MindStudio Insight")
	s.Bool(&a.PlainHTTP, "allow-plain-http", "VIZSTOP_ALLOW_PLAIN_HTTP", "allow http:// endpoints that are not on this machine; credentials travel in clear")
	for _, v := range a.Login.variables() {
		if v.secret {
			s.Secret(v.value, loginPrefix+v.name)
		} else {
			s.Variable(v.value, loginPrefix+v.name)
		}
	}
	s.CheckVariables(CheckProxies)
	s.Loaded(func(getenv func(string) string) { a.getenv = getenv })
	s.Check(func() error {
		switch {
		case optional && !a.HasCredentials():
			return nil
		case optional && a.Accounts != "":
			_, err := a.File()
			return err
		}
		_, err := a.Open(Options{})
		return err
	})
}

// HasCredentials reports whether anything is set to authenticate with.
func (a *API) HasCredentials() bool { return a.Accounts != "" || a.Login.IsSet() }

// Chosen reports whether somebody has chosen where jobs are.
func (a *API) Chosen() bool {
	return a.Accounts != "" || a.Endpoint != "" || a.Region != "" && a.Region != defaultRegion ||
		a.Cloud != "" && a.Cloud != accounts.DefaultCloud
}

// File reads the accounts file, or makes one of the other settings. The error names
// every fault.
func (a *API) File() (*accounts.File, error) {
	if a.Accounts == "" {
		region := accounts.Region{Name: a.Region, Cloud: a.Cloud, Endpoint: a.Endpoint, IAMEndpoint: a.IAMEndpoint}
		return accounts.Single(loginPrefix, region, accounts.Options{API: accounts.Generation(a.Generation), TensorboardTraining: a.TensorboardTraining}), nil
	}
	var set []string
	for name, is := range map[string]bool{
		"--region (HW_REGION_NAME)": a.Region != "" && a.Region != defaultRegion, "--cloud (HW_CLOUD)": a.Cloud != "" && a.Cloud != accounts.DefaultCloud,
		"--endpoint (MODELARTS_ENDPOINT)": a.Endpoint != "", "--iam-endpoint (HW_AUTH_URL)": a.IAMEndpoint != "",
		"--api (VIZSTOP_API)": a.Generation != "" && a.Generation != string(accounts.V1),
		"--tensorboard-training (VIZSTOP_TENSORBOARD_TRAINING)": a.TensorboardTraining,
	} {
		if is {
			set = append(set, name)
		}
	}
	if len(set) > 0 {
		slices.Sort(set)
		return nil, fmt.Errorf("--accounts (VIZSTOP_ACCOUNTS) says where projects are: leave out %s", strings.Join(set, ", "))
	}
	f, err := accounts.Load(a.Accounts)
	if err != nil {
		return nil, fmt.Errorf("--accounts (VIZSTOP_ACCOUNTS): %w", err)
	}
	return f, nil
}

// login is the credentials of an account. Those of the one that there is without a
// file were read with the settings.
func (a *API) login(account *accounts.Account) (l Login, warnings []string, err error) {
	if a.Accounts == "" {
		return a.Login, nil, nil
	}
	return readLogin(a.getenv, account.Prefix)
}

// Canonical is an endpoint in one spelling: two URLs are the same if they name the
// same host, port and path.
func Canonical(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return endpoint // whoever calls it says what is wrong
	}
	host := strings.ToLower(u.Host)
	if port := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]; port != "" {
		host = strings.TrimSuffix(host, port)
	}
	return u.Scheme + "://" + host + strings.TrimRight(u.EscapedPath(), "/")
}

// Statuses are those that a job can have, in any generation of the API.
func Statuses() []jobs.Status { return slices.Concat(v1.Statuses(), v2.Statuses()) }

package settings

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/sdkhmac"
	v1 "vizstop/internal/modelarts/v1"
)

// API is how to reach ModelArts and as whom. The variables named HW_ are those
// of Huawei Cloud's Terraform provider.
type API struct {
	Region      string
	Endpoint    string // "" means the region's
	IAMEndpoint string // "" means the region's
	PlainHTTP   bool

	AccessKey, SecretKey, SecurityToken string // AK/SK signing
	Token                               string // a ready token
	User, Password, Domain              string // IAM password
}

const defaultRegion = "cn-north-4"

var regionPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Declare adds the settings of a to s. Credentials may be missing if they are
// optional; what is set must be right all the same.
func (a *API) Declare(s *Set, optional bool) {
	s.String(&a.Region, "region", "HW_REGION_NAME", defaultRegion, "Huawei Cloud region; gives both endpoints", func(v string) error {
		if !regionPattern.MatchString(v) {
			return fmt.Errorf("%q is not a region such as cn-north-4", v)
		}
		return nil
	})
	s.String(&a.Endpoint, "endpoint", "MODELARTS_ENDPOINT", "", "ModelArts endpoint (default: https://modelarts.<region>.myhuaweicloud.com)", nil)
	s.String(&a.IAMEndpoint, "iam-endpoint", "HW_AUTH_URL", "", "IAM endpoint (default: https://iam.<region>.myhuaweicloud.com)", nil)
	s.Bool(&a.PlainHTTP, "allow-plain-http", "VIZSTOP_ALLOW_PLAIN_HTTP", "allow http:// endpoints that are not on this machine; credentials travel in clear")
	s.Secret(&a.AccessKey, "HW_ACCESS_KEY")
	s.Secret(&a.SecretKey, "HW_SECRET_KEY")
	s.Secret(&a.SecurityToken, "HW_SECURITY_TOKEN")
	s.Secret(&a.Token, "HW_AUTH_TOKEN")
	s.Variable(&a.User, "HW_USER_NAME")
	s.Secret(&a.Password, "HW_USER_PASSWORD")
	s.Variable(&a.Domain, "HW_DOMAIN_NAME")
	s.Check(func() error {
		if optional && !a.HasCredentials() {
			return nil
		}
		_, err := a.Open()
		return err
	})
}

// HasCredentials reports whether anything is set to authenticate with.
func (a *API) HasCredentials() bool {
	return a.AccessKey+a.SecretKey+a.SecurityToken+a.Token+a.User+a.Password+a.Domain != ""
}

// The ways of authentication, as errors name them.
const (
	wayAKSK     = "HW_ACCESS_KEY and HW_SECRET_KEY"
	wayToken    = "HW_AUTH_TOKEN"
	wayPassword = "HW_USER_NAME, HW_USER_PASSWORD and HW_DOMAIN_NAME"
)

// credentials picks the one way of authentication that is set.
func (a *API) credentials() (modelarts.Credentials, error) {
	var ways []string
	if a.AccessKey != "" || a.SecretKey != "" || a.SecurityToken != "" {
		ways = append(ways, wayAKSK)
	}
	if a.Token != "" {
		ways = append(ways, wayToken)
	}
	if a.User != "" || a.Password != "" || a.Domain != "" {
		ways = append(ways, wayPassword)
	}
	switch {
	case len(ways) == 0:
		return nil, fmt.Errorf("no credentials: set %s, or %s, or %s", wayAKSK, wayToken, wayPassword)
	case len(ways) > 1:
		return nil, fmt.Errorf("more than one way to authenticate is set (%s): leave one", strings.Join(ways, "; "))
	}
	switch ways[0] {
	case wayAKSK:
		err := errors.Join(missing("HW_ACCESS_KEY", a.AccessKey, wayAKSK), missing("HW_SECRET_KEY", a.SecretKey, wayAKSK))
		return modelarts.NewAKSK(sdkhmac.Key{AccessKey: a.AccessKey, SecretKey: a.SecretKey}, a.SecurityToken), err
	case wayToken:
		return modelarts.NewToken(a.Token), nil
	default:
		if err := errors.Join(missing("HW_USER_NAME", a.User, wayPassword), missing("HW_USER_PASSWORD", a.Password, wayPassword),
			missing("HW_DOMAIN_NAME", a.Domain, wayPassword)); err != nil {
			return nil, err
		}
		creds, err := modelarts.NewPassword(modelarts.PasswordConfig{
			IAMEndpoint: a.orRegional(a.IAMEndpoint, "iam"), User: a.User, Password: a.Password, Domain: a.Domain,
			AllowPlainHTTP: a.PlainHTTP,
		})
		if err != nil {
			return nil, fmt.Errorf("--iam-endpoint (HW_AUTH_URL): %w", err)
		}
		return creds, nil
	}
}

func missing(name, value, way string) error {
	if value != "" {
		return nil
	}
	return fmt.Errorf("%s is not set: %s go together", name, way)
}

func (a *API) orRegional(endpoint, service string) string {
	if endpoint != "" {
		return endpoint
	}
	return "https://" + service + "." + a.Region + ".myhuaweicloud.com"
}

// URL is the ModelArts endpoint in one spelling: two URLs are the same if they name
// the same host, port and path.
func (a *API) URL() string {
	raw := a.orRegional(a.Endpoint, "modelarts")
	u, err := url.Parse(raw)
	if err != nil {
		return raw // Open says what is wrong
	}
	host := strings.ToLower(u.Host)
	if port := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]; port != "" {
		host = strings.TrimSuffix(host, port)
	}
	return u.Scheme + "://" + host + strings.TrimRight(u.EscapedPath(), "/")
}

// Chosen reports whether somebody has chosen an endpoint or a region.
func (a *API) Chosen() bool { return a.Endpoint != "" || a.Region != "" && a.Region != defaultRegion }

// Open returns the API with these settings and further options of its client. The
// error names every fault of endpoints and credentials.
func (a *API) Open(opts ...modelarts.Option) (jobs.API, error) {
	creds, fault := a.credentials()
	if fault == nil {
		opts = append(opts, modelarts.WithCredentials(creds))
	}
	if a.PlainHTTP {
		opts = append(opts, modelarts.AllowPlainHTTP())
	}
	client, err := modelarts.New(a.orRegional(a.Endpoint, "modelarts"), opts...)
	if err != nil {
		fault = errors.Join(fault, fmt.Errorf("--endpoint (MODELARTS_ENDPOINT): %w", err))
	}
	if fault != nil {
		return nil, fault
	}
	return v1.New(client), nil
}

// Statuses are those that a job can have, in any generation of the API.
func Statuses() []jobs.Status { return v1.Statuses() }

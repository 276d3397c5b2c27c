package settings

import (
	"errors"
	"fmt"
	"strings"

	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/sdkhmac"
)

// Login is the credentials of one account, as its variables hold them: one of three
// ways is set.
type Login struct {
	AccessKey, SecretKey, SecurityToken string // AK/SK signing
	Token                               string // a ready token
	User, Password, Domain              string // IAM password
}

// loginVariable is a variable of a login, without the prefix of its account. Those of
// the account that there is without a file start with HW, as those of Huawei Cloud's
// Terraform provider do.
type loginVariable struct {
	name   string
	secret bool
	value  *string
}

func (l *Login) variables() []loginVariable {
	return []loginVariable{
		{"_ACCESS_KEY", true, &l.AccessKey}, {"_SECRET_KEY", true, &l.SecretKey}, {"_SECURITY_TOKEN", true, &l.SecurityToken},
		{"_AUTH_TOKEN", true, &l.Token},
		{"_USER_NAME", false, &l.User}, {"_USER_PASSWORD", true, &l.Password}, {"_DOMAIN_NAME", false, &l.Domain},
	}
}

// IsSet reports whether anything is set to authenticate with.
func (l *Login) IsSet() bool { return *l != Login{} }

// readLogin reads the variables that start with prefix. It returns what should not
// stay so, too; the error names all faults.
func readLogin(getenv func(string) string, prefix string) (l Login, warnings []string, err error) {
	for _, v := range l.variables() {
		if !v.secret {
			*v.value = strings.TrimSpace(bare(getenv(prefix + v.name)))
			continue
		}
		value, warning, fault := secretOf(getenv, prefix+v.name)
		*v.value, err = value, errors.Join(err, fault)
		if warning != "" {
			warnings = append(warnings, warning)
		}
	}
	return l, warnings, err
}

// loginFiles are the files that hold secrets of a prefix.
func loginFiles(getenv func(string) string, prefix string) (files []string) {
	var l Login
	for _, v := range l.variables() {
		if path := getenv(prefix + v.name + "_FILE"); v.secret && path != "" {
			files = append(files, path)
		}
	}
	return files
}

// ways names the variables of each way of authentication: AK/SK, token and password. set are those of which some are.
func (l *Login) ways(prefix string) (all, set []string) {
	all = []string{prefix + "_ACCESS_KEY and " + prefix + "_SECRET_KEY", prefix + "_AUTH_TOKEN",
		prefix + "_USER_NAME, " + prefix + "_USER_PASSWORD and " + prefix + "_DOMAIN_NAME"}
	for i, text := range []string{l.AccessKey + l.SecretKey + l.SecurityToken, l.Token, l.User + l.Password + l.Domain} {
		if text != "" {
			set = append(set, all[i])
		}
	}
	return all, set
}

// advice is what to check if the API refuses the credentials.
func (l *Login) advice(prefix string) string {
	_, set := l.ways(prefix)
	text := "check " + strings.Join(set, "; ")
	if l.AccessKey != "" {
		text += ": more than five refused calls in a row lock the key for five minutes"
	}
	return text
}

// credentials picks the one way of authentication that is set. Errors name the
// variables, which start with prefix, and the setting of IAM's endpoint.
func (l *Login) credentials(prefix, iamEndpoint, setting string, plainHTTP bool) (modelarts.Credentials, error) {
	all, ways := l.ways(prefix)
	switch {
	case len(ways) == 0:
		return nil, fmt.Errorf("no credentials: set %s", strings.Join(all, ", or "))
	case len(ways) > 1:
		return nil, fmt.Errorf("more than one way to authenticate is set (%s): leave one", strings.Join(ways, "; "))
	}
	missing := func(name, value string) error {
		if value != "" {
			return nil
		}
		return fmt.Errorf("%s is not set: %s go together", prefix+name, ways[0])
	}
	switch ways[0] {
	case all[0]:
		err := errors.Join(missing("_ACCESS_KEY", l.AccessKey), missing("_SECRET_KEY", l.SecretKey))
		return modelarts.NewAKSK(sdkhmac.Key{AccessKey: l.AccessKey, SecretKey: l.SecretKey}, l.SecurityToken), err
	case all[1]:
		return modelarts.NewToken(l.Token), nil
	}
	err := errors.Join(missing("_USER_NAME", l.User), missing("_USER_PASSWORD", l.Password), missing("_DOMAIN_NAME", l.Domain))
	if err != nil {
		return nil, err
	}
	creds, err := modelarts.NewPassword(modelarts.PasswordConfig{
		IAMEndpoint: iamEndpoint, User: l.User, Password: l.Password, Domain: l.Domain, AllowPlainHTTP: plainHTTP,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return creds, nil
}

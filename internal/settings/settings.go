// Package settings turns flags and environment variables into checked values.
// Every flag has a variable, flags win, secrets come from variables or files
// only, and all faults are reported at once, each by flag and variable name.
package settings

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"vizstop/internal/when"
)

// Set is the settings of one command. Its methods declare settings, each with
// the place to put its value; Load fills them all. A Set is not safe for
// concurrent use.
type Set struct {
	settings []*setting
	flags    []cli.Flag
	loaded   []func(getenv func(string) string)
	checks   []func() error
	outside  []func(getenv func(string) string) error
}

type setting struct {
	flag, env string // either may be empty
	value     string // the default, until Load
	parse     func(string) error
	secret    bool
	split     func(string) []string // into several values, empty ones too; nil for one value
	warning   string                // about how the value was given, once loaded
	given     bool                  // by flag or variable, once loaded
}

// standIn is what the checks take a bad setting for. Nothing else sees it: Load fails.
func (s *setting) standIn() string {
	if s.secret {
		return "unreadable" // it is not missing
	}
	return s.value
}

// name is how errors call a setting.
func (s *setting) name() string {
	switch {
	case s.flag == "":
		return s.env
	case s.env == "":
		return "--" + s.flag
	default:
		return "--" + s.flag + " (" + s.env + ")"
	}
}

func (s *Set) add(flag, env, def, usage string, parse func(string) error) {
	s.settings = append(s.settings, &setting{flag: flag, env: env, value: def, parse: parse})
	if env != "" {
		usage += " [$" + env + "]"
	}
	s.flags = append(s.flags, &cli.StringFlag{Name: flag, Usage: usage, DefaultText: def, HideDefault: def == ""})
}

// String declares a text setting. check may be nil.
func (s *Set) String(p *string, flag, env, def, usage string, check func(string) error) {
	s.add(flag, env, def, usage, func(v string) error {
		*p = v
		if check == nil {
			return nil
		}
		return check(v)
	})
}

// Strings declares a text setting of several values: by comma, and as a flag
// also given several times. check may be nil; it sees one value at a time.
func (s *Set) Strings(p *[]string, flag, env, usage string, check func(string) error) {
	if env != "" {
		usage += " [$" + env + "]"
	}
	s.addList(p, flag, env, usage, check, func(v string) []string {
		return strings.Split(strings.ReplaceAll(v, separator, ","), ",")
	})
}

// Repeated declares a text flag that may be given several times. Its values may
// hold commas.
func (s *Set) Repeated(p *[]string, flag, usage string, check func(string) error) {
	s.addList(p, flag, "", usage, check, func(v string) []string { return strings.Split(v, separator) })
}

func (s *Set) addList(p *[]string, flag, env, usage string, check func(string) error, split func(string) []string) {
	parse := func(v string) error {
		*p = nil
		for _, one := range split(v) {
			if one = strings.TrimSpace(one); one == "" {
				continue
			}
			if check != nil {
				if err := check(one); err != nil {
					return err
				}
			}
			*p = append(*p, one)
		}
		return nil
	}
	s.settings = append(s.settings, &setting{flag: flag, env: env, split: split, parse: parse})
	s.flags = append(s.flags, &cli.StringSliceFlag{Name: flag, Usage: usage, HideDefault: true})
}

// separator keeps the values of a repeated flag apart until they are parsed.
const separator = "\x00"

// OneOf declares a setting with a closed set of values.
func (s *Set) OneOf(p *string, flag, env, def, usage string, values ...string) {
	s.String(p, flag, env, def, usage, func(v string) error {
		for _, allowed := range values {
			if v == allowed {
				return nil
			}
		}
		return fmt.Errorf("%q is none of %s", v, strings.Join(values, ", "))
	})
}

// Duration declares a length of time such as 90s or 1h30m, from least to most.
func (s *Set) Duration(p *time.Duration, flag, env string, def time.Duration, usage string, least, most time.Duration) {
	s.add(flag, env, short(def), usage, func(v string) error {
		d, err := when.ParseDuration(v)
		if err != nil {
			return err
		}
		*p = d
		return within(d, least, most, short)
	})
}

// Int declares a whole number from least to most.
func (s *Set) Int(p *int, flag, env string, def int, usage string, least, most int) {
	s.add(flag, env, strconv.Itoa(def), usage, func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", v)
		}
		*p = n
		return within(n, least, most, strconv.Itoa)
	})
}

// Float declares a number from least to most.
func (s *Set) Float(p *float64, flag, env string, def float64, usage string, least, most float64) {
	format := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	s.add(flag, env, format(def), usage, func(v string) error {
		f, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", v)
		}
		*p = f
		return within(f, least, most, format)
	})
}

// Bool declares a switch that is off unless set. Its variable takes true and
// false.
func (s *Set) Bool(p *bool, flag, env, usage string) {
	if env != "" {
		usage += " [$" + env + "]"
	}
	s.settings = append(s.settings, &setting{flag: flag, env: env, value: "false", parse: func(v string) (err error) {
		if *p, err = strconv.ParseBool(v); err != nil {
			return fmt.Errorf("%q is neither true nor false", v)
		}
		return nil
	}})
	s.flags = append(s.flags, &cli.BoolFlag{Name: flag, Usage: usage, HideDefault: true})
}

// Secret declares a variable without a flag. Its value may also stand in the
// file that the variable of the same name with _FILE names, of at most 64 KiB.
// A byte order mark before it and the line end after it are not part of it. More
// than one line, control characters and nothing but blanks are refused.
func (s *Set) Secret(p *string, env string) {
	s.settings = append(s.settings, &setting{env: env, secret: true, parse: func(v string) error {
		*p = v
		return nil
	}})
}

// Variable declares a plain variable without a flag.
func (s *Set) Variable(p *string, env string) {
	s.settings = append(s.settings, &setting{env: env, parse: func(v string) error {
		*p = v
		return nil
	}})
}

// Loaded has f know the environment once the settings have their values, before the
// checks: for variables whose names are not known in advance.
func (s *Set) Loaded(f func(getenv func(string) string)) { s.loaded = append(s.loaded, f) }

// Check adds a check of several settings together. A setting that is bad by
// itself has its default then; a bad secret has some text, since it is not missing.
func (s *Set) Check(f func() error) { s.checks = append(s.checks, f) }

// CheckVariables adds a check of variables that are no settings: a library reads them itself, and passes over bad ones
// without a word.
func (s *Set) CheckVariables(f func(getenv func(string) string) error) {
	s.outside = append(s.outside, f)
}

// Flags are the flags of all settings, in the order of their declaration.
func (s *Set) Flags() []cli.Flag { return s.flags }

// Variables lists, for a help text, the variables that have no flag.
func (s *Set) Variables() string {
	var b strings.Builder
	for _, one := range s.settings {
		switch {
		case one.flag != "":
		case one.secret:
			fmt.Fprintf(&b, "  %s, or %s_FILE\n", one.env, one.env)
		default:
			fmt.Fprintf(&b, "  %s\n", one.env)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "variables that have no flag; those with _FILE name a file that holds the value:\n\n" + b.String()
}

// Load fills every setting from cmd's flags and getenv, and checks it. A flag that
// is given with an empty value is a fault. The error names all faults, one a line.
func (s *Set) Load(cmd *cli.Command, getenv func(string) string) error {
	var faults []error
	for _, one := range s.settings {
		if one.empty(cmd) {
			faults = append(faults, fmt.Errorf("--%s is empty: give a value, or leave the flag out", one.flag))
			_ = one.parse(one.value)
			continue
		}
		if err := one.load(cmd, getenv); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", one.name(), err))
			_ = one.parse(one.standIn())
		}
	}
	for _, f := range s.loaded {
		f(getenv)
	}
	for _, check := range s.checks {
		if err := check(); err != nil {
			faults = append(faults, err)
		}
	}
	for _, check := range s.outside {
		if err := check(getenv); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// Given reports whether somebody has given the setting of that flag, by the flag or its
// variable, rather than left it at its default. It is known after Load.
func (s *Set) Given(flag string) bool {
	return slices.ContainsFunc(s.settings, func(one *setting) bool { return one.flag == flag && one.given })
}

// Warnings are what is right but should not stay so, one a line: a file with a
// secret that every user of the machine may read. They are known after Load.
func (s *Set) Warnings() []string {
	var all []string
	for _, one := range s.settings {
		if one.warning != "" {
			all = append(all, one.warning)
		}
	}
	return all
}

func (s *setting) load(cmd *cli.Command, getenv func(string) string) error {
	value := s.value
	if s.env != "" {
		v, err := s.fromEnv(getenv)
		if err != nil {
			return err
		}
		if v != "" {
			value, s.given = v, true
		}
	}
	if s.flag != "" && cmd.IsSet(s.flag) {
		s.given = true
		value = s.fromFlag(cmd)
	}
	return s.parse(value)
}

// empty reports whether the flag was given on the command line without a value, or with several of which one is empty.
// A variable that is empty is as good as none, but a flag is meant: its value was an unset variable of a shell.
// Without it a rule would stop more jobs, and a brake would be one for everything.
func (s *setting) empty(cmd *cli.Command) bool {
	if s.flag == "" || !cmd.IsSet(s.flag) {
		return false
	}
	values := []string{s.fromFlag(cmd)}
	if s.split != nil {
		values = s.split(values[0])
	}
	return slices.ContainsFunc(values, func(v string) bool { return strings.TrimSpace(v) == "" })
}

// fromFlag is the value of a flag that is set; several values are kept apart by separator.
func (s *setting) fromFlag(cmd *cli.Command) string {
	if s.split != nil {
		return strings.Join(cmd.StringSlice(s.flag), separator)
	}
	return fmt.Sprint(cmd.Value(s.flag))
}

func (s *setting) fromEnv(getenv func(string) string) (string, error) {
	if s.secret {
		value, warning, err := secretOf(getenv, s.env)
		s.warning = warning
		return value, err
	}
	return strings.TrimSpace(bare(getenv(s.env))), nil
}

func within[T int | float64 | time.Duration](v, least, most T, format func(T) string) error {
	if !(v >= least && v <= most) { // NaN is neither less nor more
		return fmt.Errorf("%s is not between %s and %s", format(v), format(least), format(most))
	}
	return nil
}

// short writes 1h0m0s as 1h.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

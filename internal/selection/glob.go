package selection

import (
	"fmt"
	"path"
	"strings"
	"unicode"
)

// CheckGlob finds what is wrong with a glob for names. Every id is a glob too.
func CheckGlob(glob string) error {
	if fault := globFault(glob); fault != "" {
		return fmt.Errorf("%.80q %s", glob, fault)
	}
	return nil
}

// globFault says what is wrong with a glob without showing it; "": nothing is.
func globFault(glob string) string {
	if glob == "" {
		return "is an empty glob, which matches no name"
	}
	for _, c := range glob {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune(`_-.*?[]^\`, c) {
			return fmt.Sprintf("can match no name, as %q is in none: a glob is made of letters, digits, _, -, ., *, ?, [a-z], [^a-z]", c)
		}
	}
	if _, err := path.Match(glob, ""); err != nil {
		return "is not a glob such as nightly-* or run-[0-9]?: is a bracket open or empty?"
	}
	return ""
}

// match says whether a checked glob matches a name. path.Match stops a * at a
// slash; here no name may escape one, so a slash becomes a character that only
// wildcards match.
func match(glob, name string) bool {
	ok, err := path.Match(glob, strings.ReplaceAll(name, "/", "\x00"))
	return err == nil && ok
}

// isGlob says whether an entry that passed CheckGlob has a wildcard.
func isGlob(entry string) bool { return strings.ContainsAny(entry, `*?[\`) }

// matcher finds ids and names among entries which are ids or globs.
type matcher struct {
	plain map[string]bool // ids, and names without a wildcard
	globs []string
}

// newMatcher takes entries that passed CheckGlob.
func newMatcher(entries ...string) *matcher {
	m := &matcher{plain: make(map[string]bool)}
	for _, entry := range entries {
		m.add(entry)
	}
	return m
}

func (m *matcher) add(entry string) {
	if isGlob(entry) {
		m.globs = append(m.globs, entry)
		return
	}
	m.plain[entry] = true
}

// matches says whether an entry is the id or the name, or a glob for the name.
func (m *matcher) matches(id, name string) bool {
	if m.plain[id] || m.plain[name] {
		return true
	}
	for _, glob := range m.globs {
		if match(glob, name) {
			return true
		}
	}
	return false
}

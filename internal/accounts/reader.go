package accounts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// reader goes through a file and notes every fault.
type reader struct {
	name   string
	lines  []string
	faults []Fault
}

// document is the file's one document; nil if it has none that can be read.
func (r *reader) document(data []byte) *yaml.Node {
	if !r.isText(data) {
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		r.fault(1, 1, "%v", err)
		return nil
	}
	var doc, second yaml.Node
	switch err := loader.Load(&doc); {
	case err == io.EOF || err == nil && len(doc.Content) == 0:
		r.fault(1, 1, "the file is empty: write a list of accounts, below \"accounts:\"")
		return nil
	case err != nil:
		r.syntax(err)
		return nil
	}
	switch err := loader.Load(&second); {
	case err == nil:
		r.fault(second.Line, second.Column, "a second document begins here: write all accounts into one list, and take this line out")
	case err != io.EOF:
		r.syntax(err)
	}
	return doc.Content[0]
}

// isText checks what the library could not tell the place of.
func (r *reader) isText(data []byte) bool {
	for _, mark := range []string{"\ufeff", "\xff\xfe", "\xfe\xff"} {
		if bytes.HasPrefix(data, []byte(mark)) {
			r.fault(1, 1, "the file starts with a byte order mark: save it as UTF-8 without one")
			return false
		}
	}
	line, column := 1, 1
	for i := 0; i < len(data); column++ {
		c, size := utf8.DecodeRune(data[i:])
		next := byte(0)
		if i+size < len(data) {
			next = data[i+size]
		}
		switch {
		case c == utf8.RuneError && size == 1:
			r.fault(line, column, "this byte is not UTF-8: save the file as UTF-8")
			return false
		case c == '\n':
			line, column = line+1, 0
		case c == '\r' && next == '\n', c == '\t':
		case c < ' ', c >= 0x7f && c < 0xa0, c == '\u2028', c == '\u2029', c == '\ufeff':
			r.fault(line, column, "the character U+%04X does not belong into the file: take it out", c)
			return false
		}
		i += size
	}
	return true
}

// syntax notes what the library says.
func (r *reader) syntax(err error) {
	e, ok := errors.AsType[*yaml.LoadError](err)
	switch {
	case !ok:
		r.fault(1, 1, "this is not YAML: %v", err)
	case e.Stage == yaml.ComposerStage: // it names the alias, which may be a password that starts with a star
		r.fault(e.Mark.Line, e.Mark.Column, "%s", noAlias)
	default:
		r.fault(e.Mark.Line, e.Mark.Column, "this is not YAML: %s", e.Message)
	}
}

const noAlias = `anchors (&name) and aliases (*name) are not read here: write the value out; text that starts with & or * goes in quotes`

// plainly reports whether n is there and has neither anchor, alias nor tag.
func (r *reader) plainly(n *yaml.Node) bool {
	switch {
	case n == nil:
		return false
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.fault(n.Line, n.Column, noAlias)
		return false
	case n.Style&yaml.TaggedStyle != 0:
		r.fault(n.Line, n.Column, "tags (!name) are not read here: write the bare value; text that starts with ! goes in quotes")
		return false
	}
	return true
}

// fields are the values of a mapping's fields by name. A field of another name,
// one that stands twice, and a required one that is missing are faults.
func (r *reader) fields(n *yaml.Node, what string, required, optional []string) map[string]*yaml.Node {
	if !r.plainly(n) {
		return nil
	}
	known := slices.Concat(required, optional)
	if n.Kind != yaml.MappingNode {
		r.fault(n.Line, n.Column, "%s is written as fields with values: write %s", what, list(known))
		return nil
	}
	found, keys := map[string]*yaml.Node{}, map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		first := keys[key.Value]
		switch {
		case !r.plainly(key):
		case key.Kind != yaml.ScalarNode:
			r.fault(key.Line, key.Column, "a field's name is one word: write %s", list(known))
		case first != nil:
			r.fault(key.Line, key.Column, "%s stands here twice, first in line %d: leave one", quoted(key.Value), first.Line)
		case slices.Contains(known, key.Value):
			found[key.Value], keys[key.Value] = value, key
		case secretField.MatchString(key.Value + ":"):
			r.fault(key.Line, key.Column, "a secret never stands in this file: %s", whereSecretsGo)
		default:
			r.fault(key.Line, key.Column, "%s has no field %s: write %s", what, quoted(key.Value), list(known))
		}
	}
	missing := slices.DeleteFunc(slices.Clone(required), func(name string) bool { return found[name] != nil })
	if len(missing) > 0 {
		r.fault(n.Line, n.Column, "%s needs %s: add it", what, strings.Join(missing, ", "))
	}
	return found
}

const whereSecretsGo = `write "credentials: {prefix: TEAM_A}", and put it into a variable such as TEAM_A_SECRET_KEY, or into a file that TEAM_A_SECRET_KEY_FILE names; ` +
	`if others could read this file, replace the secret`

func list(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// items are the elements of a list; example is one.
func (r *reader) items(n *yaml.Node, what, example string) []*yaml.Node {
	switch {
	case !r.plainly(n):
		return nil
	case n.Kind != yaml.SequenceNode:
		r.fault(n.Line, n.Column, "%s is a list: write each on a line of its own, such as \"%s\"", what, example)
	case len(n.Content) == 0:
		r.fault(n.Line, n.Column, "%s is empty: write at least one, such as \"%s\"", what, example)
	}
	if n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// scalar is a single value of one of the types; want says what to write.
func (r *reader) scalar(n *yaml.Node, want string, types ...string) (string, bool) {
	switch {
	case !r.plainly(n):
		return "", false
	case n.Kind != yaml.ScalarNode:
		r.fault(n.Line, n.Column, "this is a single value: write %s", want)
	case looksSecret(n.Value):
		r.fault(n.Line, n.Column, "this looks like a secret, which never stands in this file: %s", whereSecretsGo)
	case n.Tag == "!!null":
		r.fault(n.Line, n.Column, "there is no value: write %s", want)
	case slices.Contains(types, n.Tag):
		return n.Value, true
	case types[0] == "!!str":
		r.fault(n.Line, n.Column, "YAML reads %s as another type than text: put it in quotes, or write %s", quoted(n.Value), want)
	default:
		r.fault(n.Line, n.Column, "%s is not valid: write %s", quoted(n.Value), want)
	}
	return "", false
}

// Form is what a text has to look like.
type Form struct {
	pattern *regexp.Regexp
	want    string
}

// Check says what is wrong with a value; nil if nothing is.
func (f Form) Check(value string) error {
	if f.pattern.MatchString(value) {
		return nil
	}
	return fmt.Errorf("%s is not valid: write %s", quoted(value), f.want)
}

// text is a text of one form; empty if it is none or not there.
func (r *reader) text(n *yaml.Node, f Form) string {
	value, ok := r.scalar(n, f.want, "!!str")
	if !ok {
		return ""
	}
	if err := f.Check(value); err != nil {
		r.fault(n.Line, n.Column, "%v", err)
		return ""
	}
	return value
}

// oneOf changes *p to the value, if there is one.
func (r *reader) oneOf(n *yaml.Node, p *Generation, values ...Generation) {
	var words []string
	for _, v := range values {
		words = append(words, string(v))
	}
	value, ok := r.scalar(n, list(words), "!!str")
	switch {
	case !ok:
	case slices.Contains(words, value):
		*p = Generation(value)
	default:
		r.fault(n.Line, n.Column, "%s is not valid: write %s", quoted(value), list(words))
	}
}

// number changes *p to the value, if there is one.
func (r *reader) number(n *yaml.Node, p *float64, most float64, want string) {
	value, ok := r.scalar(n, want, "!!int", "!!float")
	if !ok {
		return
	}
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || !(v >= 0 && v <= most) {
		r.fault(n.Line, n.Column, "%s is not valid: write %s", quoted(value), want)
		return
	}
	*p = v
}

// truth changes *p to the value, if there is one.
func (r *reader) truth(n *yaml.Node, p *bool) {
	if value, ok := r.scalar(n, "true or false", "!!bool"); ok {
		*p = strings.EqualFold(value, "true")
	}
}

// duration changes *p to the value, if there is one.
func (r *reader) duration(n *yaml.Node, p *time.Duration, least, most time.Duration, want string) {
	value, ok := r.scalar(n, want, "!!str")
	if !ok {
		return
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < least || d > most || d%time.Second != 0 {
		r.fault(n.Line, n.Column, "%s is not valid: write %s", quoted(value), want)
		return
	}
	*p = d
}

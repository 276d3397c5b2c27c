// Package yamlfile reads files that people write in YAML, strictly: whatever is not
// known is a fault, every fault has its place and says what to write, and no secret
// is shown.
package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"vizstop/internal/plain"
)

// MaxBytes is how long a file may be.
const MaxBytes = 1 << 20

// Words are what faults say about one kind of file.
type Words struct {
	Empty   string // what to write into an empty file
	Second  string // what to do with a second document
	Secrets string // where secrets go, as none stands in the file
}

// Reader goes through a file and notes every fault. It is for one goroutine.
type Reader struct {
	words  Words
	name   string
	lines  []string
	faults []Fault
}

// New returns a reader of a file that faults call name.
func New(name string, words Words) *Reader {
	return &Reader{words: words, name: plain.Line(name, maxPlain)}
}

// Load reads the file at path, which must be a regular file, of at most one byte more
// than MaxBytes.
func Load(path string) ([]byte, error) {
	switch info, err := os.Stat(path); {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // opening a pipe would wait for its writer, and the file is read more than once
		return nil, fmt.Errorf("%s is not a regular file: put one there", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxBytes+1))
}

// Document is the file's one document; nil if it has none that can be read.
func (r *Reader) Document(data []byte) *yaml.Node {
	if len(data) > MaxBytes {
		r.Fault(1, 1, "the file is longer than %d bytes: is it the right one?", MaxBytes)
		return nil
	}
	r.lines = strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")
	if !r.isText(data) {
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		r.Fault(1, 1, "%v", err)
		return nil
	}
	var doc, second yaml.Node
	switch err := loader.Load(&doc); {
	case err == io.EOF || err == nil && len(doc.Content) == 0:
		r.Fault(1, 1, "the file is empty: %s", r.words.Empty)
		return nil
	case err != nil:
		r.syntax(err)
		return nil
	}
	switch err := loader.Load(&second); {
	case err == nil:
		r.Fault(second.Line, second.Column, "a second document begins here: %s, and take this line out", r.words.Second)
	case err != io.EOF:
		r.syntax(err)
	}
	return doc.Content[0]
}

// isText checks what the library could not tell the place of.
func (r *Reader) isText(data []byte) bool {
	for _, mark := range []string{"\ufeff", "\xff\xfe", "\xfe\xff"} {
		if bytes.HasPrefix(data, []byte(mark)) {
			r.Fault(1, 1, "the file starts with a byte order mark: save it as UTF-8 without one")
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
			r.Fault(line, column, "this byte is not UTF-8: save the file as UTF-8")
			return false
		case c == '\n':
			line, column = line+1, 0
		case c == '\r' && next == '\n', c == '\t':
		case c < ' ', c >= 0x7f && c < 0xa0, c == '\u2028', c == '\u2029', c == '\ufeff':
			r.Fault(line, column, "the character U+%04X does not belong into the file: take it out", c)
			return false
		}
		i += size
	}
	return true
}

// syntax notes what the library says.
func (r *Reader) syntax(err error) {
	e, ok := errors.AsType[*yaml.LoadError](err)
	switch {
	case !ok:
		r.Fault(1, 1, "this is not YAML: %v", err)
	case e.Stage == yaml.ComposerStage: // it names the alias, which may be a password that starts with a star
		r.Fault(e.Mark.Line, e.Mark.Column, "%s", noAlias)
	default:
		r.Fault(e.Mark.Line, e.Mark.Column, "this is not YAML: %s", e.Message)
	}
}

const noAlias = `anchors (&name) and aliases (*name) are not read here: write the value out; text that starts with & or * goes in quotes`

// plainly reports whether n is there and has neither anchor, alias nor tag.
func (r *Reader) plainly(n *yaml.Node) bool {
	switch {
	case n == nil:
		return false
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.Fault(n.Line, n.Column, noAlias)
		return false
	case n.Style&yaml.TaggedStyle != 0:
		r.Fault(n.Line, n.Column, "tags (!name) are not read here: write the bare value; text that starts with ! goes in quotes")
		return false
	}
	return true
}

// Fields are the values of a mapping's fields by name. A field of another name,
// one that stands twice, and a required one that is missing are faults.
func (r *Reader) Fields(n *yaml.Node, what string, required, optional []string) map[string]*yaml.Node {
	if !r.plainly(n) {
		return nil
	}
	known := slices.Concat(required, optional)
	if n.Kind != yaml.MappingNode {
		r.Fault(n.Line, n.Column, "%s is written as fields with values: write %s", what, List(known))
		return nil
	}
	found, keys := map[string]*yaml.Node{}, map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		first := keys[key.Value]
		switch {
		case !r.plainly(key):
		case key.Kind != yaml.ScalarNode:
			r.Fault(key.Line, key.Column, "a field's name is one word: write %s", List(known))
		case first != nil:
			r.Fault(key.Line, key.Column, "%s stands here twice, first in line %d: leave one", Quoted(key.Value), first.Line)
		case slices.Contains(known, key.Value):
			found[key.Value], keys[key.Value] = value, key
		case secretField.MatchString(key.Value + ":"):
			r.Fault(key.Line, key.Column, "a secret never stands in this file: %s", r.words.Secrets)
		default:
			r.Fault(key.Line, key.Column, "%s has no field %s: write %s", what, Quoted(key.Value), List(known))
		}
	}
	missing := slices.DeleteFunc(slices.Clone(required), func(name string) bool { return found[name] != nil })
	if len(missing) > 0 {
		r.Fault(n.Line, n.Column, "%s needs %s: add it", what, strings.Join(missing, ", "))
	}
	return found
}

// List is names for people: "a, b or c". There is at least one.
func List(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// Items are the elements of a list; example is one.
func (r *Reader) Items(n *yaml.Node, what, example string) []*yaml.Node {
	switch {
	case !r.plainly(n):
		return nil
	case n.Kind != yaml.SequenceNode:
		r.Fault(n.Line, n.Column, "%s is a list: write each on a line of its own, such as \"%s\"", what, example)
	case len(n.Content) == 0:
		r.Fault(n.Line, n.Column, "%s is empty: write at least one, such as \"%s\"", what, example)
	}
	if n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// Scalar is a single value of one of the types; want says what to write.
func (r *Reader) Scalar(n *yaml.Node, want string, types ...string) (string, bool) {
	switch {
	case !r.plainly(n):
		return "", false
	case n.Kind != yaml.ScalarNode:
		r.Fault(n.Line, n.Column, "this is a single value: write %s", want)
	case looksSecret(n.Value):
		r.Fault(n.Line, n.Column, "this looks like a secret, which never stands in this file: %s", r.words.Secrets)
	case n.Tag == "!!null":
		r.Fault(n.Line, n.Column, "there is no value: write %s", want)
	case slices.Contains(types, n.Tag):
		return n.Value, true
	case types[0] == "!!str":
		r.Fault(n.Line, n.Column, "YAML reads %s as another type than text: put it in quotes, or write %s", Quoted(n.Value), want)
	default:
		r.Fault(n.Line, n.Column, "%s is not valid: write %s", Quoted(n.Value), want)
	}
	return "", false
}

// Form is what a text has to look like.
type Form struct {
	fits func(string) bool
	want string
}

// Matching is the form of texts that match a pattern; want says what to write. The
// pattern is compiled when it is first used, which panics if it is not valid: no start
// of a program waits for it. A class of Unicode that is repeated, such as
// [^\pC]{1,100}, takes 20 ms and 6 MB; see Line.
func Matching(pattern, want string) Form {
	compiled := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
	return Form{func(value string) bool { return compiled().MatchString(value) }, want}
}

// Line is the form of texts of 1 to most characters, all of which are seen: none is
// in Unicode's category C.
func Line(most int, want string) Form {
	return Form{func(value string) bool {
		return value != "" && utf8.RuneCountInString(value) <= most && !strings.ContainsFunc(value, unseen)
	}, want}
}

// Name is like Line, and the first character is not white space.
func Name(most int, want string) Form {
	line := Line(most, want)
	return Form{func(value string) bool {
		first, _ := utf8.DecodeRuneInString(value)
		return line.fits(value) && !unicode.In(first, unicode.Z)
	}, want}
}

func unseen(r rune) bool { return unicode.Is(unicode.C, r) }

// Check says what is wrong with a value; nil if nothing is.
func (f Form) Check(value string) error {
	if f.fits(value) {
		return nil
	}
	return fmt.Errorf("%s is not valid: write %s", Quoted(value), f.want)
}

// Text is a text of one form; empty if it is none or not there.
func (r *Reader) Text(n *yaml.Node, f Form) string {
	value, ok := r.Scalar(n, f.want, "!!str")
	if !ok {
		return ""
	}
	if err := f.Check(value); err != nil {
		r.Fault(n.Line, n.Column, "%v", err)
		return ""
	}
	return value
}

// OneOf is a value of a closed set; empty if it is none or not there.
func (r *Reader) OneOf(n *yaml.Node, values ...string) string {
	value, ok := r.Scalar(n, List(values), "!!str")
	switch {
	case !ok:
	case slices.Contains(values, value):
		return value
	default:
		r.Fault(n.Line, n.Column, "%s is not valid: write %s", Quoted(value), List(values))
	}
	return ""
}

// Whole changes *p to the value, if there is one.
func (r *Reader) Whole(n *yaml.Node, p *int, least, most int, want string) {
	value, ok := r.Scalar(n, want, "!!int")
	if !ok {
		return
	}
	v, err := strconv.Atoi(value)
	if err != nil || v < least || v > most {
		r.Fault(n.Line, n.Column, "%s is not valid: write %s", Quoted(value), want)
		return
	}
	*p = v
}

// Number changes *p to the value, if there is one.
func (r *Reader) Number(n *yaml.Node, p *float64, least, most float64, want string) {
	value, ok := r.Scalar(n, want, "!!int", "!!float")
	if !ok {
		return
	}
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || !(v >= least && v <= most) {
		r.Fault(n.Line, n.Column, "%s is not valid: write %s", Quoted(value), want)
		return
	}
	*p = v
}

// Truth changes *p to the value, if there is one.
func (r *Reader) Truth(n *yaml.Node, p *bool) {
	if value, ok := r.Scalar(n, "true or false", "!!bool"); ok {
		*p = strings.EqualFold(value, "true")
	}
}

// Duration changes *p to the value, if there is one.
func (r *Reader) Duration(n *yaml.Node, p *time.Duration, least, most time.Duration, want string) {
	value, ok := r.Scalar(n, want, "!!str")
	if !ok {
		return
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < least || d > most || d%time.Second != 0 {
		r.Fault(n.Line, n.Column, "%s is not valid: write %s", Quoted(value), want)
		return
	}
	*p = d
}

package yamlfile

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"vizstop/internal/plain"
)

// maxTold is how many faults an error's text tells; a file may have thousands.
const maxTold = 20

// Error is all that is wrong with a file.
type Error struct {
	File   string
	Faults []Fault // by line and column; at least one
}

// Fault is one thing that is wrong. Its texts show no secret.
type Fault struct {
	Line, Column int    // from 1, the column in characters
	Text         string // what is wrong, and what to write
	Source       string // of the first 20: the line, or what fits of it, and below it a mark at the column
}

// Error names each fault on a line of its own, followed by the source line and a
// mark below the place.
func (e *Error) Error() string {
	var b strings.Builder
	for i, f := range e.Faults {
		if i == maxTold {
			fmt.Fprintf(&b, "\n%s: %d more faults", e.File, len(e.Faults)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s:%d:%d: %s\n%s", e.File, f.Line, f.Column, f.Text, f.Source)
	}
	return b.String()
}

// Fault notes what is wrong at a place.
func (r *Reader) Fault(line, column int, format string, args ...any) {
	line, column = max(line, 1), max(column, 1)
	r.faults = append(r.faults, Fault{Line: line, Column: column, Text: fmt.Sprintf(format, args...)})
}

// Failed is the error of what was noted; nil if nothing was.
func (r *Reader) Failed() error {
	if len(r.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(r.faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	shown := map[int][]rune{}
	for i := range r.faults[:min(len(r.faults), maxTold)] {
		f := &r.faults[i]
		if shown[f.Line] == nil && f.Line <= len(r.lines) {
			shown[f.Line] = []rune(masked(strings.ReplaceAll(r.lines[f.Line-1], "\t", " ")))
		}
		f.Source = source(shown[f.Line], f.Line, f.Column)
	}
	return &Error{r.name, r.faults}
}

// How much of a source line is shown, in characters.
const (
	maxSource = 100
	maxBefore = 60 // of them before the place
)

// source is a line with a mark below the place. Programs show it by plain.Lines, which
// leaves of several spaces one: so the line has no more than that, and what leads to the
// mark is drawn.
func source(text []rune, line, column int) string {
	at, from := min(column-1, len(text)), 0
	if len(text) > maxSource {
		from = max(0, at-maxBefore)
	}
	before, after := string(text[from:at]), string(text[at:min(len(text), from+maxSource)])
	lead := strings.Join(strings.Fields(before), " ")
	if lead != "" && strings.TrimRight(before, " ") != before {
		lead += " "
	}
	number := fmt.Sprintf("%6d |", line)
	shown := strings.TrimRight(number+" "+lead+strings.Join(strings.Fields(after), " "), " ")
	return shown + "\n" + strings.Repeat(" ", len(number)-1) + "| " + strings.Repeat("-", columns(lead)) + "^"
}

// columns is how many columns of a terminal a text takes: characters of East Asia two,
// and marks that join what is before them none.
func columns(text string) (n int) {
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul), r >= 0xff01 && r <= 0xff60, r >= 0x3000 && r <= 0x303e:
			n += 2
		default:
			n++
		}
	}
	return n
}

// secretField finds the value of a field whose name sounds like a secret's.
var secretField = regexp.MustCompile(`(?i)(?:(?:secret|password|passwd|token|(?:access|api|private)[-_ ]?key)[\w-]*|\b[as]k(?:[-_][\w-]*)?)["']?\s*[:=]\s*(.*)`)

// hidden finds other places where people write secrets: right behind
// "credentials:", in a URL, and behind a character that YAML takes for its own, if it
// has six characters: an anchor, or a set of a glob, is shorter than a password.
var hidden = regexp.MustCompile(`credentials["']?\s*:\s*([^\s{].*)|://([^/\s"']*)@|(?:^|[\s\[{,:])[*&!](\S{6,})`)

// consoleToken finds tokens of our own console.
var consoleToken = regexp.MustCompile(`(vst_[A-Za-z0-9]{16,})`)

// secretWord finds a word that is long enough to be a secret.
var secretWord = regexp.MustCompile(`[A-Za-z0-9+/=_-]{20,}`)

// masked is a line with stars in place of what may be a secret.
func masked(line string) string {
	for _, pattern := range []*regexp.Regexp{secretField, hidden, consoleToken} {
		for _, m := range pattern.FindAllStringSubmatchIndex(line, -1) {
			for i := 2; i < len(m); i += 2 {
				if m[i] >= 0 {
					line = line[:m[i]] + stars(line[m[i]:m[i+1]]) + line[m[i+1]:]
				}
			}
		}
	}
	return secretWord.ReplaceAllStringFunc(line, func(word string) string {
		if looksSecret(word) {
			return stars(word)
		}
		return word
	})
}

// stars has the length of s in bytes: places behind it stay where they are.
func stars(s string) string { return strings.Repeat("*", len(s)) }

// The shapes of Huawei Cloud's secrets: access keys have 20 capitals and digits,
// secret keys 40 characters of all sorts, tokens hundreds.
var (
	accessKeyShape = regexp.MustCompile(`^[A-Z0-9]{20}$`)
	secretKeyShape = regexp.MustCompile(`^[A-Za-z0-9+/=]{40,}$`)
)

const (
	digits   = "0123456789"
	capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	maxPlain = 200 // no value of the file needs more characters
)

// looksSecret reports whether a value has the shape of a secret.
func looksSecret(value string) bool {
	switch {
	case consoleToken.MatchString(value):
		return true
	case accessKeyShape.MatchString(value), secretKeyShape.MatchString(value):
		return strings.ContainsAny(value, digits) && strings.ContainsAny(value, capitals)
	}
	return len(value) > maxPlain && !strings.ContainsAny(value, " \n")
}

// Quoted is a value as errors show it.
func Quoted(value string) string { return fmt.Sprintf("%q", plain.Line(masked(value), 64)) }

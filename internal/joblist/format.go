package joblist

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Formats are the values of Options.Format.
func Formats() []string { return []string{formatAuto, formatIDs, formatCSV, formatJSONLines} }

const (
	formatAuto      = "auto"
	formatIDs       = "ids"
	formatCSV       = "csv"
	formatJSONLines = "jsonl"
)

// parser reads one line that is not blank. An error that is not fatal is about
// this line only.
type parser func(line string) (record, error)

// fatal is a fault after which the rest of a list can't be trusted.
type fatal string

func (f fatal) Error() string { return string(f) }

func isFatal(err error) bool {
	_, ok := errors.AsType[fatal](err)
	return ok
}

// open finds out the format, and reads the header if there is one.
func (l *list) open() error {
	format := l.opts.Format
	if format == "" {
		format = formatAuto
	}
	if !slices.Contains(Formats(), format) {
		return fmt.Errorf("%.40q is none of the formats %s", format, strings.Join(Formats(), ", "))
	}
	first, err := l.next()
	if err == io.EOF {
		return nil // no line will ask for the parser
	}
	if err != nil {
		return err
	}
	comma, err := l.separator(&first)
	if err == io.EOF {
		return nil
	}
	if err == nil {
		if format == formatAuto {
			format = detect(first, comma)
		}
		err = l.choose(format, first, cmp.Or(comma, commaOf(first), ','))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", l.lines.place(), err)
	}
	return nil
}

// separator is what a first line such as "sep=;" says; first is then the line after it. Without such a line it is 0.
func (l *list) separator(first *string) (comma rune, err error) {
	said, ok := separatorIn(*first)
	if !ok {
		return 0, nil
	}
	if !separates(said) {
		return 0, fmt.Errorf("%.40q names a separator that is neither , nor ;", *first)
	}
	*first, err = l.next()
	return rune(said[0]), err
}

// separatorIn is what stands after sep= in a line such as "sep=;", which spreadsheets write for each other.
func separatorIn(line string) (said string, ok bool) {
	const sep = "sep="
	line = strings.Trim(line, `"`)
	if len(line) < len(sep) || !strings.EqualFold(line[:len(sep)], sep) {
		return "", false
	}
	return line[len(sep):], true
}

// separates reports whether values may be separated by what was said.
func separates(said string) bool { return len(said) == 1 && strings.Contains(commas, said) }

func (l *list) choose(format, first string, comma rune) error {
	switch format {
	case formatCSV:
		c, err := newCSV(first, comma)
		if err != nil {
			return err
		}
		if c.project < 0 && l.opts.Project == "" {
			return fmt.Errorf("there is no column %s, so the project of all jobs must be given", projectKey)
		}
		l.parse, l.hashes = c.parse, c.hashes
		return nil
	case formatJSONLines:
		if strings.HasPrefix(first, "[") {
			return fatal("begins with [, but one object a line is expected (jq -c '.[]' makes lines of an array)")
		}
		l.parse = parseJSON
	default:
		if _, err := parseID(first); isFatal(err) { // that it is no id says more than that its project is missing
			return err
		}
		if l.opts.Project == "" {
			return fatal("ids alone name no project, so the project of all jobs must be given")
		}
		l.parse = parseID
	}
	l.first = first
	return nil
}

// detect tells the formats apart by the first line, and by the separator that was named before it.
func detect(first string, comma rune) string {
	switch {
	case first[0] == '{' || first[0] == '[':
		return formatJSONLines
	case comma != 0 || commaOf(first) != 0 || slices.ContainsFunc(strings.Split(first, "\t"), func(s string) bool { return keyOf(s) == jobKey }):
		return formatCSV
	}
	return formatIDs
}

// oneIDALine is what to do about a list of ids that is none.
const oneIDALine = "one job id a line is expected, or a CSV with a column " + jobKey

// errSeveral is why a line of several ids names none.
var errSeveral = errors.New("holds several values: " + oneIDALine)

// parseID reads one id and maybe a comment. No id holds a #.
func parseID(line string) (record, error) {
	id, _, _ := strings.Cut(line, "#")
	id = strings.TrimSpace(id)
	said, ok := separatorIn(id)
	switch name := strings.Trim(id, `"`); {
	case namesIDs(name), ok && separates(said):
		return record{}, errHeader
	case namesOther(name):
		return record{}, otherColumn(name)
	case strings.ContainsAny(id, commas+"\t") && !strings.HasPrefix(id, "{"): // not an object of JSON lines
		return record{}, errSeveral
	}
	return record{job: id}, nil
}

// otherColumn is the fatal error of the name of a column of something else: what follows could look like ids, and be
// those of projects.
func otherColumn(name string) error {
	return fatal(fmt.Sprintf("%.40q is the name of a column, but not of job ids: %s", name, oneIDALine))
}

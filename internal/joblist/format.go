package joblist

import (
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
	if format == formatAuto {
		format = detect(first)
	}
	if err := l.choose(format, first); err != nil {
		return fmt.Errorf("%s: %w", l.lines.place(), err)
	}
	return nil
}

func (l *list) choose(format, first string) error {
	switch format {
	case formatCSV:
		c, err := newCSV(first)
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
		if l.opts.Project == "" {
			return fatal("ids alone name no project, so the project of all jobs must be given")
		}
		l.parse = parseID
	}
	l.first = first
	return nil
}

// detect tells the formats apart by the first line.
func detect(first string) string {
	ids, _, _ := strings.Cut(first, "#") // a comment may hold anything
	switch {
	case first[0] == '{' || first[0] == '[':
		return formatJSONLines
	case strings.Contains(ids, ",") || keyOf(strings.Trim(first, `"`)) == jobKey:
		return formatCSV
	}
	return formatIDs
}

// parseID reads one id and maybe a comment. No id holds a #.
func parseID(line string) (record, error) {
	id, _, _ := strings.Cut(line, "#")
	if namesIDs(strings.Trim(strings.TrimPrefix(strings.TrimSpace(id), bom), `"`)) {
		return record{}, errHeader
	}
	return record{job: strings.TrimSpace(id)}, nil
}

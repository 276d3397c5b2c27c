package joblist

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// csvLines parses records by the columns of a header.
type csvLines struct {
	reader *csv.Reader // of line
	line   strings.Reader
	// The columns of the ids; project is -1 if there is none.
	project, job int
	// labels are the names of the columns; empty for one that is not a label.
	labels []string
	// names are those of all columns, as they are compared.
	names []string
	// hashes says that a record may begin with #, as its first value is no id.
	hashes bool
}

// commas are what may stand between values. Spreadsheets write ; where a comma stands before decimals.
const commas = ",;"

// newCSV reads a header whose columns comma separates.
func newCSV(header string, comma rune) (*csvLines, error) {
	c := &csvLines{}
	c.reader = csv.NewReader(&c.line)
	c.reader.Comma = comma
	c.reader.FieldsPerRecord = -1 // parse says it more plainly
	c.reader.TrimLeadingSpace = true
	c.reader.ReuseRecord = true
	names, err := c.fields(header)
	if err != nil {
		return nil, err
	}
	c.project, c.job = -1, -1
	c.labels = make([]string, len(names))
	for i, name := range names {
		c.names = append(c.names, keyOf(name))
		if err := c.column(i, name); err != nil {
			return nil, err
		}
	}
	c.hashes = c.job != 0 && c.project != 0
	named := slices.DeleteFunc(slices.Clone(c.labels), func(s string) bool { return s == "" })
	switch {
	case c.job < 0 && strings.Contains(header, "\t"):
		return nil, errors.New("the columns of the CSV are separated by tabs: separate them by , or ;")
	case c.job < 0 && len(names) > 1 && !slices.ContainsFunc(c.names, isName):
		return nil, errSeveral
	case c.job < 0:
		return nil, fmt.Errorf("the header of the CSV has no column %s, only %.200q: %s", jobKey, header, oneIDALine)
	case len(named) > maxLabels:
		return nil, fmt.Errorf("there are %d columns besides the ids, more than %d", len(named), maxLabels)
	}
	return c, nil
}

// isName tells the name of a column from an id: hardly any name has a digit, and no id of the API is without.
func isName(field string) bool { return field != "" && !strings.ContainsAny(field, "0123456789") }

// column notes what column i holds.
func (c *csvLines) column(i int, name string) error {
	twice := false
	switch keyOf(name) {
	case projectKey:
		twice, c.project = c.project >= 0, i
	case jobKey:
		twice, c.job = c.job >= 0, i
	default:
		if !utf8.ValidString(name) {
			name = "" // of another encoding, of which a part may look like text
		}
		name = clean(name)
		twice, c.labels[i] = name != "" && slices.Contains(c.labels, name), name
	}
	switch {
	case twice:
		return fmt.Errorf("column %.40q is there twice", name)
	case len(name) > maxLabel:
		return fmt.Errorf("the name of column %.40q is longer than %d bytes", name, maxLabel)
	}
	return nil
}

func (c *csvLines) parse(line string) (record, error) {
	if strings.HasPrefix(line, "#") && c.hashes {
		// Taken for a comment it might leave a job running, taken for a record
		// it might stop one that somebody took off the list.
		return record{}, errors.New("begins with #, a comment or a value: quote the value, or take the line out")
	}
	if said, ok := separatorIn(line); ok && separates(said) { // no record: it has no id
		return record{}, c.separator(said)
	}
	fields, err := c.fields(line)
	if err != nil {
		return record{}, err
	}
	if err := c.header(fields); err != nil {
		return record{}, err
	}
	if len(fields) != len(c.labels) {
		return record{}, fmt.Errorf("the number of values is %d, that of columns %d", len(fields), len(c.labels))
	}
	// A copy, so that keeping the id doesn't keep the whole line.
	rec := record{job: strings.Clone(strings.TrimSpace(fields[c.job]))}
	if c.project >= 0 {
		rec.project = strings.Clone(strings.TrimSpace(fields[c.project]))
	}
	for i, key := range c.labels {
		if err := rec.label(key, fields[i]); err != nil {
			return record{}, err
		}
	}
	return rec, nil
}

// commaOf is what separates the columns of a header of CSV: that of commas which makes a column job_id of it, or else
// the first one that it holds. It is 0 for what is no header.
func commaOf(line string) rune {
	for _, comma := range commas {
		for name := range strings.SplitSeq(line, string(comma)) {
			if keyOf(strings.Trim(name, `" `)) == jobKey {
				return comma
			}
		}
	}
	ids, _, _ := strings.Cut(line, "#") // a comment may hold anything
	for _, comma := range commas {
		if strings.ContainsRune(ids, comma) {
			return comma
		}
	}
	return 0
}

// separator returns errHeader for the separator of this list, and a fatal error for another one: what follows would be
// split at the wrong places.
func (c *csvLines) separator(said string) error {
	if said != string(c.reader.Comma) {
		return fatal("names another separator than that of the list before it: read the two lists one by one")
	}
	return errHeader
}

// header returns errHeader for the names of the columns, and a fatal error for those
// of other columns: whatever follows could mean other jobs. A name counts in any column,
// as that of the jobs may be another one now.
func (c *csvLines) header(fields []string) error {
	id := "" // where that of a job stands
	if c.job < len(fields) {
		id = strings.Trim(fields[c.job], " ")
	}
	switch {
	case slices.EqualFunc(fields, c.names, func(field, name string) bool { return keyOf(field) == name }),
		len(fields) == 1 && len(c.names) == 1 && namesIDs(id):
		return errHeader
	case len(fields) == 1 && namesOther(id):
		return otherColumn(id)
	case namesIDs(id), namesOther(id), len(fields) == 1 && namesIDs(fields[0]), slices.ContainsFunc(fields, namesJobs),
		mayBeName(id) && slices.ContainsFunc(fields, namesSomeIDs),
		mayBeName(id) && !slices.ContainsFunc(fields, hasDigit) && slices.ContainsFunc(fields, c.isOwn):
		return fatal("is the header of a list with other columns: read the two lists one by one")
	}
	return nil
}

// isOwn reports whether a value is what a column of this list is called. A label may be such a word, too: only among
// words, one of them where the job stands, does it say that they are a header.
func (c *csvLines) isOwn(field string) bool {
	key := keyOf(field)
	return key != "" && slices.Contains(c.names, key)
}

func hasDigit(field string) bool { return strings.ContainsAny(field, "0123456789") }

// fields splits one line. The result holds until the next call.
func (c *csvLines) fields(line string) ([]string, error) {
	c.line.Reset(line)
	fields, err := c.reader.Read()
	if err == nil {
		return fields, nil
	}
	fault, ok := errors.AsType[*csv.ParseError](err)
	if !ok {
		return nil, err
	}
	text := fmt.Sprintf("column %d: %v", fault.Column, fault.Err)
	if errors.Is(fault, csv.ErrQuote) {
		// The line's rest, or the lines that follow, may be meant as part of a
		// value. To go on would be to guess which jobs are named.
		return nil, fatal(text + " (a record must be on one line)")
	}
	return nil, errors.New(text)
}

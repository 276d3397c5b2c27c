// Package joblist reads lists of jobs from files and standard input, one job a
// line, in memory that doesn't grow with the list.
//
// There are three formats. All are UTF-8; a byte order mark, CRLF and blank
// lines do no harm, and a line that begins with # is a comment. A carriage
// return within a line is an error.
//
//   - Plain ids: one job id a line; a comment may follow it. A line that is the
//     name of a column of ids, such as id or job_id, is passed over; that of
//     another column, such as workspace_id, status or batch, ends the list with
//     an error.
//   - CSV: the first line names the columns, separated by commas or semicolons;
//     a line such as "sep=;" may stand before it. Where either stands again, it
//     is passed over. job_id must be among the names,
//     project_id may be, in any order and case. Every other column is a label;
//     one without a name that can be shown is passed over. A record is one line, so a line break
//     inside of quotes is an error. Where the first column is not an id, a
//     record that begins with # must have it quoted.
//   - JSON lines: one object a line, with job_id and maybe project_id, as text
//     or whole numbers. Every other text, number, true or false is a label;
//     anything else is passed over.
package joblist

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// The limits of a list. They keep memory bounded and the ledger's records small.
const (
	maxLine   = 64 << 10 // bytes
	maxLabels = 16       // of one job
	maxLabel  = 256      // bytes, of a label's key and of its value
)

// Options say how a list is to be read.
type Options struct {
	// Name is what errors call the list, such as its file name or "standard
	// input".
	Name string
	// Format is one of Formats. Empty means "auto": the first line that is
	// neither blank nor a comment decides.
	Format string
	// Project is the project of jobs for which the list names none. Without it,
	// every job must come with its own.
	Project string
}

// Item is one job of a list. Its ids are valid in the sense of
// modelarts.ValidateID.
type Item struct {
	ProjectID, JobID string
	// Labels are what else the list says of the job: at most 16, keys and values
	// up to 256 bytes of UTF-8 without control characters, none empty. Nil if
	// there are none.
	Labels map[string]string
	Place  string // such as "jobs.csv line 7"
}

// LineError is a line that names no job. The lines after it can still be read.
type LineError struct {
	Place  string // such as "jobs.csv line 7"
	Reason string
	// Header is set for a line that names columns, as lists that were put together
	// have in the middle: it is passed over, and no fault.
	Header bool
}

// Error is one line: the place and what is wrong there.
func (e *LineError) Error() string { return e.Place + ": " + e.Reason }

// Read goes through a list from where r stands. A bad line is yielded as a
// *LineError with a zero Item, and reading goes on. Any other error is about the
// list as a whole and is the last element: it can't be read, a line is longer than
// 64 KiB, the columns make no sense, or a quote is open at the end of a line, so
// that what follows could mean anything. A list without jobs yields nothing.
// Jobs that are named twice are yielded twice; see Seen.
func Read(r io.Reader, opts Options) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		l := &list{opts: opts, lines: newLines(r, opts.Name)}
		if err := l.open(); err != nil {
			yield(Item{}, err)
			return
		}
		for {
			line, err := l.next()
			if err == io.EOF {
				return
			}
			var item Item
			if err == nil {
				item, err = l.item(line)
			}
			_, isLine := errors.AsType[*LineError](err)
			if !yield(item, err) || err != nil && !isLine {
				return
			}
		}
	}
}

// list is a list that is being read.
type list struct {
	opts  Options
	lines *lines
	first string // a line that was read to know the format, still to be parsed
	parse parser
	// hashes says that a line that begins with # may be a record, which the
	// parser then judges.
	hashes bool
}

// next is the next line that is neither blank nor a comment; io.EOF at the end.
func (l *list) next() (string, error) {
	if line := l.first; line != "" {
		l.first = ""
		return line, nil
	}
	for {
		line, err := l.lines.next()
		if err != nil || l.hashes || !strings.HasPrefix(line, "#") {
			return line, err
		}
	}
}

// item is the job of a line. The error is a *LineError if only the line is bad.
func (l *list) item(line string) (Item, error) {
	rec, err := l.parse(line)
	if err == nil {
		rec.project = cmp.Or(rec.project, l.opts.Project)
		err = rec.check()
	}
	if isFatal(err) {
		return Item{}, fmt.Errorf("%s: %w", l.lines.place(), err)
	}
	if err != nil {
		return Item{}, &LineError{Place: l.lines.place(), Reason: err.Error(), Header: errors.Is(err, errHeader)}
	}
	return Item{
		ProjectID: rec.project,
		JobID:     rec.job,
		Labels:    rec.labels,
		Place:     l.lines.place(),
	}, nil
}

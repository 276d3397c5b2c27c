package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"vizstop/internal/modelarts"
)

// jobList is the ids that were asked for, each once, in order.
type jobList struct {
	ids      []string
	seen     map[string]bool
	repeated int       // ids named more than once
	invalid  []badName // what can't be an id
}

// badName is something that can't be a job's id, and where it stood.
type badName struct {
	Place  string `json:"place"` // such as "argument 2" or "jobs.txt line 7"
	Reason string `json:"reason"`
}

func (b badName) String() string { return b.Place + ": " + b.Reason }

func (l *jobList) add(place, id string) {
	if err := modelarts.ValidateID("job", id); err != nil {
		l.invalid = append(l.invalid, badName{place, err.Error()})
		return
	}
	if l.seen == nil {
		l.seen = make(map[string]bool)
	}
	if l.seen[id] {
		l.repeated++
		return
	}
	l.seen[id] = true
	l.ids = append(l.ids, id)
}

// maxLine is longer than any line with one id on it.
const maxLine = 4096

// read adds one id from each line. Blank lines and lines that begin with # are
// passed over.
func (l *jobList) read(r io.Reader, name string) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		id := strings.TrimSpace(lines.Text())
		if id == "" || strings.HasPrefix(id, "#") {
			continue
		}
		l.add(fmt.Sprintf("%s line %d", name, n), id)
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%s line %d is longer than %d bytes: one job id a line is expected", name, n+1, maxLine)
	case err != nil:
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// collect gathers the ids of the arguments and, if from is not empty, of that
// file; "-" is standard input.
func collect(args []string, from string, stdin io.Reader) (*jobList, error) {
	l := &jobList{}
	for i, id := range args {
		l.add(fmt.Sprintf("argument %d", i+1), id)
	}
	switch from {
	case "":
	case "-":
		if err := l.read(stdin, "standard input"); err != nil {
			return nil, err
		}
	default:
		f, err := os.Open(from)
		if err != nil {
			return nil, fmt.Errorf("--from: %w", err)
		}
		defer f.Close()
		if err := l.read(f, from); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// refusal says why nothing is enqueued because of invalid ids: the first few,
// and what to do.
func (l *jobList) refusal() error {
	const shown = 5
	var b strings.Builder
	fmt.Fprintf(&b, "nothing was enqueued: %d of %d ids are not valid (correct them, or leave them out with --skip-invalid)",
		len(l.invalid), len(l.invalid)+len(l.ids)+l.repeated)
	for i, bad := range l.invalid {
		if i == shown {
			fmt.Fprintf(&b, "\n  and %d more", len(l.invalid)-shown)
			break
		}
		b.WriteString("\n  " + bad.String())
	}
	return errors.New(b.String())
}

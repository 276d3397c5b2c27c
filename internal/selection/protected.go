package selection

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Protected are the jobs that are not to be stopped. A nil *Protected protects
// nothing. It is safe for concurrent use.
type Protected struct {
	mu      sync.Mutex       // of what lines have matched
	lines   []protection     // that still protect
	plain   map[string][]int // which of them are this id or name
	globs   []int            // which of them are globs
	expired []string
}

// protection is one line.
type protection struct {
	place, entry string
	matched      bool // Protects was asked about a job that it names
}

// The limits of a file: how long a line may be in bytes, and how many faults
// are told at once.
const (
	maxProtectLine   = 4096
	maxProtectFaults = 5
)

// ParseProtected reads lines of the form
//
//	ENTRY [until WHEN] [# COMMENT]
//
// ENTRY is a job's id, also with zeros before it, its name, or a glob for names. WHEN is a date such as
// 2026-12-24, whose whole day in now's location is still protected, or a time as
// in RFC 3339, from which on the line protects no more. Blank lines, a byte order
// mark and CRLF do no harm. Any other line is an error, of which up to five are
// told, each with its place, such as "keep.txt line 3", where name is "keep.txt". What
// stands there is not shown: it may be another file than was meant, with secrets.
func ParseProtected(r io.Reader, name string, now time.Time) (*Protected, error) {
	p := &Protected{plain: map[string][]int{}}
	var faults []error
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxProtectLine)
	n := 0
	for len(faults) < maxProtectFaults && lines.Scan() {
		n++
		text := lines.Bytes()
		if n == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		place := fmt.Sprintf("%s line %d", name, n)
		if err := p.add(place, string(text), now); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", place, err))
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		faults = append(faults, fmt.Errorf("%s line %d is longer than %d bytes", name, n+1, maxProtectLine))
	case err != nil:
		faults = append(faults, fmt.Errorf("read %s: %w", name, err))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return p, nil
}

// ReadProtected reads the file at path by ParseProtected.
func ReadProtected(path string, now time.Time) (*Protected, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ParseProtected(f, path, now)
}

func (p *Protected) add(place, line string, now time.Time) error {
	line, _, _ = strings.Cut(line, "#") // is in no id, no glob and no time
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil
	}
	entry := words[0]
	if fault := globFault(entry); fault != "" {
		return fmt.Errorf("the entry %s", fault)
	}
	if len(words) > 1 {
		if words[1] != "until" || len(words) != 3 {
			return errors.New("the line is not of the form: ID or GLOB [until YYYY-MM-DD] [# comment]")
		}
		end, err := ParseUntil(words[2], now.Location())
		if err != nil {
			return errors.New("the time is " + notUntil)
		}
		if !now.Before(end) {
			p.expired = append(p.expired, fmt.Sprintf("%s: %s (until %s)", place, entry, words[2]))
			return nil
		}
	}
	if isGlob(entry) {
		p.globs = append(p.globs, len(p.lines))
	} else {
		p.plain[entry] = append(p.plain[entry], len(p.lines))
		if number := strings.TrimLeft(entry, "0"); number != entry && number != "" && strings.Trim(number, "0123456789") == "" {
			p.plain[number] = append(p.plain[number], len(p.lines)) // as spreadsheets pad ids
		}
	}
	p.lines = append(p.lines, protection{place: place, entry: entry})
	return nil
}

// ParseUntil is when something ends that lasts until a date, whose whole day in zone
// still belongs to it, or until a time as in RFC 3339.
func ParseUntil(text string, zone *time.Location) (time.Time, error) {
	if day, err := time.ParseInLocation(time.DateOnly, text, zone); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%.40q is %s", text, notUntil)
}

const notUntil = "not a date such as 2026-12-24, or a time such as 2026-12-24T18:00:00+01:00"

// Protects says whether a job is protected by its id or its name, and by which
// line, such as "keep.txt line 3: nightly-*".
func (p *Protected) Protects(id, name string) (line string, ok bool) {
	if p == nil {
		return "", false
	}
	named := slices.Concat(p.plain[id], p.plain[name])
	for _, i := range p.globs {
		if match(p.lines[i].entry, name) {
			named = append(named, i)
		}
	}
	if len(named) == 0 {
		return "", false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range named {
		p.lines[i].matched = true
	}
	return p.lines[slices.Min(named)].String(), true
}

func (l *protection) String() string { return l.place + ": " + l.entry }

// Unmatched are the lines that name no job that Protects was asked about, in
// their order.
func (p *Protected) Unmatched() []string {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var lines []string
	for _, l := range p.lines {
		if !l.matched {
			lines = append(lines, l.String())
		}
	}
	return lines
}

// Expired are the lines that protect no more, such as "keep.txt line 3:
// nightly-* (until 2026-01-31)", in their order.
func (p *Protected) Expired() []string {
	if p == nil {
		return nil
	}
	return p.expired
}

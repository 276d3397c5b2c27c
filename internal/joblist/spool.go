package joblist

import (
	"fmt"
	"io"
	"os"
)

// maxSpool keeps an endless input from filling the disk. A million jobs with a
// thousand bytes of labels each fit.
const maxSpool = 1 << 30

// Spool copies all that r has, up to 1 GiB, to a file in the directory for
// temporary files, so that a list can be read more than once and can't change
// in between. It stands at its beginning. Nobody else finds the file, and
// it is gone once it is closed, or, except on Windows, once the program ends in
// any way.
func Spool(r io.Reader) (io.ReadSeekCloser, error) {
	return spool(r, maxSpool)
}

func spool(r io.Reader, limit int64) (_ io.ReadSeekCloser, err error) {
	f, err := os.CreateTemp("", "vizstop-list-*")
	if err != nil {
		return nil, fmt.Errorf("make room for the list: %w", err)
	}
	s := &spooled{File: f, removed: os.Remove(f.Name()) == nil}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	n, err := io.Copy(f, io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("keep the list: %w", err)
	}
	if n > limit {
		return nil, fmt.Errorf("the list is larger than %d bytes", limit)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("keep the list: %w", err)
	}
	return s, nil
}

// spooled is a temporary file.
type spooled struct {
	*os.File
	removed bool // false where an open file can't be unlinked
}

// Close also removes the file, if that was not possible before.
func (s *spooled) Close() error {
	err := s.File.Close()
	if !s.removed {
		s.removed = true
		if removeErr := os.Remove(s.Name()); err == nil {
			err = removeErr
		}
	}
	return err
}

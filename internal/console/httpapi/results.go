package httpapi

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"

	"vizstop/internal/ledger"
)

// maxItems is how many jobs an answer in JSON tells one by one.
const maxItems = 1000

// results keeps what became of each job until all are recorded: an answer says 202 only then. Beyond a thousand they
// are in a file.
type results struct {
	all   bool // keep those beyond maxItems, too
	few   []item
	count int
	file  *os.File
	out   *bufio.Writer
	fault error

	removed bool // false where an open file can't be unlinked
}

// add is told of one job at a time.
func (s *results) add(project string, o ledger.Opening) {
	result := string(o.Result)
	if o.Result == ledger.Opened {
		result = "accepted"
	}
	one := item{"item", project, o.JobID, o.StopID, result}
	s.count++
	switch {
	case s.count <= maxItems:
		s.few = append(s.few, one)
		return
	case !s.all:
		s.few = nil
		return
	case s.file == nil:
		s.fault = s.open()
	}
	s.keep(one)
}

// open begins the file with what was kept in memory. Nobody else finds it.
func (s *results) open() (err error) {
	if s.file, err = os.CreateTemp("", "vizstop-results-*"); err != nil {
		return err
	}
	s.removed = os.Remove(s.file.Name()) == nil
	s.out = bufio.NewWriter(s.file)
	for _, one := range s.few {
		s.keep(one)
	}
	s.few = nil
	return nil
}

func (s *results) keep(one item) {
	if s.fault == nil {
		_, s.fault = s.out.Write(append(compact(one), '\n'))
	}
}

// copyTo writes all of them, one a line.
func (s *results) copyTo(w io.Writer) error {
	for _, one := range s.few {
		if _, err := w.Write(append(compact(one), '\n')); err != nil {
			return err
		}
	}
	if s.file == nil {
		return nil
	}
	if err := s.out.Flush(); err != nil {
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(w, s.file)
	return err
}

func (s *results) close() {
	if s.file != nil {
		s.file.Close()
		if !s.removed {
			os.Remove(s.file.Name())
		}
	}
}

// tell answers an ask, or the repeat of one that was answered before.
func (a *ask) tell(w http.ResponseWriter, replayed bool) error {
	h := w.Header()
	status := http.StatusAccepted
	if a.answer.Batch == "" { // no job matches the rule
		status = http.StatusOK
	} else {
		h.Set("Location", a.URL("/v1/batches/"+a.answer.Batch))
	}
	if replayed {
		h.Set("Idempotency-Replayed", "true")
	}
	if !a.results.all {
		return write(w, status, a.answer)
	}
	h.Set("Content-Type", typeNDJSON)
	w.WriteHeader(status)
	out := bufio.NewWriterSize(w, 64<<10)
	if err := a.results.copyTo(out); err != nil {
		a.Log.Warn("the results of an ask could not be sent: its stops are recorded", "batch", a.answer.Batch, "error", err)
		panic(http.ErrAbortHandler) // nobody is to take a part for the whole
	}
	last := *a.answer
	last.Items = nil
	if json.NewEncoder(out).Encode(last) == nil {
		_ = out.Flush() // nobody is left to be told
	}
	return nil
}

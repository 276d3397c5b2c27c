package joblist

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// lines reads lines of bounded length and knows where it is.
type lines struct {
	name   string
	buffer *bufio.Reader
	number int // of the last line read, from 1
}

func newLines(r io.Reader, name string) *lines {
	// Room for the longest line with its CRLF is what limits a line.
	return &lines{name: name, buffer: bufio.NewReaderSize(r, maxLine+2)}
}

// place is where the last line stood.
func (l *lines) place() string { return fmt.Sprintf("%s line %d", l.name, l.number) }

// next is the next line that is not blank, without the space around it; io.EOF
// at the end.
func (l *lines) next() (string, error) {
	for {
		raw, err := l.buffer.ReadSlice('\n')
		if len(raw) == 0 && err == io.EOF {
			return "", io.EOF
		}
		l.number++
		line := bytes.TrimSpace(bytes.TrimPrefix(raw, []byte(bom))) // a list in the middle may begin with one, too
		switch {
		case l.number == 1 && isUTF16(line):
			return "", fmt.Errorf("%s is UTF-16: save it as UTF-8", l.name)
		case bytes.IndexByte(line, '\r') >= 0:
			return "", fmt.Errorf("%s holds a carriage return that is not at its end: save the list with the line ends of Unix or Windows", l.place())
		case errors.Is(err, bufio.ErrBufferFull) || len(line) > maxLine:
			return "", fmt.Errorf("%s is longer than %d bytes: one job a line is expected", l.place(), maxLine)
		case err != nil && err != io.EOF:
			return "", fmt.Errorf("read %s: %w", l.name, err)
		case len(line) > 0:
			return string(line), nil
		}
	}
}

// isUTF16 knows the byte order marks that some editors and shells put first.
func isUTF16(line []byte) bool {
	return bytes.HasPrefix(line, []byte("\xff\xfe")) || bytes.HasPrefix(line, []byte("\xfe\xff"))
}

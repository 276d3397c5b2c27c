package modelarts

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"vizstop/internal/plain"
)

// The API's documents disagree about types: numbers come quoted or not, ids as
// numbers or text, booleans are missing. These types take any JSON value and
// are empty for one that makes no sense, so that one odd field never spoils an
// answer.

// looseString takes text and numbers; a number keeps its digits.
type looseString string

// UnmarshalJSON never fails.
func (s *looseString) UnmarshalJSON(b []byte) error {
	*s = looseString(scalar(b))
	return nil
}

// line is the text as one printable line.
func (s looseString) line() string { return plain.Line(string(s), maxText) }

// looseInt takes numbers and quoted numbers. The zero value is "absent".
type looseInt struct {
	n  int64
	ok bool
}

// UnmarshalJSON never fails. A number outside int64, or with a fraction, is absent.
func (i *looseInt) UnmarshalJSON(b []byte) error {
	*i = looseInt{}
	text := strings.TrimSpace(scalar(b))
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		*i = looseInt{n, true}
	} else if f, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(f) < 1<<62 && f == math.Trunc(f) {
		*i = looseInt{int64(f), true}
	}
	return nil
}

// looseFalse is true only for a clear false.
type looseFalse bool

// UnmarshalJSON never fails.
func (f *looseFalse) UnmarshalJSON(b []byte) error {
	text := string(b)
	if s := scalar(b); s != "" {
		text = s
	}
	*f = looseFalse(strings.EqualFold(text, "false"))
	return nil
}

// scalar is the text of a JSON string or number; empty for anything else. b is one
// valid JSON value, without blanks around it.
func scalar(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	switch c := b[0]; {
	case c == '"':
		if inner := b[1 : len(b)-1]; utf8.Valid(inner) && bytes.IndexByte(inner, '\\') < 0 {
			return string(inner)
		}
		var s string
		if json.Unmarshal(b, &s) != nil {
			return ""
		}
		return s
	case c == '-', '0' <= c && c <= '9':
		return string(b)
	}
	return ""
}

// Package loose has types for JSON whose documents disagree about types: numbers come
// quoted or not, ids as numbers or text, booleans are missing. They take any JSON value
// and are empty for one that makes no sense, so that one odd field never spoils an
// answer.
package loose

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"vizstop/internal/plain"
)

// mostText is how many characters of a text are kept; the documents allow 256 at most.
const mostText = 512

// String takes text and numbers; a number keeps its digits.
type String string

// UnmarshalJSON never fails.
func (s *String) UnmarshalJSON(b []byte) error {
	*s = String(scalar(b))
	return nil
}

// Line is the text as one printable line.
func (s String) Line() string { return plain.Line(string(s), mostText) }

// Int takes numbers and quoted numbers. The zero value is "absent".
type Int struct {
	N  int64
	OK bool
}

// UnmarshalJSON never fails. A number outside int64, or with a fraction, is absent.
func (i *Int) UnmarshalJSON(b []byte) error {
	*i = Int{}
	text := strings.TrimSpace(scalar(b))
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		*i = Int{n, true}
	} else if f, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(f) < 1<<62 && f == math.Trunc(f) {
		*i = Int{int64(f), true}
	}
	return nil
}

// Times is that many units; 0 if the number is negative or too large to hold.
func (i Int) Times(unit time.Duration) time.Duration {
	if i.N < 0 || i.N > math.MaxInt64/int64(unit) {
		return 0
	}
	return time.Duration(i.N) * unit
}

// Time is the time so many milliseconds after 1970; zero if no calendar holds it. One
// documented sample has a time of 11 digits, which fits no unit: it stays a time.
func (i Int) Time() time.Time {
	const year10000 = 253402300800000
	if i.N <= 0 || i.N >= year10000 {
		return time.Time{}
	}
	return time.UnixMilli(i.N)
}

// False is true only for a clear false.
type False bool

// UnmarshalJSON never fails.
func (f *False) UnmarshalJSON(b []byte) error {
	text := string(b)
	if s := scalar(b); s != "" {
		text = s
	}
	*f = False(strings.EqualFold(text, "false"))
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

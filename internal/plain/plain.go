// Package plain makes text from outside fit to be shown: in a log, on a
// terminal, in a report. What came in a payload, an answer or a file could
// otherwise forge lines, move the cursor or turn the direction of writing.
package plain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line makes one line of at most limit characters out of s, in valid UTF-8.
// White space, control characters, marks that turn the direction of writing and
// invalid bytes become single spaces, and those at the ends vanish. A longer
// text ends in "..."; limit must be at least 3.
func Line(s string, limit int) string {
	// Every character is kept or becomes a space, so more than this can only
	// matter for a text that is mostly spaces. It saves going through megabytes.
	if most := 16 * limit; len(s) > most {
		s = s[:most]
	}
	s = strings.Map(func(r rune) rune {
		if !shown(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) > limit {
		s = string([]rune(s)[:limit-3]) + "..."
	}
	return s
}

// Lines splits s at its line breaks and makes each line fit to be shown as Line does,
// but for spaces, which it keeps: a mark below a place of the line above stays there.
func Lines(s string, limit int) []string {
	all := strings.Split(s, "\n")
	for i, line := range all {
		line = strings.Map(func(r rune) rune {
			if !shown(r) {
				return ' '
			}
			return r
		}, line[:min(len(line), 16*limit)])
		if line = strings.TrimRight(line, " "); utf8.RuneCountInString(line) > limit {
			line = string([]rune(line)[:limit-3]) + "..."
		}
		all[i] = line
	}
	return all
}

// Fits reports whether s can be shown as it is: valid UTF-8 on one line, without
// characters that only do something to a terminal.
func Fits(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !shown(r) && !unicode.Is(unicode.Zs, r) })
}

// shown reports whether r takes a place of its own, or joins its neighbours as
// some scripts and emoji need it.
func shown(r rune) bool {
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d'
	return r != utf8.RuneError && unicode.IsPrint(r) || r == zeroWidthNonJoiner || r == zeroWidthJoiner
}

// Log bounds s and writes out, as \u202e, what the handlers of log/slog leave as
// it is in JSON although a terminal obeys it: control characters beyond ASCII
// and marks that turn the direction of writing. ASCII control characters and
// invalid UTF-8 are left to those handlers, which escape them.
func Log(s string, limit int) string {
	if len(s) > limit {
		cut := limit
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "..."
	}
	return Escape(s)
}

// Escape writes out what Log does, without a bound. JSON stays the same JSON.
func Escape(s string) string {
	if !strings.ContainsFunc(s, obeyed) {
		return s
	}
	const hex = "0123456789abcdef"
	var b strings.Builder
	for _, r := range s {
		if !obeyed(r) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(`\u`)
		for shift := 12; shift >= 0; shift -= 4 {
			b.WriteByte(hex[r>>shift&0xf])
		}
	}
	return b.String()
}

func obeyed(r rune) bool {
	return r >= 0x7f && r <= 0xffff && r != utf8.RuneError && unicode.In(r, unicode.Cc, unicode.Cf)
}

// Cell is a CSV field that no spreadsheet takes for a formula: one that begins
// like a formula gets an apostrophe in front, as spreadsheets themselves mark
// text.
//
// Source: OWASP, "CSV Injection".
func Cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
		return "'" + s
	}
	return s
}

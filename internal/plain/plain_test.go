package plain

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/quick"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                         "",
		"plain":                    "plain",
		"  a \t b \n":              "a b",
		"a\x00b\x1b[2Jc":           "a b [2Jc",
		"a\u009b2Jc":               "a 2Jc",
		"a\nlevel=ERROR\r\nx":      "a level=ERROR x",
		"测试\u3000二":                "测试 二",
		"\xff\xfe":                 "",
		"a\x7fb":                   "a b",
		"left\u202eright":          "left right",
		"left\u2066right\u2069":    "left right",
		"\u0645\u06cc\u200c\u0634": "\u0645\u06cc\u200c\u0634",
		"\u2028line\u2029":         "line",
		strings.Repeat("é", 20):    strings.Repeat("é", 20),
		strings.Repeat("é", 21):    strings.Repeat("é", 17) + "...",
		strings.Repeat("x", 1<<20): strings.Repeat("x", 17) + "...",
		strings.Repeat("😀", 1<<18): strings.Repeat("😀", 17) + "...",
	} {
		if got := Line(in, 20); got != want {
			t.Errorf("Line(%.40q) = %q, want %q", in, got, want)
		}
	}
}

// Whatever comes in, what comes out fits, and fits again.
func TestLineFits(t *testing.T) {
	t.Parallel()
	check := func(b []byte) bool {
		line := Line(string(b), 30)
		return Fits(line) && utf8.RuneCountInString(line) <= 30 && Line(line, 30) == line
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 5000}); err != nil {
		t.Error(err)
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"": true, "night shift": true, "夜\u3000间": true, "a\u00a0b": true, "👩\u200d🚒": true,
		"a\nb": false, "a\tb": false, "a\x1b[2J": false, "a\u009b": false, "a\u202eb": false, "a\xff": false, "a\x7f": false, "a\u2028b": false,
	} {
		if got := Fits(in); got != want {
			t.Errorf("Fits(%q) = %v", in, got)
		}
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain": "plain", "two\nlines": "two\nlines", "a\x1bb": "a\x1bb", "测试": "测试",
		"a\u202eb": `a\u202eb`, "a\u009bb": `a\u009bb`, "a\x7fb": `a\u007fb`, "\u2066": `\u2066`,
		strings.Repeat("é", 30): strings.Repeat("é", 10) + "...", "x" + strings.Repeat("é", 30): "x" + strings.Repeat("é", 9) + "...",
	} {
		if got := Log(in, 20); got != want {
			t.Errorf("Log(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCell(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "10": "10", "modelarts stop: a=b": "modelarts stop: a=b",
		`=HYPERLINK("https://example.com")`: `'=HYPERLINK("https://example.com")`,
		"+1":                                "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "'=1": "'=1",
	} {
		if got := Cell(in); got != want {
			t.Errorf("Cell(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	got := Lines("one\x1b[2J\n  two\rthree\n"+strings.Repeat(" ", 1000)+"x", 20)
	if want := []string{"one [2J", "  two three", "        ..."}; len(got) != 3 || got[0] != want[0] || got[1] != want[1] || len(got[2]) > 28 {
		t.Errorf("Lines gave %q", got)
	}
}

// JSON that was escaped says the same.
func TestEscapeKeepsJSON(t *testing.T) {
	t.Parallel()
	check := func(text string) bool {
		text += "\u202e\u009b\x7f"
		b, err := json.Marshal(text)
		var back, want string
		return err == nil && json.Unmarshal([]byte(Escape(string(b))), &back) == nil && json.Unmarshal(b, &want) == nil && back == want
	}
	if err := quick.Check(check, nil); err != nil {
		t.Error(err)
	}
}

package yamlfile

import (
	"strings"
	"testing"
)

// Texts for people are counted in characters, and hold nothing that is not seen.
func TestFormsOfTexts(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]struct{ line, name bool }{
		"":                             {false, false},
		"a":                            {true, true},
		"实验 3":                         {true, true},
		strings.Repeat("训", 8):         {true, true},
		strings.Repeat("训", 9):         {false, false},
		" led by a":                    {false, false}, // nine
		" space":                       {true, false},
		"\u3000wide":                   {true, false},
		"two\nrow":                     {false, false},
		"\u202eturned":                 {false, false},
		"zero\u200bw":                  {false, false},
		"\ue000":                       {false, false}, // for private use
		"\u0378":                       {false, false}, // not assigned
		strings.Repeat("a", 1<<16):     {false, false},
		"e\u0301" + "\U0001F468" + "x": {true, true},
	} {
		if got := Line(8, "a line").Check(value) == nil; got != want.line {
			t.Errorf("a line of 8: %.20q fits: %t, want %t", value, got, want.line)
		}
		if got := Name(8, "a name").Check(value) == nil; got != want.name {
			t.Errorf("a name of 8: %.20q fits: %t, want %t", value, got, want.name)
		}
	}
}

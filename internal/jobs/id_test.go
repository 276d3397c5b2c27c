package jobs

import (
	"strings"
	"testing"
)

var badIDs = []string{
	"", "-1", "_1", "a b", "a/b", "..", ".", "a.b", "10?x=1", "10#", "10%2e", "10\n", "\x00", "工作", "10/../11",
	strings.Repeat("a", 65), strings.Repeat("<", 5000),
}

func TestValidateID(t *testing.T) {
	for _, id := range []string{"1", "4211", "0123456789abcdef0123456789abcdef", "0f4b2c1e-1111-4222-8333-944455566677", "A_b-9", strings.Repeat("a", 64)} {
		if err := ValidateID("job", id); err != nil {
			t.Errorf("ValidateID(%q) = %v", id, err)
		}
	}
	for _, id := range badIDs {
		err := ValidateID("job", id)
		if err == nil {
			t.Errorf("%q was taken for an id", id)
			continue
		}
		text := err.Error()
		if !strings.HasPrefix(text, "job id ") || strings.ContainsAny(text, "\n\x00") || len(text) > 400 {
			t.Errorf("the error for %q is %q", id, text)
		}
	}
}

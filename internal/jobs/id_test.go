package jobs

import (
	"strings"
	"testing"
)

var badIDs = []string{
	"", "-1", "_1", "a b", "a/b", "..", ".", "a.b", "10?x=1", "10#", "10%2e", "10\n", "\x00", "工作", "10/../11",
	strings.Repeat("a", 65), strings.Repeat("<", 5000),
}

// Ids of digits have one spelling; zeros elsewhere, and in ids of projects, are digits like others.
func TestZerosBeforeAnID(t *testing.T) {
	for _, id := range []string{"01100", "00", "0000000000000000000000000000000000000000000000000000000000000001"} {
		if err := ValidateID("job", id); err == nil || !strings.Contains(err.Error(), "begins with a zero") {
			t.Errorf("job id %s: %v", id, err)
		}
	}
	for _, id := range []string{"0", "1100", "0a", "00000000-0000-4000-8000-000000000001"} {
		if err := ValidateID("job", id); err != nil {
			t.Error(err)
		}
	}
	if err := ValidateID("project", "01100"); err != nil {
		t.Error(err)
	}
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

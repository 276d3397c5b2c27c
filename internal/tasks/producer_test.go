package tasks

import (
	"strings"
	"testing"

	"vizstop/internal/ledger"
)

// What could leave its place in a key or a URL is refused before Redis is
// asked: there is none here.
func TestAskRefusesBadIDs(t *testing.T) {
	t.Parallel()
	const good = "0123456789abcdef0123456789abcdef"
	p := NewProducer(nil, nil)
	for _, bad := range []string{"", "../x", "a/b", "%2f", "a?b", "a#b", "a}b", "{a}", "a:b", "-", "\x00", "a\n", "工作", "a\u202e", "\xff", strings.Repeat("a", 65)} {
		for what, ask := range map[string]func() error{
			"project": func() error { _, err := p.Ask(t.Context(), bad, "b", []ledger.Ask{{JobID: "10"}}); return err },
			"batch":   func() error { _, err := p.Ask(t.Context(), good, bad, []ledger.Ask{{JobID: "10"}}); return err },
			"job": func() error {
				_, err := p.Ask(t.Context(), good, "b", []ledger.Ask{{JobID: "9"}, {JobID: bad}})
				return err
			},
		} {
			if err := ask(); err == nil || !strings.HasPrefix(err.Error(), what+" id ") {
				t.Errorf("%s %q: %v", what, bad, err)
			}
		}
	}
}

// A payload says which job, and nothing else.
func TestPayloadChoosesNothingElse(t *testing.T) {
	t.Parallel()
	p, err := DecodePayload([]byte(`{"project_id":"p1","job_id":"10","endpoint":"https://evil.example","host":"evil.example","region":"x",
		"token":"t","headers":{"X-Auth-Token":"t"},"access_key":"a","url":"https://evil.example","notify":"https://evil.example"}`))
	if err != nil || p != (Payload{ProjectID: "p1", JobID: "10"}) {
		t.Errorf("payload %+v, %v", p, err)
	}
}

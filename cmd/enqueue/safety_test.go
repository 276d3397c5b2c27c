package main

import (
	"strings"
	"testing"
)

// What a person at a terminal is asked, and told. testdata/confirm.txt has the terminal itself, and what is done;
// what is written there last may be lost with it.
func TestConfirm(t *testing.T) {
	t.Parallel()
	const question = "This would stop 21 jobs. Type the number to go on: "
	for name, c := range map[string]struct {
		answer    string
		n         int
		yes       bool
		ownMax    bool
		confirmed bool
		asked     string
		fault     string
	}{
		"right":              {answer: "21\n", n: 21, confirmed: true, asked: question},
		"with spaces":        {answer: " 21 \n", n: 21, confirmed: true, asked: question},
		"another number":     {answer: "20\n", n: 21, asked: question, fault: `nothing was done: "20" is not 21`},
		"an empty line":      {answer: "\n", n: 21, asked: question, fault: `nothing was done: "" is not 21`},
		"no answer":          {n: 21, asked: question, fault: "nothing was done: no answer"},
		"few need none":      {n: 20},
		"--yes":              {n: 21, yes: true},
		"--yes with a --max": {n: 21, yes: true, ownMax: true, confirmed: true},
	} {
		var err strings.Builder
		l := limits{yes: c.yes}
		confirmed, fault := l.confirm(streams{in: strings.NewReader(c.answer), err: &err, terminal: true}, c.n, "stop", c.ownMax)
		said := ""
		if fault != nil {
			said = fault.Error()
		}
		if confirmed != c.confirmed || err.String() != c.asked || said != c.fault {
			t.Errorf("%s: confirmed %v, asked %q, fault %q; want %v, %q, %q", name, confirmed, err.String(), said, c.confirmed, c.asked, c.fault)
		}
	}
}

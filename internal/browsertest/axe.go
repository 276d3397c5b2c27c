package browsertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"vizstop/internal/redistest"
)

// axeFile is what npm has installed, below the module's root.
var axeFile = filepath.Join("internal", "browsertest", "axe", "node_modules", "axe-core", "axe.min.js")

var axeSource = sync.OnceValues(func() (string, error) {
	path, err := redistest.InModule(axeFile)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("axe-core is not installed: run `make deps`: %w", err)
	}
	return string(text), nil
})

// violation is a rule of axe-core that a page breaks.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML, FailureSummary string }
}

// Axe fails the test if axe-core finds a way in which the page is hard to use, for example with a screen reader.
func (p *Page) Axe() {
	p.t.Helper()
	found := p.violations()
	if len(found) == 0 {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "axe-core: the page breaks %d rules", len(found))
	const rules, nodes = 6, 3 // a screenful
	for _, v := range found[:min(len(found), rules)] {
		fmt.Fprintf(&b, "\n%s (%s): %s", v.ID, v.Impact, v.Help)
		for _, n := range v.Nodes[:min(len(v.Nodes), nodes)] {
			fmt.Fprintf(&b, "\n    %s\n    %s", shorten(oneLine(n.HTML), 160), shorten(oneLine(n.FailureSummary), 240))
		}
		if more := len(v.Nodes) - nodes; more > 0 {
			fmt.Fprintf(&b, "\n    and %d more elements", more)
		}
	}
	if more := len(found) - rules; more > 0 {
		fmt.Fprintf(&b, "\nand %d more rules", more)
	}
	p.t.Error(b.String())
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// violations runs axe-core in a world of its own: it sees the page's elements, not its script, and the page's
// Content-Security-Policy does not hold there. It needs timers, which don't run where script is off, so script is
// allowed meanwhile; what the page brought along as script has been passed over by then.
func (p *Page) violations() []violation {
	p.t.Helper()
	source, err := axeSource()
	if err != nil {
		p.t.Fatal(err)
	}
	if !p.options.Script {
		p.allowScript(true)
		defer p.allowScript(false)
	}
	var world struct {
		ID int `json:"executionContextId"`
	}
	p.call(p.session, "Page.createIsolatedWorld", params{"frameId": p.target, "worldName": "axe"}, &world)
	if err := p.eval(source+"\n;0", world.ID, nil); err != nil {
		p.t.Fatal(err)
	}
	var found []violation
	err = p.eval(`axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v => ({
		ID: v.id, Impact: v.impact, Help: v.help,
		Nodes: v.nodes.map(n => ({HTML: n.html, FailureSummary: n.failureSummary})),
	})))`, world.ID, &found)
	if err != nil {
		p.t.Fatal(err)
	}
	return found
}

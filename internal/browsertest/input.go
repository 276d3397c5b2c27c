package browsertest

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// key is how the protocol names a key.
type key struct {
	code string
	// virtual is the key's number in Windows, by which Chromium knows what it does.
	virtual int
	text    string // that it types
}

var keys = map[string]key{
	"Tab":        {"Tab", 9, ""},
	"Enter":      {"Enter", 13, "\r"},
	"Escape":     {"Escape", 27, ""},
	"Space":      {"Space", 32, " "},
	"PageUp":     {"PageUp", 33, ""},
	"PageDown":   {"PageDown", 34, ""},
	"End":        {"End", 35, ""},
	"Home":       {"Home", 36, ""},
	"ArrowLeft":  {"ArrowLeft", 37, ""},
	"ArrowUp":    {"ArrowUp", 38, ""},
	"ArrowRight": {"ArrowRight", 39, ""},
	"ArrowDown":  {"ArrowDown", 40, ""},
	"Backspace":  {"Backspace", 8, ""},
}

const shiftHeld = 8 // as the protocol counts modifiers

// Press presses keys one after the other: "Tab", "Shift+Tab", "Enter", "Escape", "Space", arrows and the like, or a
// single letter.
func (p *Page) Press(names ...string) {
	p.t.Helper()
	for _, name := range names {
		p.press(name)
	}
}

func (p *Page) press(full string) {
	p.t.Helper()
	name, shift := strings.CutPrefix(full, "Shift+")
	k, known := keys[name]
	switch {
	case known:
	case utf8.RuneCountInString(name) == 1:
		k = key{text: name}
	default:
		p.t.Fatalf("there is no key %q", full)
	}
	arguments := params{"type": "keyDown", "key": name, "code": k.code, "windowsVirtualKeyCode": k.virtual, "text": k.text}
	switch {
	case name == "Space":
		arguments["key"] = " "
	case k.text == "":
		arguments["type"] = "rawKeyDown"
	}
	if shift {
		arguments["modifiers"] = shiftHeld
	}
	p.call(p.session, "Input.dispatchKeyEvent", arguments, nil)
	arguments["type"] = "keyUp"
	delete(arguments, "text")
	p.call(p.session, "Input.dispatchKeyEvent", arguments, nil)
}

// Type puts text where the focus is, as if it was typed.
func (p *Page) Type(text string) {
	p.t.Helper()
	p.call(p.session, "Input.insertText", params{"text": text}, nil)
}

// Click clicks with a mouse on the middle of the first element that a CSS selector finds. It fails the test if there is
// none, or something else lies on top of it.
func (p *Page) Click(selector string) {
	p.t.Helper()
	var at struct {
		X, Y  float64
		Wrong string
	}
	p.Eval(fmt.Sprintf(`(selector => {
		const e = document.querySelector(selector);
		if (!e) return {Wrong: "is not there"};
		e.scrollIntoView({block: "center", inline: "center", behavior: "instant"});
		const r = (e.getClientRects()[0] ?? e.getBoundingClientRect());
		const x = r.x + r.width / 2, y = r.y + r.height / 2;
		const top = document.elementFromPoint(x, y);
		if (!r.width || !r.height) return {Wrong: "is not shown"};
		if (!top || !(e.contains(top) || top.contains(e))) return {Wrong: "is covered by " + (top?.outerHTML ?? "the edge")};
		return {X: x, Y: y};
	})(%s)`, quote(selector)), &at)
	if at.Wrong != "" {
		p.t.Fatalf("click on %s: it %s", selector, shorten(at.Wrong, 200))
	}
	for _, what := range []string{"mousePressed", "mouseReleased"} {
		p.call(p.session, "Input.dispatchMouseEvent", params{
			"type": what, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1,
		}, nil)
	}
}

// Focus is the element that has the keyboard.
type Focus struct {
	// Element is what it is, such as "a.batch" or "button#pause"; "" when the page itself has the keyboard.
	Element string
	// Text is what it says: its label, or what is in it.
	Text string
	// Visible is whether an outline or a shadow shows that it has the keyboard.
	Visible bool
}

// Focus tells where the keyboard is.
func (p *Page) Focus() Focus {
	p.t.Helper()
	var f Focus
	p.Eval(`(() => {
		const e = document.activeElement;
		if (!e || e === document.body || e === document.documentElement) return {};
		const s = getComputedStyle(e);
		return {
			Element: `+describe+`(e),
			Text: (e.getAttribute("aria-label") ?? e.labels?.[0]?.innerText ?? e.innerText ?? "").trim(),
			Visible: e.matches(":focus-visible") &&
				((s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== "none"),
		};
	})()`, &f)
	return f
}

// describe is a JavaScript function that names an element in few words.
const describe = `(e => e.localName + (e.id ? "#" + e.id : "") + [...e.classList].map(c => "." + c).join(""))`

// TabOrder presses Tab from where the focus is until the keyboard leaves the page or comes back to where it has been
// first, and tells where it was, at most at 500 elements.
func (p *Page) TabOrder() []Focus {
	p.t.Helper()
	const most = 500
	// Elements may look alike, so the page marks the first.
	const mark = "data-browsertest-first"
	var order []Focus
	for range most {
		p.Press("Tab")
		f := p.Focus()
		var again bool
		p.Eval(fmt.Sprintf("document.activeElement.hasAttribute(%q)", mark), &again)
		if f.Element == "" || again {
			break
		}
		if len(order) == 0 {
			p.Eval(fmt.Sprintf("document.activeElement.setAttribute(%q, '')", mark), nil)
		}
		order = append(order, f)
	}
	p.Eval(fmt.Sprintf("document.querySelector('[%s]')?.removeAttribute(%q)", mark, mark), nil)
	return order
}

package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options say how a page is looked at.
type Options struct {
	// Width and Height are the window's size in CSS pixels; 0 means 1,440 and 900.
	Width, Height int
	// Mobile makes it a phone: touch, and the page's own viewport.
	Mobile bool
	// Dark is for people who prefer dark colours.
	Dark bool
	// Script lets the page run JavaScript.
	Script bool
	// Authorization is sent as the header of that name with every request, as a browser does that was told a password;
	// "" sends none.
	Authorization string
}

// Page is a tab with cookies, storage and cache of its own. Its methods fail the test that opened it, so call them from
// that test's goroutine; they are not safe for concurrent use.
type Page struct {
	t       testing.TB
	browser *Browser
	options Options
	context string // of the browser: what shares cookies
	target  string // also the id of its outermost frame
	session string

	mu     sync.Mutex
	loaded map[string]bool // documents that have loaded, by the id of their loader
	status int             // of the answer that the last document came with
	seen   []string
	wanted []string            // see Expect
	ours   map[string]bool     // origins of what Goto was told
	sent   map[string]sentWhat // requests by id
}

type sentWhat struct{ method, url string }

// Page opens an empty page. At the end of t it is closed, and t fails if anything went wrong in the page that
// Expect had not been told of. Open it after the servers that it asks, so that it is closed before them: Chromium
// asks for /favicon.ico, or what the page names in its place, some time after a page has loaded.
func (b *Browser) Page(t testing.TB, o Options) *Page {
	t.Helper()
	if o.Width == 0 {
		o.Width = 1440
	}
	if o.Height == 0 {
		o.Height = 900
	}
	p := &Page{
		t: t, browser: b, options: o,
		loaded: make(map[string]bool), ours: make(map[string]bool), sent: make(map[string]sentWhat),
	}
	var opened struct {
		BrowserContextID string `json:"browserContextId"`
		TargetID         string `json:"targetId"`
		SessionID        string `json:"sessionId"`
	}
	p.call("", "Target.createBrowserContext", params{"disposeOnDetach": true}, &opened)
	p.context = opened.BrowserContextID
	t.Cleanup(p.close)
	p.call("", "Target.createTarget", params{
		"url": "about:blank", "browserContextId": p.context, "width": o.Width, "height": o.Height,
	}, &opened)
	p.call("", "Target.attachToTarget", params{"targetId": opened.TargetID, "flatten": true}, &opened)
	p.target, p.session = opened.TargetID, opened.SessionID
	b.conn.handle(p.session, p.event)
	p.setUp()
	return p
}

func (p *Page) setUp() {
	p.t.Helper()
	o := p.options
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		p.call(p.session, domain+".enable", nil, nil)
	}
	p.call(p.session, "Page.setLifecycleEventsEnabled", params{"enabled": true}, nil)
	p.call(p.session, "Emulation.setDeviceMetricsOverride", params{
		"width": o.Width, "height": o.Height, "deviceScaleFactor": 1, "mobile": o.Mobile,
	}, nil)
	p.call(p.session, "Emulation.setTouchEmulationEnabled", params{"enabled": o.Mobile}, nil)
	p.call(p.session, "Emulation.setFocusEmulationEnabled", params{"enabled": true}, nil)
	scheme := "light"
	if o.Dark {
		scheme = "dark"
	}
	p.call(p.session, "Emulation.setEmulatedMedia", params{"features": []params{
		{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"},
	}}, nil)
	p.allowScript(o.Script)
	if o.Authorization != "" {
		p.call(p.session, "Network.setExtraHTTPHeaders", params{"headers": params{"Authorization": o.Authorization}}, nil)
	}
}

func (p *Page) allowScript(yes bool) {
	p.t.Helper()
	p.call(p.session, "Emulation.setScriptExecutionDisabled", params{"value": !yes}, nil)
}

func (p *Page) close() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	// The page's process answers after it has told everything that happened before.
	_ = p.browser.conn.call(ctx, p.session, "Runtime.evaluate", params{"expression": "0"}, nil)
	err := p.browser.conn.call(ctx, "", "Target.disposeBrowserContext", params{"browserContextId": p.context}, nil)
	p.browser.conn.handle(p.session, nil)
	if err != nil {
		p.t.Errorf("close the page: %v", err)
	}
	if wrong := p.unexpected(); wrong != "" {
		p.t.Error(wrong)
	}
}

type params map[string]any

func (p *Page) call(session, method string, arguments params, result any) {
	p.t.Helper()
	if err := p.try(session, method, arguments, result); err != nil {
		p.t.Fatal(err)
	}
}

func (p *Page) try(session, method string, arguments params, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return p.browser.conn.call(ctx, session, method, arguments, result)
}

// Goto opens a URL and returns when it has loaded. Its origin, and those of earlier calls, may be asked by the page; a
// request to another one is a problem (see Expect).
func (p *Page) Goto(address string) {
	p.t.Helper()
	p.mu.Lock()
	p.ours[origin(address)] = true
	p.mu.Unlock()
	var answer struct{ ErrorText, LoaderID string }
	p.call(p.session, "Page.navigate", params{"url": address}, &answer)
	if answer.ErrorText != "" {
		p.t.Fatalf("open %s: %s", address, answer.ErrorText)
	}
	if answer.LoaderID == "" { // the same document, another #fragment
		return
	}
	p.await(address+" to load", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.loaded[answer.LoaderID]
	})
}

// Through does what leads to another document, such as a click, and returns when that has loaded.
func (p *Page) Through(do func()) {
	p.t.Helper()
	loads := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.loaded)
	}
	before := loads()
	do()
	p.await("another document", func() bool { return loads() > before })
}

// Status is the HTTP status that the last document came with; 0 before the first.
func (p *Page) Status() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

func (p *Page) await(what string, done func() bool) {
	p.t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("waited %v for %s in vain\n%s", patience, what, p.unexpected())
		}
	}
}

// Eval evaluates a JavaScript expression, also in a page that may not run its own, and stores its JSON value in result
// unless that is nil. A promise is waited for, but without Script nothing in the page keeps one.
func (p *Page) Eval(expression string, result any) {
	p.t.Helper()
	if err := p.eval(expression, 0, result); err != nil {
		p.t.Fatal(err)
	}
}

// eval evaluates in the page's own world if world is 0.
func (p *Page) eval(expression string, world int, result any) error {
	var answer struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		ExceptionDetails *exception `json:"exceptionDetails"`
	}
	arguments := params{"expression": expression, "returnByValue": true, "awaitPromise": true}
	if world != 0 {
		arguments["contextId"] = world
	}
	if err := p.try(p.session, "Runtime.evaluate", arguments, &answer); err != nil {
		return err
	}
	if answer.ExceptionDetails != nil {
		return fmt.Errorf("%s: %s", shorten(expression, 200), answer.ExceptionDetails)
	}
	if result == nil || answer.Result.Value == nil {
		return nil
	}
	return json.Unmarshal(answer.Result.Value, result)
}

type exception struct {
	Text      string `json:"text"`
	URL       string `json:"url"`
	Line      int    `json:"lineNumber"` // from 0
	Exception struct {
		Description string `json:"description"`
	} `json:"exception"`
}

func (e *exception) String() string {
	return strings.TrimSpace(e.Text + " " + e.Exception.Description)
}

// WaitFor waits until a JavaScript expression is true. While a document is being replaced, it is not.
func (p *Page) WaitFor(condition string) {
	p.t.Helper()
	var last error
	p.await(condition, func() bool {
		var yes bool
		last = p.eval("Boolean("+condition+")", 0, &yes)
		if errors.Is(last, errClosed) {
			p.t.Fatal(last)
		}
		return last == nil && yes
	})
}

// Count is how many elements a CSS selector finds.
func (p *Page) Count(selector string) int {
	p.t.Helper()
	var n int
	p.Eval(fmt.Sprintf("document.querySelectorAll(%s).length", quote(selector)), &n)
	return n
}

// Text is what a person reads in the first element that a CSS selector finds. None fails the test.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	var text *string
	p.Eval(fmt.Sprintf("document.querySelector(%s)?.innerText", quote(selector)), &text)
	if text == nil {
		p.t.Fatalf("nothing on the page is %s", selector)
	}
	return *text
}

func quote(s string) string {
	text, _ := json.Marshal(s) // a string always can be
	return string(text)
}

func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

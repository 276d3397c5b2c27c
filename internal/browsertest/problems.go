package browsertest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Expect says that something will go wrong in the page whose line, as a failing test shows it, contains text: for
// example "status of 403" or "another origin". The test fails at its end if it did not happen; it may happen more than
// once.
func (p *Page) Expect(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = append(p.wanted, text)
}

// Problems are what has gone wrong in the page so far, one line each, expected or not: messages of the console from
// warnings on, exceptions that nobody caught, what the Content-Security-Policy refused, requests that failed or went to
// another origin.
func (p *Page) Problems() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

// unexpected is what makes the test fail; "" for nothing.
func (p *Page) unexpected() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var wrong []string
	for _, line := range p.seen {
		if !slices.ContainsFunc(p.wanted, func(text string) bool { return strings.Contains(line, text) }) {
			wrong = append(wrong, line)
		}
	}
	for _, text := range p.wanted {
		if !slices.ContainsFunc(p.seen, func(line string) bool { return strings.Contains(line, text) }) {
			wrong = append(wrong, fmt.Sprintf("expected %q: nothing like it happened", text))
		}
	}
	const shown = 20
	if len(wrong) > shown {
		wrong = append(wrong[:shown], fmt.Sprintf("and %d more", len(wrong)-shown))
	}
	return strings.Join(wrong, "\n")
}

// event is called for everything that happens in the page.
func (p *Page) event(method string, raw json.RawMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var e pageEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		p.problem("%s: %v", method, err)
		return
	}
	switch method {
	case "Page.lifecycleEvent":
		if e.Name == "load" && e.FrameID == p.target {
			p.loaded[e.LoaderID] = true
		}
	case "Log.entryAdded":
		if e.Entry.Level == "warning" || e.Entry.Level == "error" {
			p.problem("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	case "Runtime.consoleAPICalled":
		if e.Type == "warning" || e.Type == "error" || e.Type == "assert" {
			p.problem("console.%s: %s", e.Type, e.console())
		}
	case "Runtime.exceptionThrown":
		p.problem("exception: %s (%s:%d)", &e.ExceptionDetails, e.ExceptionDetails.URL, e.ExceptionDetails.Line+1)
	case "Network.requestWillBeSent":
		p.request(&e)
	case "Network.responseReceived":
		if e.Type == "Document" && e.FrameID == p.target {
			p.status = e.Response.Status
		}
	case "Network.loadingFailed":
		// A page that is left gives up what it still asks for.
		if !e.Canceled {
			p.problem("request failed: %s %s: %s %s", p.sent[e.RequestID].method, p.sent[e.RequestID].url, e.ErrorText, e.Blocked)
		}
	}
}

// pageEvent has the fields of all events that a Page looks at.
type pageEvent struct {
	// Page.lifecycleEvent
	Name     string `json:"name"`
	FrameID  string `json:"frameId"`
	LoaderID string `json:"loaderId"`
	// Log.entryAdded
	Entry struct{ Level, Text, URL string } `json:"entry"`
	// Runtime.consoleAPICalled; Type is also that of a network event: Document, Script and so on
	Type string `json:"type"`
	Args []struct {
		Value       json.RawMessage `json:"value"`
		Description string          `json:"description"`
	} `json:"args"`
	// Runtime.exceptionThrown
	ExceptionDetails exception `json:"exceptionDetails"`
	// Network
	RequestID string                       `json:"requestId"`
	Request   struct{ Method, URL string } `json:"request"`
	Response  struct{ Status int }         `json:"response"`
	ErrorText string                       `json:"errorText"`
	Blocked   string                       `json:"blockedReason"`
	Canceled  bool                         `json:"canceled"`
}

// console is what a call of console.error and the like was given.
func (e *pageEvent) console() string {
	var words []string
	for _, a := range e.Args {
		word := a.Description
		if word == "" {
			word = string(a.Value)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func (p *Page) request(e *pageEvent) {
	p.sent[e.RequestID] = sentWhat{e.Request.Method, e.Request.URL}
	if o := origin(e.Request.URL); o != "" && !p.ours[o] {
		p.problem("request to another origin: %s %s", e.Request.Method, e.Request.URL)
	}
}

func (p *Page) problem(format string, args ...any) {
	line := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	p.seen = append(p.seen, shorten(line, 400))
}

// origin of a URL that is sent over the network; "" for data: and the like.
func origin(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

package browsertest

import (
	"bytes"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const strict = "default-src 'self'"

// right is a page with nothing wrong.
const right = `<!doctype html><html lang="en"><head><title>Right</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head><body><main>
<h1>Right</h1>
<p id="intro">All is <b>well</b>.</p>
<noscript><p id="without">no script</p></noscript>
<p><a class="first" href="#intro">Intro</a></p>
<form method="post" action="/"><label for="reason">Reason</label> <input id="reason" name="reason">
<button>Pause</button></form>
</main></body></html>`

func TestRightPage(t *testing.T) {
	server := serve(t, strict, right)
	for _, test := range []struct {
		name    string
		options Options
	}{
		{"script", Options{Script: true}},
		{"no script", Options{}},
		{"dark phone", Options{Width: 360, Height: 740, Mobile: true, Dark: true, Script: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			page := Start(t).Page(t, test.options)
			page.Goto(server.URL)
			if page.Status() != http.StatusOK {
				t.Errorf("status %d", page.Status())
			}
			if got := page.Text("#intro"); got != "All is well." {
				t.Errorf("the text is %q", got)
			}
			if n := page.Count("b, h1"); n != 2 {
				t.Errorf("%d elements, want 2", n)
			}
			if n := page.Count("#without"); (n == 1) == test.options.Script {
				t.Errorf("with script %t, %d elements are for those without", test.options.Script, n)
			}
			var dark bool
			page.Eval(`matchMedia("(prefers-color-scheme: dark)").matches`, &dark)
			if dark != test.options.Dark {
				t.Errorf("dark: %t", dark)
			}
			var width int
			page.Eval(`document.documentElement.clientWidth`, &width)
			if want := page.options.Width; width != want {
				t.Errorf("the page is %d pixels wide, want %d", width, want)
			}
			if over := page.Overflows(); len(over) > 0 {
				t.Errorf("these overflow: %s", over)
			}
			page.Axe()
			page.WaitFor(`document.title === "Right"`)
			if got := page.Problems(); len(got) > 0 {
				t.Errorf("problems: %q", got)
			}
		})
	}
}

func TestKeyboard(t *testing.T) {
	server := serve(t, strict, right)
	page := Start(t).Page(t, Options{Authorization: "Bearer right"})
	page.Goto(server.URL)
	want := []Focus{{"a.first", "Intro", true}, {"input#reason", "Reason", true}, {"button", "Pause", true}}
	if got := page.TabOrder(); !reflect.DeepEqual(got, want) {
		t.Errorf("the order is %v, want %v", got, want)
	}
	page.Goto(server.URL + "/#top")
	page.Press("Tab", "Tab", "Shift+Tab", "Tab")
	page.Type("no ne")
	page.Press("ArrowLeft", "ArrowLeft", "Backspace", "End", "d", "Tab")
	page.Through(func() { page.Press("Enter") })
	if got := page.Text("#done"); got != "noned Bearer right" {
		t.Errorf("the form was sent with %q", got)
	}
	page.Goto(server.URL)
	page.Through(func() { page.Click("button") })
	page.WaitFor(`document.title === "done"`)
}

func TestFocusThatDoesNotShow(t *testing.T) {
	server := serve(t, "", `<style>a:focus { outline: none }</style><a href="/">hidden</a>`)
	page := Start(t).Page(t, Options{})
	page.Goto(server.URL)
	page.Press("Tab")
	if got, want := page.Focus(), (Focus{"a", "hidden", false}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Each of these pages is wrong in one way, which a line tells.
func TestWrongPages(t *testing.T) {
	page := Start(t).Page(t, Options{Script: true})
	page.Expect("") // every line of them
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	for _, test := range []struct{ name, policy, body, want string }{
		{"error", "", `<script>console.error("lost", 7, {})</script>`, `console.error: "lost" 7 Object`},
		{"warning", "", `<script>console.warn("soon")</script>`, `console.warning: "soon"`},
		{"exception", "", `<script>nothing.there()</script>`, "exception: Uncaught ReferenceError: nothing is not defined"},
		{"promise", "", `<script>Promise.reject(new Error("broken"))</script>`, "exception: Uncaught (in promise) Error: broken"},
		{"inline script", strict, `<script>1</script>`, "Executing inline script violates the following Content Security Policy"},
		{"inline style", strict, `<p style="color: red">x</p>`, "Applying inline style violates the following Content Security Policy"},
		{"other origin", "", `<img alt="" src="` + other.URL + `/dot.png">`, "request to another origin: GET " + other.URL + "/dot.png"},
		{"other origin refused", strict, `<img alt="" src="` + other.URL + `/dot.png">`, "image '" + other.URL + "/dot.png' violates"},
		{"missing file", "", `<img alt="" src="/secret">`, "status of 401"},
		{"no connection", "", `<img alt="" src="http://127.0.0.1:9/">`, "failed: GET http://127.0.0.1:9/: net::ERR_UNSAFE_PORT"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := serve(t, test.policy, test.body)
			before := len(page.Problems())
			page.Goto(server.URL)
			told, got := false, "" // a rejected promise is told after the page has loaded
			for began := time.Now(); !told && time.Since(began) < time.Minute; time.Sleep(20 * time.Millisecond) {
				got = strings.Join(page.Problems()[before:], "\n")
				told = strings.Contains(got, test.want)
			}
			if !told {
				t.Errorf("tells %q, want %q", got, test.want)
			}
		})
	}
}

func TestExpect(t *testing.T) {
	server := serve(t, "", `<script>console.error("known"); console.error("new")</script>`)
	b := Start(t)
	got := failures(t, func(t testing.TB) {
		page := b.Page(t, Options{Script: true})
		page.Expect("known")
		page.Expect("never")
		page.Goto(server.URL)
	})
	if want := "console.error: \"new\"\nexpected \"never\": nothing like it happened"; got != want {
		t.Errorf("fails with %q, want %q", got, want)
	}
}

func TestCallsFail(t *testing.T) {
	server := serve(t, "", `<button hidden>x</button><b>y</b><i style="position: fixed; inset: 0">z</i>`)
	page := Start(t).Page(t, Options{Script: true})
	page.Expect("ERR_UNSAFE_PORT")
	for _, test := range []struct {
		name string
		call func(*Page)
		want string
	}{
		{"text", func(p *Page) { p.Text("#none") }, "nothing on the page is #none"},
		{"click on nothing", func(p *Page) { p.Click("#none") }, "click on #none: it is not there"},
		{"click on what is hidden", func(p *Page) { p.Click("button") }, "click on button: it is not shown"},
		{"click through", func(p *Page) { p.Click("b") }, "click on b: it is covered by <i"},
		{"key", func(p *Page) { p.Press("Any") }, `there is no key "Any"`},
		{"selector", func(p *Page) { p.Count("<") }, "is not a valid selector"},
		{"address", func(p *Page) { p.Goto("http://127.0.0.1:9/") }, "open http://127.0.0.1:9/: net::ERR_UNSAFE_PORT"},
	} {
		t.Run(test.name, func(t *testing.T) {
			page.Goto(server.URL)
			got := failures(t, func(r testing.TB) {
				page.t = r
				defer func() { page.t = t }()
				test.call(page)
			})
			if !strings.Contains(got, test.want) {
				t.Errorf("fails with %q, want %q", got, test.want)
			}
		})
	}
}

func TestAxeFinds(t *testing.T) {
	server := serve(t, strict, strings.Replace(right, "<label for=", "<label id=", 1))
	b := Start(t)
	for _, script := range []bool{true, false} {
		got := failures(t, func(t testing.TB) {
			page := b.Page(t, Options{Script: script})
			page.Goto(server.URL)
			page.Axe()
		})
		for _, want := range []string{"label (critical): Form elements must have labels", `<input id="reason" name="reason">`} {
			if !strings.Contains(got, want) {
				t.Errorf("with script %t it fails with %q, want %q", script, got, want)
			}
		}
	}
}

func TestOverflows(t *testing.T) {
	server := serve(t, "", `<meta name="viewport" content="width=device-width, initial-scale=1">
		<body style="margin: 0"><p id="wide" style="width: 412px; margin: 0">wide</p>
		<div style="overflow-x: auto"><p style="width: 900px">scrolls</p></div>
		<p class="out left" style="position: absolute; left: -9px; width: 20px">x</p><p id="fits">fits</p>`)
	page := Start(t).Page(t, Options{Width: 360, Mobile: true})
	page.Goto(server.URL)
	want := []string{"p#wide from 0 to 412 of 360 px", "p.out.left from -9 to 11 of 360 px"}
	if got := page.Overflows(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAuthorization(t *testing.T) {
	server := serve(t, "", "in")
	b := Start(t)
	page := b.Page(t, Options{Authorization: "Bearer right"})
	page.Goto(server.URL + "/secret")
	if page.Status() != http.StatusOK || page.Text("body") != "in" {
		t.Errorf("status %d", page.Status())
	}
	page = b.Page(t, Options{})
	page.Expect("status of 401")
	page.Goto(server.URL + "/secret")
	if page.Status() != http.StatusUnauthorized {
		t.Errorf("without a token the status is %d", page.Status())
	}
}

func TestForgedPost(t *testing.T) {
	posted := make(chan string, 1)
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posted <- r.Header.Get("Sec-Fetch-Site") + " " + r.FormValue("reason") + " " + r.Header.Get("Authorization")
		}
	}))
	defer open.Close()
	guarded := serve(t, strict, right)
	page := Start(t).Page(t, Options{Authorization: "Bearer right"})
	fields := url.Values{"reason": {`"><b>`}}
	if got := page.ForgedPost(open.URL, fields); got != http.StatusOK {
		t.Errorf("who is not guarded answers %d", got)
	}
	if got, want := <-posted, `cross-site "><b> Bearer right`; got != want {
		t.Errorf("who is not guarded was sent %q, want %q", got, want)
	}
	if got := page.ForgedPost(guarded.URL, fields); got != http.StatusForbidden {
		t.Errorf("who is guarded answers %d", got)
	}
}

func TestScreenshot(t *testing.T) {
	server := serve(t, "", right+`<div style="height: 1200px; background: #123456"></div>`)
	page := Start(t).Page(t, Options{Width: 600, Height: 400})
	page.Goto(server.URL)
	path := filepath.Join(t.TempDir(), "shot.png")
	page.Screenshot(path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	size := img.Bounds().Size()
	if size.X != 600 || size.Y < 1200 {
		t.Errorf("the picture is %v", size)
	}
	if r, g, b, _ := img.At(300, size.Y-100).RGBA(); r>>8 != 0x12 || g>>8 != 0x34 || b>>8 != 0x56 {
		t.Errorf("the area is %x %x %x", r>>8, g>>8, b>>8)
	}
	if len(text) > 20<<10 {
		t.Errorf("the picture has %d bytes", len(text))
	}
}

package pages_test

import (
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vizstop/internal/browsertest"
)

// TestInABrowser looks at every page in a real browser. All looks share one fleet, under a prefix.
func TestInABrowser(t *testing.T) {
	w := newWorld(t, "/ops/vizstop")
	b := browsertest.Start(t)
	as := func(who string, o browsertest.Options) browsertest.Options {
		o.Authorization = "Bearer " + w.tokens[who]
		return o
	}
	t.Run("every page, wide and light", func(t *testing.T) {
		page := b.Page(t, as("operator", browsertest.Options{Width: 1440, Script: true}))
		page.Expect("status of 404")
		w.everyPage(t, page, true)
	})
	t.Run("every page, a phone in the dark, without script", func(t *testing.T) {
		page := b.Page(t, as("operator", browsertest.Options{Width: 360, Height: 780, Mobile: true, Dark: true}))
		page.Expect("status of 404")
		w.everyPage(t, page, false)
		for _, path := range []string{"/", "/batches/hostile", "/act/cancel?batch=weekend-idle"} {
			page.Goto(w.url + path)
			page.Axe()
			var small []string
			page.Eval(`[...document.querySelectorAll("nav a, button, a.button, input:not([type=hidden]), select, .links a, .pager a, summary")]
				.filter(e => e.getBoundingClientRect().height < 43.5).map(e => e.outerHTML.slice(0, 90))`, &small)
			if len(small) > 0 {
				t.Errorf("%s has targets that are too small for a finger: %q", path, small)
			}
		}
	})
	t.Run("wide in the dark", func(t *testing.T) {
		page := b.Page(t, as("reader", browsertest.Options{Width: 1440, Dark: true}))
		for _, path := range []string{"/", "/batches/sweep-http", "/schedules"} {
			page.Goto(w.url + path)
			page.Axe()
		}
	})
	t.Run("it keeps itself up to date", w.live)
	t.Run("the console is gone", w.gone)
	t.Run("keyboard only", w.keyboard)
	t.Run("another site", func(t *testing.T) {
		page := b.Page(t, as("operator", browsertest.Options{Script: true}))
		if status := page.ForgedPost(w.url+"/act/pause", url.Values{"reason": {"forged"}, "expect": {"x.0.0"}}); status != 403 {
			t.Errorf("a form of another site: %d", status)
		}
	})
}

// everyPage visits every page; nothing may run that comes from outside, and nothing may reach beyond the window.
func (w *world) everyPage(t *testing.T, page *browsertest.Page, axe bool) {
	for _, path := range everyPage {
		page.Goto(w.url + path)
		var title string
		page.Eval("document.title", &title)
		if !strings.HasSuffix(title, " · vizstop") {
			t.Errorf("%s is called %q", path, title)
		}
		if n := page.Count("main img, main script, main [style], main u, main b"); n > 0 {
			t.Errorf("%s has %d elements that came from outside", path, n)
		}
		if over := page.Overflows(); len(over) > 0 {
			t.Errorf("%s is too wide: %q", path, over)
		}
		if axe {
			page.Axe()
		}
	}
}

// live checks that the script shows what has changed, keeps what a person has opened, and rests while somebody types.
func (w *world) live(t *testing.T) {
	page := browsertest.Start(t).Page(t, browsertest.Options{Script: true, Authorization: "Bearer " + w.tokens["reader"]})
	page.Goto(w.url + "/")
	page.WaitFor(`document.getElementById("live").textContent === "live"`)
	page.Click("details summary")
	page.Eval(`window.before = document.getElementById("main"); 0`, nil)
	held := `document.getElementById("main").textContent.includes("paused by")`
	page.WaitFor(held)
	if _, err := w.desk.Release.Resume(t.Context(), paused); err != nil {
		t.Fatal(err)
	}
	page.WaitFor("!" + held)
	page.WaitFor(`window.before !== document.getElementById("main") && document.querySelector("details").open`)
	page.Goto(w.url + "/batches")
	page.Click("input[name=text]")
	page.Type("nightly")
	page.WaitFor(`document.getElementById("live").dataset.state === "paused"`)
	page.Through(func() { page.Press("Enter") })
	if rows := page.Count("tbody tr"); rows != 1 {
		t.Errorf("the search finds %d batches", rows)
	}
	page.Goto(w.url + "/batches")
	page.Click("input[name=text]")
	page.Type("half")
	page.Click("h1") // the field keeps what is written though the keyboard is elsewhere
	page.WaitFor(`document.getElementById("live").dataset.state === "paused" && document.querySelector("input[name=text]").value === "half"`)
}

// gone checks that a page says on top that its console does not answer any more, and takes that back.
func (w *world) gone(t *testing.T) {
	page := browsertest.Start(t).Page(t, browsertest.Options{Script: true, Authorization: "Bearer " + w.tokens["reader"]})
	page.Goto(w.url + "/")
	page.Eval(`window.real = window.fetch; window.fetch = () => Promise.reject(new TypeError("gone")); 0`, nil)
	page.WaitFor(`document.getElementById("away")?.textContent.startsWith("Not from now: the console has not answered since ") && getComputedStyle(document.getElementById("main")).opacity < 1`)
	page.Eval(`window.fetch = window.real; 0`, nil)
	page.WaitFor(`!document.getElementById("away") && getComputedStyle(document.getElementById("main")).opacity === "1"`)
}

// keyboard cancels a batch with the keyboard alone, and without script.
func (w *world) keyboard(t *testing.T) {
	page := browsertest.Start(t).Page(t, browsertest.Options{Authorization: "Bearer " + w.tokens["operator"]})
	page.Goto(w.url + "/")
	order := page.TabOrder()
	if len(order) < 10 || order[0].Text != "Skip to the content" {
		t.Fatalf("Tab leads to %+v", order)
	}
	for _, f := range order {
		if !f.Visible || f.Text == "" {
			t.Errorf("nobody sees that the keyboard is at %+v", f)
		}
	}
	page.Goto(w.url + "/batches/sweep-http")
	reach := func(text string) {
		t.Helper()
		for range 200 {
			page.Press("Tab")
			if strings.HasPrefix(page.Focus().Text, text) {
				return
			}
		}
		t.Fatalf("Tab does not reach %q", text)
	}
	reach("Cancel")
	page.Through(func() { page.Press("Enter") })
	reach("Why")
	page.Type("not needed")
	reach("Type 64")
	page.Type("64")
	page.Through(func() { page.Press("Enter") })
	if said := page.Text("main"); !strings.Contains(said, "was recorded at") || !strings.Contains(said, "64 of 64 have an outcome") {
		t.Errorf("after it the page says %.400q", said)
	}
}

// TestScreenshots writes pictures of the pages into a directory that VIZSTOP_SCREENSHOTS names; without one it is
// not run.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("VIZSTOP_SCREENSHOTS")
	if dir == "" {
		t.Skip("VIZSTOP_SCREENSHOTS names no directory")
	}
	w := newWorld(t, "")
	for _, look := range []struct {
		name string
		o    browsertest.Options
	}{{"light", browsertest.Options{Script: true}}, {"dark", browsertest.Options{Dark: true, Script: true}}, {"phone", browsertest.Options{Width: 360, Height: 780, Mobile: true}}} {
		look.o.Authorization = "Bearer " + w.tokens["operator"]
		page := browsertest.Start(t).Page(t, look.o)
		for name, path := range map[string]string{"overview": "/", "batches": "/batches", "batch": "/batches/20261126-evening", "job": "/jobs/" + project + "/a3f0c9d2-0001",
			"schedules": "/schedules", "limits": "/limits", "actions": "/actions", "confirm": "/act/cancel?batch=weekend-idle", "hostile": "/batches/hostile"} {
			page.Goto(w.url + path)
			page.Screenshot(filepath.Join(dir, name+"-"+look.name+".png"))
		}
	}
	w.readme(dir)
}

// readme writes the pictures of README.md: of the same fleet without hostile texts, and not longer than a screen.
func (w *world) readme(dir string) {
	w.Helper()
	must(w.T, w.admin.ZRem(w.Context(), "vizstop:batches", "hostile").Err())
	_, err := w.desk.Release.Resume(w.Context(), paused)
	must(w.T, err)
	_, err = w.desk.Release.Pause(w.Context(), paused, "lin", "waiting for the owner")
	must(w.T, err)
	w.serve("")
	for name, look := range map[string]struct {
		path string
		dark bool
	}{"readme-overview-light": {"/", false}, "readme-batch-dark": {"/batches/nightly-20261126", true}} {
		page := browsertest.Start(w.T).Page(w.T, browsertest.Options{Script: true, Dark: look.dark, Authorization: "Bearer " + w.tokens["operator"]})
		page.Goto(w.url + look.path)
		path := filepath.Join(dir, name+".png")
		page.Screenshot(path)
		crop(w.T, path)
	}
}

// frequent are the most frequent colours of a picture: text has many shades that nobody misses.
func frequent(p image.Image, area image.Rectangle) color.Palette {
	counts := map[color.Color]int{}
	for y := range area.Dy() {
		for x := range area.Dx() {
			counts[p.At(x, y)]++
		}
	}
	all := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return counts[b] - counts[a] })
	return all[:min(len(all), 64)]
}

// crop cuts a picture off after 1,000 lines and gives it few colours.
func crop(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	whole, err := png.Decode(f)
	must(t, err)
	area := image.Rect(0, 0, whole.Bounds().Dx(), min(1000, whole.Bounds().Dy()))
	cut := image.NewPaletted(area, frequent(whole, area))
	draw.Draw(cut, cut.Bounds(), whole, image.Point{}, draw.Src)
	out, err := os.Create(path)
	must(t, err)
	must(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(out, cut))
	must(t, out.Close())
}

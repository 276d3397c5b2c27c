package browsertest

import (
	"fmt"
	"os"
)

// Overflows names the elements that reach beyond the left or right edge of the window, with where they end in CSS
// pixels. What lies in an element that scrolls or cuts off by itself does not count.
func (p *Page) Overflows() []string {
	p.t.Helper()
	var found []string
	p.Eval(fmt.Sprintf(`(width => {
		const inside = e => {
			for (let up = e.parentElement; up && up !== document.body && up !== document.documentElement; up = up.parentElement)
				if (getComputedStyle(up).overflowX !== "visible") return true;
			return false;
		};
		const found = [];
		for (const e of document.body.querySelectorAll("*")) {
			const r = e.getBoundingClientRect();
			const left = r.left + scrollX, right = r.right + scrollX;
			if (r.width <= 1 || r.height <= 1) continue; // hidden, or there for screen readers only
			if ((right > width + 0.5 || left < -0.5) && !inside(e))
				found.push(%s(e) + " from " + Math.round(left) + " to " + Math.round(right) + " of " + width + " px");
		}
		return found;
	})(%d)`, describe, p.options.Width), &found)
	return found
}

// Screenshot writes the whole page, not only the window, to a small PNG file with a palette; see Shrink.
func (p *Page) Screenshot(path string) {
	p.t.Helper()
	var size struct {
		CSSContentSize struct{ Width, Height float64 }
	}
	p.call(p.session, "Page.getLayoutMetrics", nil, &size)
	const highest = 6000 // CSS pixels
	var shot struct{ Data []byte }
	p.call(p.session, "Page.captureScreenshot", params{
		"format": "png", "captureBeyondViewport": true,
		"clip": params{
			"x": 0, "y": 0, "width": p.options.Width, "scale": 1,
			"height": min(max(size.CSSContentSize.Height, float64(p.options.Height)), highest),
		},
	}, &shot)
	small, err := Shrink(shot.Data, screenshotColours)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, small, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// The picture, in pixels.
const (
	svgWidth, svgHeight      = 720, 360
	plotLeft, plotRight      = 70, 700
	plotTop, plotBottom      = 72, 304
	legendTop                = 54
	ticksWanted, legendWidth = 6, 215
)

// svgStyle makes the picture readable on light and on dark pages: it has a
// ground of its own, which follows the reader's scheme.
const svgStyle = `
  .ground { fill: #ffffff } text { fill: #1f2328; font: 13px sans-serif } .title { font-size: 15px; font-weight: bold }
  .grid { stroke: #d8dee4 } .line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
  .s0 { stroke: #8250df } .s1 { stroke: #1a7f37 } .s2 { stroke: #bc4c00 } .s3 { stroke: #0969da }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } text { fill: #e6edf3 } .grid { stroke: #30363d }
    .s0 { stroke: #d2a8ff } .s1 { stroke: #56d364 } .s2 { stroke: #ffa657 } .s3 { stroke: #79c0ff }
  }
`

// svg draws the plot.
func (p *plot) svg() string {
	var b strings.Builder
	xMax, yMax := p.extent()
	xStep, yStep := niceStep(xMax), niceStep(yMax)
	xMax, yMax = math.Ceil(xMax/xStep)*xStep, math.Ceil(yMax/yStep)*yStep
	x := func(v float64) float64 { return plotLeft + v/xMax*(plotRight-plotLeft) }
	y := func(v float64) float64 { return plotBottom - v/yMax*(plotBottom-plotTop) }

	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`+"\n",
		svgWidth, svgHeight, svgWidth, svgHeight, html.EscapeString(p.Title))
	fmt.Fprintf(&b, "<style>%s</style>\n", svgStyle)
	fmt.Fprintf(&b, `<rect class="ground" width="%d" height="%d" rx="8"/>`+"\n", svgWidth, svgHeight)
	fmt.Fprintf(&b, `<text class="title" x="%d" y="26">%s</text>`+"\n", plotLeft, html.EscapeString(p.Title))
	for i := range ticks(yMax, yStep) {
		v := float64(i) * yStep
		fmt.Fprintf(&b, `<path class="grid" d="M%d %.1fH%d"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			plotLeft, y(v), plotRight, plotLeft-8, y(v)+4, tick(v))
	}
	for i := range ticks(xMax, xStep) {
		v := float64(i) * xStep
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(v), plotBottom+20, tick(v))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", plotRight, plotBottom+42, html.EscapeString(p.XUnit))
	fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text>`+"\n", 10, legendTop, html.EscapeString(p.YUnit))
	for i, s := range p.Series {
		var path strings.Builder
		for j, pt := range s.Points {
			if j == 0 {
				fmt.Fprintf(&path, "M%.1f %.1f", x(pt[0]), y(pt[1]))
				continue
			}
			fmt.Fprintf(&path, "H%.1fV%.1f", x(pt[0]), y(pt[1]))
		}
		fmt.Fprintf(&b, `<path class="line s%d" d="%s"/>`+"\n", i%4, &path)
		left := plotRight - legendWidth*(len(p.Series)-i) + 30
		fmt.Fprintf(&b, `<path class="line s%d" d="M%d %dh22"/><text x="%d" y="%d">%s</text>`+"\n",
			i%4, left, legendTop-4, left+28, legendTop, html.EscapeString(s.Name))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p *plot) extent() (x, y float64) {
	x, y = 1e-9, 1e-9 // never nothing
	for _, s := range p.Series {
		for _, pt := range s.Points {
			x, y = max(x, pt[0]), max(y, pt[1])
		}
	}
	return x, y
}

// niceStep is the distance of ticks, 1, 2 or 5 times a power of ten, with which
// an axis up to most has about ticksWanted of them.
func niceStep(most float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(most/ticksWanted)))
	for _, f := range []float64{1, 2, 5} {
		if most/(f*power) <= ticksWanted {
			return f * power
		}
	}
	return 10 * power
}

// ticks is how many ticks an axis has, the one at zero included.
func ticks(most, step float64) int { return int(math.Round(most/step)) + 1 }

func tick(v float64) string {
	if v >= 10_000 {
		return fmt.Sprintf("%gk", v/1000)
	}
	return fmt.Sprintf("%g", math.Round(v*1e6)/1e6)
}

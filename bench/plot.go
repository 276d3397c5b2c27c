package main

import (
	"os"
	"path/filepath"
	"slices"
)

// plot is one picture: lines over two axes that begin at zero.
type plot struct {
	File   string   `json:"file"` // without the ending
	Title  string   `json:"title"`
	XUnit  string   `json:"x_unit"`
	YUnit  string   `json:"y_unit"`
	Series []series `json:"series"`
}

type series struct {
	Name   string  `json:"name"`
	Points []point `json:"points"` // by x
}

type point [2]float64

// plotPoints is how many points of a distribution are kept: more can't be seen.
const plotPoints = 100

// confirmedPlot shows how many stops were confirmed by when, in the first round
// of each side.
func confirmedPlot(file, title string, sides []side, runs runsBySide) *plot {
	p := &plot{File: file, Title: title, XUnit: "seconds since asking", YUnit: "stops confirmed"}
	for _, s := range sides {
		p.Series = append(p.Series, series{s.name, cumulative(runs[s.name][0].Confirmed, float64(s.jobs))})
	}
	return p
}

// distributionPlot shows the share of jobs for which a number is at most x, over
// all rounds.
func distributionPlot(file, title, xUnit string, sides []side, runs runsBySide,
	numbers func(*sideRun) []float64) *plot {
	p := &plot{File: file, Title: title, XUnit: xUnit, YUnit: "% of jobs"}
	for _, s := range sides {
		var all []float64
		for _, r := range runs[s.name] {
			all = append(all, numbers(r)...)
		}
		p.Series = append(p.Series, series{s.name, cumulative(all, 100)})
	}
	return p
}

// cumulative is how much of top lies at or below each value: a staircase, with
// no more steps than can be seen.
func cumulative(values []float64, top float64) []point {
	values = slices.Sorted(slices.Values(values))
	points := []point{{0, 0}}
	for i := range plotPoints {
		n := (i + 1) * len(values) / plotPoints
		if n == 0 {
			continue
		}
		// All that are equal belong to one step.
		last := values[n-1]
		for n < len(values) && values[n] == last {
			n++
		}
		if points[len(points)-1][0] == last {
			continue
		}
		points = append(points, point{last, top * float64(n) / float64(len(values))})
	}
	return points
}

// drawPlots writes an SVG file for each plot into dir/plots.
func (r *results) drawPlots(dir string) error {
	dir = filepath.Join(dir, "plots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, m := range r.Measurements {
		for _, p := range m.Plots {
			if err := os.WriteFile(filepath.Join(dir, p.File+".svg"), []byte(p.svg()), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

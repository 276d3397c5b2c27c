package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// results is everything that was measured, as results.json keeps it.
type results struct {
	Measurements map[string]*measurement `json:"measurements"`
}

// measurement is what one measure has shown.
type measurement struct {
	Title   string  `json:"title"`
	Work    string  `json:"work"`
	How     string  `json:"how"` // how it was measured: what a reader needs to judge it
	Goals   []goal  `json:"goals"`
	Columns []col   `json:"columns"`
	Rows    []row   `json:"rows"`
	Plots   []*plot `json:"plots,omitempty"`

	Runs runsBySide `json:"runs,omitempty"`

	Date    string  `json:"date"`
	Took    string  `json:"took"`
	Machine machine `json:"machine"`
}

// goal is one number that is to be reached.
type goal struct {
	What   string    `json:"what"`
	Unit   string    `json:"unit"`
	Most   float64   `json:"most,omitempty"`  // at most this
	Least  float64   `json:"least,omitempty"` // or at least this
	Rounds []float64 `json:"rounds"`          // one value a round
}

// atMost is a goal that is reached by no more than a limit, atLeast one by no less.
func atMost(what, unit string, limit float64, rounds []float64) goal {
	return goal{What: what, Unit: unit, Most: limit, Rounds: rounds}
}

func atLeast(what, unit string, limit float64, rounds []float64) goal {
	return goal{What: what, Unit: unit, Least: limit, Rounds: rounds}
}

func (g goal) met() bool {
	if g.Least > 0 {
		return median(g.Rounds) >= g.Least
	}
	return median(g.Rounds) <= g.Most
}

func (g goal) verdict() string {
	if g.met() {
		return "met"
	}
	return "missed"
}

func (g goal) limit() string {
	if g.Least > 0 {
		return "≥ " + number(g.Least) + unit(g.Unit)
	}
	return "≤ " + number(g.Most) + unit(g.Unit)
}

func (g goal) value() string { return spread(g.Rounds) + unit(g.Unit) }

func unit(u string) string {
	if u == "" || u == "×" {
		return u
	}
	return " " + u
}

// col is a column of a measurement's table.
type col struct {
	Title string `json:"title"`
	Unit  string `json:"unit,omitempty"`
}

// row is a row of that table; Cells hold one value a round, none for a blank.
type row struct {
	Name  string      `json:"name"`
	Cells [][]float64 `json:"cells"`
}

// spread is the median with the extremes, if there was more than one round.
func spread(values []float64) string {
	if len(values) == 0 {
		return ""
	}
	lo, hi := number(slices.Min(values)), number(slices.Max(values))
	if lo == hi {
		return number(median(values))
	}
	return fmt.Sprintf("%s (%s to %s)", number(median(values)), lo, hi)
}

// number shows three digits that matter.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
}

const resultsFile = "results.json"

func loadResults(dir string) (*results, error) {
	r := &results{Measurements: map[string]*measurement{}}
	b, err := os.ReadFile(filepath.Join(dir, resultsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", resultsFile, err)
	}
	return r, nil
}

// write keeps the results and writes tables and plots from them.
func (r *results) write(dir string) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, resultsFile), append(b, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "RESULTS.md"), []byte(r.markdown()), 0o644); err != nil {
		return err
	}
	return r.drawPlots(dir)
}

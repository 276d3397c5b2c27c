package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func someResults() *results {
	return &results{Measurements: map[string]*measurement{"wall": {
		Title: "Wall time", Work: "work", How: "How.",
		Goals: []goal{
			{What: "slow", Unit: "×", Most: 1.3, Rounds: []float64{1.5, 1.2, 1.4}},
			{What: "share", Unit: "×", Least: 0.6, Rounds: []float64{0.6}},
		},
		Columns: []col{{"wall time", "s"}, {"calls", ""}},
		Rows:    []row{{"vizstop", [][]float64{{2, 1, 3}, {2}}}},
		Runs: map[string][]*sideRun{"vizstop": {{CPU: map[string]float64{"redis": 0.5},
			RedisCommands: map[string]command{"get": {Calls: 3}}}}},
		Plots: []*plot{{File: "p", Title: "A <plot> & more", XUnit: "s", YUnit: "%",
			Series: []series{{"a & b", []point{{0, 0}, {2.5, 40}, {10, 100}}}}}},
	}}}
}

func TestMarkdownSaysWhatIsMissed(t *testing.T) {
	page := someResults().markdown()
	for _, want := range []string{
		"| slow | work | ≤ 1.30× | 1.40 (1.20 to 1.50)× | **missed** |",
		"| share | work | ≥ 0.60× | 0.60× | met |",
		"| | wall time, s | calls |",
		"| vizstop | 2.00 (1.00 to 3.00) | 2.00 |",
		"| vizstop | 0.50 | 3.00 | 0 |",
		"![A <plot> & more](plots/p.svg)",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in:\n%s", want, page)
		}
	}
}

func TestResultsOutliveTheirFile(t *testing.T) {
	dir := t.TempDir()
	first := someResults()
	if err := first.write(dir); err != nil {
		t.Fatal(err)
	}
	again, err := loadResults(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again.markdown() != first.markdown() {
		t.Errorf("read back it says:\n%s", again.markdown())
	}
	svg, err := os.ReadFile(filepath.Join(dir, "plots", "p.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the plot is no XML: %v\n%s", err, svg)
		}
	}
}

func TestCumulative(t *testing.T) {
	got := cumulative([]float64{3, 1, 1, 2}, 100)
	want := []point{{0, 0}, {1, 50}, {2, 75}, {3, 100}}
	if !slices.Equal(got, want) {
		t.Errorf("cumulative = %v, want %v", got, want)
	}
}

func TestTicksAreFewAndRound(t *testing.T) {
	for most, want := range map[float64]float64{1: 0.2, 7: 2, 40: 10, 100: 20, 5000: 1000, 0.03: 0.005} {
		if got := niceStep(most); got/want < 0.999 || got/want > 1.001 {
			t.Errorf("step up to %v = %v, want %v", most, got, want)
		}
	}
}

func TestChoose(t *testing.T) {
	if got, err := choose("scale,wall"); err != nil || len(got) != 2 || got[0].name != "scale" {
		t.Errorf("choose = %v, %v", got, err)
	}
	if _, err := choose("nothing"); err == nil {
		t.Error("an unknown name was taken")
	}
}

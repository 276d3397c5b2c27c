package pages

import (
	"fmt"
	"math"
	"time"

	"vizstop/internal/estimate"
	"vizstop/internal/lasthour"
	"vizstop/internal/ledger"
)

// chart is 60 minutes as bars. It is drawn here, as SVG; the same figures are in a table beside it.
type chart struct {
	Name    string
	Said    string // all of it in a sentence
	Width   int
	Height  int
	Top     string // what the upper edge stands for
	Half    string
	Legend  []legend
	Columns []column
}

// legend explains one series.
type legend struct{ Class, Name, Value string }

// column is a minute, its bars from the bottom up.
type column struct {
	X    int
	Told string // for who points at it
	Bars []bar
}

// bar is a part of a column.
type bar struct {
	Class     string
	Y, Height float64
}

const (
	chartHeight = 96
	columnStep  = 6
)

// series is one value a minute.
type series struct {
	class, name string
	of          func(lasthour.Minute) float64
}

// draw makes a chart. Series stand on each other, or in front of each other if they overlap; then the largest is first.
func draw(name string, minutes []lasthour.Minute, words func(float64) string, overlap bool, all ...series) chart {
	c := chart{Name: name, Width: columnStep*len(minutes) - 1, Height: chartHeight}
	most := 0.0
	for _, m := range minutes {
		sum := 0.0
		for _, s := range all {
			if overlap {
				sum = max(sum, s.of(m))
			} else {
				sum += s.of(m)
			}
		}
		most = max(most, sum)
	}
	top := nice(most)
	c.Top, c.Half = words(top), words(top/2)
	for i, m := range minutes {
		col := column{X: i * columnStep, Told: m.Start.UTC().Format("15:04")}
		y := float64(chartHeight)
		for _, s := range all {
			v := s.of(m)
			if v <= 0 {
				continue
			}
			h := max(1.5, math.Round(10*v/top*chartHeight)/10)
			if overlap {
				y = chartHeight
			}
			y = max(0, y-h)
			col.Bars = append(col.Bars, bar{s.class, math.Round(10*y) / 10, h})
			col.Told += fmt.Sprintf(", %s %s", words(v), s.name)
		}
		c.Columns = append(c.Columns, col)
	}
	return c
}

// nice is a round number from v on.
func nice(v float64) float64 {
	if v <= 2 {
		return 2
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, k := range []float64{1, 2, 4, 5, 6, 8, 10} {
		if k*unit >= v {
			return k * unit
		}
	}
	return 10 * unit
}

// hour is the last hour for people.
type hour struct {
	Trouble string
	Charts  []chart
	Minutes []minuteRow // those in which something happened, the newest first
	From    time.Time
}

// minuteRow is a line of the table.
type minuteRow struct {
	Start            time.Time
	Good, Bad, Other int
	P50, P95         time.Duration
	Calls, Refused   int
}

func newRow(m lasthour.Minute) minuteRow {
	row := minuteRow{Start: m.Start, P50: m.Lag.Quantile(0.5), P95: m.Lag.Quantile(0.95)}
	for state, n := range m.Outcomes {
		switch {
		case state.Good():
			row.Good += n
		case state == ledger.Canceled:
			row.Other += n
		default:
			row.Bad += n
		}
	}
	for _, c := range m.Calls {
		row.Calls += c.Good + c.Bad + c.Throttled
		row.Refused += c.Bad + c.Throttled
	}
	return row
}

// newHour draws what happened.
func newHour(minutes []lasthour.Minute, trouble string) *hour {
	h := &hour{Trouble: trouble}
	if len(minutes) == 0 {
		return h
	}
	h.From = minutes[0].Start
	peak := 0
	for i := len(minutes) - 1; i >= 0; i-- {
		row := newRow(minutes[i])
		peak = max(peak, row.Good)
		row.Start = minutes[i].Start
		if row.Good+row.Bad+row.Other+row.Calls > 0 {
			h.Minutes = append(h.Minutes, row)
		}
	}
	sum := lasthour.Sum(minutes...)
	total := newRow(sum)
	number := func(v float64) string { return estimate.Count(int(math.Round(v))) }
	of := func(pick func(minuteRow) int) func(lasthour.Minute) float64 {
		return func(m lasthour.Minute) float64 { return float64(pick(newRow(m))) }
	}
	through := draw("Confirmed each minute", minutes, number, false,
		series{"good", "confirmed", of(func(r minuteRow) int { return r.Good })})
	through.Said = fmt.Sprintf("%s in the last hour, at most %s in one minute.", plural(total.Good, "stop confirmed", "stops confirmed"), estimate.Count(peak))
	through.Legend = []legend{{"good", "confirmed", estimate.Count(total.Good)}}

	seconds := func(v float64) string {
		return span(time.Duration(v * float64(time.Second)).Round(100 * time.Millisecond))
	}
	lag := draw("Lag until confirmed", minutes, seconds, true,
		series{"p95", "at 95 %", func(m lasthour.Minute) float64 { return m.Lag.Quantile(0.95).Seconds() }},
		series{"p50", "at 50 %", func(m lasthour.Minute) float64 { return m.Lag.Quantile(0.5).Seconds() }})
	if sum.Lag.Count() > 0 {
		p50, p95 := span(sum.Lag.Quantile(0.5)), span(sum.Lag.Quantile(0.95))
		lag.Said = "Half of the stops were confirmed within about " + p50 + " of being due, 95 % within about " + p95 + "."
		lag.Legend = []legend{{"p50", "half within about", p50}, {"p95", "95 % within about", p95}}
	} else {
		lag.Said = "No stop was confirmed in the last hour."
	}

	outcomes := draw("Outcomes each minute", minutes, number, false,
		series{"bad", "failed", of(func(r minuteRow) int { return r.Bad })},
		series{"quiet", "canceled", of(func(r minuteRow) int { return r.Other })},
		series{"good", "confirmed", of(func(r minuteRow) int { return r.Good })})
	outcomes.Said = "In the last hour: no stop ended."
	if len(sum.Outcomes) > 0 {
		outcomes.Said = "In the last hour:"
		for _, o := range ledger.Outcomes() {
			if n := sum.Outcomes[o]; n > 0 {
				outcomes.Said += fmt.Sprintf(" %s %s,", estimate.Count(n), say(o))
				outcomes.Legend = append(outcomes.Legend, legend{class(o), say(o), estimate.Count(n)})
			}
		}
		outcomes.Said = outcomes.Said[:len(outcomes.Said)-1] + "."
	}

	calls := draw("API calls each minute", minutes, number, false,
		series{"bad", "refused or failed", of(func(r minuteRow) int { return r.Refused })},
		series{"busy", "answered", of(func(r minuteRow) int { return r.Calls - r.Refused })})
	calls.Said = fmt.Sprintf("%s in the last hour, %s of them refused or failed.", plural(total.Calls, "API call", "API calls"), estimate.Count(total.Refused))
	calls.Legend = []legend{{"busy", "answered", estimate.Count(total.Calls - total.Refused)}, {"bad", "refused or failed", estimate.Count(total.Refused)}}
	h.Charts = []chart{through, lag, outcomes, calls}
	return h
}

package main

import (
	"math"
	"slices"
)

// median of values, of which there must be one at least.
func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile is the value below which a share q of the values lies, with linear
// interpolation between neighbors. There must be one value at least.
func quantile(values []float64, q float64) float64 {
	values = slices.Sorted(slices.Values(values))
	place := q * float64(len(values)-1)
	low := int(math.Floor(place))
	high := min(low+1, len(values)-1)
	return values[low] + (values[high]-values[low])*(place-float64(low))
}

// over makes one number of each run.
func over(runs []*sideRun, number func(*sideRun) float64) []float64 {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = number(r)
	}
	return values
}

// walls are the wall times of runs.
func walls(runs []*sideRun) []float64 { return over(runs, func(r *sideRun) float64 { return r.Wall }) }

// lags are one quantile of the lag of each run.
func lags(runs []*sideRun, q float64) []float64 {
	return over(runs, func(r *sideRun) float64 { return quantile(r.Lag, q) })
}

// pickups are one quantile of the pick-up of each run, in seconds.
func pickups(runs []*sideRun, q float64) []float64 {
	return over(runs, func(r *sideRun) float64 { return quantile(r.Pickup, q) })
}

// numbers are what runs have under a name.
func numbers(runs []*sideRun, name string) []float64 {
	return over(runs, func(r *sideRun) float64 { return r.Numbers[name] })
}

// ratios divides round by round: a and b are from the same rounds.
func ratios(a, b []float64) []float64 {
	values := make([]float64, min(len(a), len(b)))
	for i := range values {
		values[i] = a[i] / b[i]
	}
	return values
}

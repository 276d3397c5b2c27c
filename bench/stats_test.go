package main

import (
	"math"
	"slices"
	"testing"
)

func TestQuantile(t *testing.T) {
	values := []float64{4, 1, 3, 2}
	for q, want := range map[float64]float64{0: 1, 0.5: 2.5, 1: 4, 0.95: 3.85} {
		if got := quantile(values, q); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v = %v, want %v", q, got, want)
		}
	}
	if !slices.Equal(values, []float64{4, 1, 3, 2}) {
		t.Error("the values were moved")
	}
	if got := median([]float64{7}); got != 7 {
		t.Errorf("median of one = %v", got)
	}
}

func TestRatiosAreRoundByRound(t *testing.T) {
	if got := ratios([]float64{2, 9}, []float64{1, 3, 5}); !slices.Equal(got, []float64{2, 3}) {
		t.Errorf("ratios = %v", got)
	}
}

package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"vizstop/internal/estimate"
)

func TestLines(t *testing.T) {
	var out bytes.Buffer
	end := time.Now().Add(time.Hour)
	p := NewProgress(&out, false, false)
	for _, s := range []Sight{
		{Done: 1200, Total: 5000, End: end},
		{Done: 1201, Total: 5000, End: end}, // too soon for another line
		{Done: 1201, Total: 5000, Why: []string{"all stop calls paused by \x1b[2Jmallory"}},
		{Done: 1201, Total: 5000, Why: []string{"all stop calls paused by \x1b[2Jmallory"}},
		{Done: 1201, Total: 5000},
		{Done: 5000, Total: 5000},
		{Done: 5000, Total: 5000},
	} {
		p.Show(s)
	}
	p.Close()
	want := "1,200 of 5,000 stops have an outcome; expected end at about " + estimate.Clock(end, time.Now()) + "\n" +
		"all stop calls paused by [2Jmallory\n" +
		"5,000 of 5,000 stops have an outcome\n"
	if out.String() != want {
		t.Errorf("shown:\n%swant:\n%s", &out, want)
	}
}

func TestBar(t *testing.T) {
	var out bytes.Buffer
	end := time.Now().Add(time.Hour)
	p := NewProgress(&out, true, false)
	p.Show(Sight{Done: 0, Total: 50, End: end})
	p.Show(Sight{Done: 10, Total: 50, Why: []string{"no worker is alive"}})
	p.Show(Sight{Done: 50, Total: 50})
	p.Close()
	for _, want := range []string{"ended, all at about " + estimate.Clock(end, time.Now()), "\rno worker is alive\n", "ended 100%", "(50/50)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, &out)
		}
	}
}

func TestQuiet(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(&out, true, true)
	p.Show(Sight{Done: 1, Total: 2, Why: []string{"paused"}})
	p.Close()
	if out.Len() > 0 {
		t.Errorf("shown: %q", &out)
	}
}

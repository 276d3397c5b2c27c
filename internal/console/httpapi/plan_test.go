package httpapi

import (
	"net/http/httptest"
	"testing"
	"time"
)

// A repeat finds the time that "at" meant first, even if it is over; "in" counts from each request.
func TestPlan(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 20, 30, 0, 0, time.UTC)
	first := time.Date(2026, 11, 26, 19, 0, 0, 0, time.UTC) // 20:00 in Berlin
	for _, c := range []struct {
		o     options
		fixed time.Time
		want  time.Time
	}{
		{options{}, time.Time{}, now},
		{options{In: "2h"}, time.Time{}, now.Add(2 * time.Hour)},
		{options{At: "20:00", Timezone: "Europe/Berlin"}, time.Time{}, first.AddDate(0, 0, 1)},
		{options{At: "20:00", Timezone: "Europe/Berlin"}, first, now},
		{options{At: "23:00"}, now.Add(time.Hour), now.Add(time.Hour)},
		{options{At: "23:00"}, time.Time{}, now.Add(150 * time.Minute)}, // UTC
	} {
		plan, err := c.o.plan(now, c.fixed)
		if err != nil || !plan.First.Equal(c.want) {
			t.Errorf("%+v, fixed %v: %v, %v, want %v", c.o, c.fixed, plan.First, err, c.want)
		}
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"*/*": typeJSON, "text/csv": typeCSV, "text/*": typeCSV, "application/json;q=0.5, text/csv": typeCSV, "text/csv;q=0, */*;q=0.1": typeJSON,
		"application/x-ndjson; charset=utf-8": typeNDJSON, "image/png": "", "application/json;q=0": "", "": "", ";;;,": "", "APPLICATION/JSON": typeJSON,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", header)
		if got, err := accepted(r, typeJSON, typeNDJSON, typeCSV); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", header, got, err, want)
		}
	}
}

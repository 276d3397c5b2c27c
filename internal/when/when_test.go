package when

import (
	"math"
	"strings"
	"testing"
	"time"
)

// zone is a zone that every machine must know.
func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// at reads a time for tests.
func at(t *testing.T, text string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func TestNothingSaid(t *testing.T) {
	now := time.Now()
	plan, err := Parse(Spec{}, now)
	if want := (Plan{First: now.Round(0), Deadline: time.Hour, made: now.Round(0)}); err != nil || plan != want {
		t.Errorf("plan is %+v, %v, want %+v", plan, err, want)
	}
}

func TestEverythingSaid(t *testing.T) {
	now := at(t, "2026-11-23T18:00:00Z")
	plan, err := Parse(Spec{At: "20:00", Spread: "10m", Deadline: "1h30m", Timezone: "Europe/Berlin"}, now)
	if err != nil || plan.First.Format(time.RFC3339) != "2026-11-23T20:00:00+01:00" ||
		plan.Spread != 10*time.Minute || plan.Deadline != 90*time.Minute {
		t.Errorf("plan is %+v, %v", plan, err)
	}
	plan, err = Parse(Spec{In: "2h"}, now)
	if err != nil || !plan.First.Equal(now.Add(2*time.Hour)) || plan.First.Hour() != 20 {
		t.Errorf("plan is %+v, %v", plan, err)
	}
}

func TestFaultsNameTheirFlag(t *testing.T) {
	now := at(t, "2026-11-23T18:00:00Z")
	const example = " is not a duration such as 500ms, 90s or 1h30m"
	for want, spec := range map[string]Spec{
		"--at and --in exclude each other":                                                         {At: "20:00", In: "2h"},
		`--in: "2d"` + example + ": write 48h":                                                     {In: "2d"},
		`--in: "d"` + example:                                                                      {In: "d"},
		`--in: "-2d"` + example:                                                                    {In: "-2d"},
		"--in: -1s is not between 0s and 720h0m0s":                                                 {In: "-1s"},
		`--spread: "ten"` + example:                                                                {Spread: "ten"},
		"--spread: 721h0m0s is not between 0s and 720h0m0s":                                        {Spread: "721h"},
		"--deadline: 0s is not between 1s and 720h0m0s":                                            {Deadline: "0"},
		`--timezone: "Berlin" is not a time zone such as Europe/Berlin or UTC`:                     {Timezone: "Berlin", At: "nonsense"},
		"--timezone goes with --at: without it there is no time of day to look up":                 {Timezone: "Asia/Shanghai", In: "2h"},
		`--timezone: "../etc/passwd" is not a time zone such as Europe/Berlin or UTC`:              {Timezone: "../etc/passwd"},
		"--spread: \"x\"" + example + "\n--deadline: \"y\"" + example:                              {Spread: "x", Deadline: "y"},
		`--at: "25:00" is not a time such as 20:00, 2026-11-23 20:00 or 2026-11-23T20:00:00+01:00`: {At: "25:00"},
	} {
		plan, err := Parse(spec, now)
		if err == nil || err.Error() != want || plan != (Plan{}) {
			t.Errorf("%+v: %+v, %v\nwant %s", spec, plan, err, want)
		}
	}
}

func TestDueIsEven(t *testing.T) {
	first := at(t, "2026-11-23T20:00:00Z")
	plan := Plan{First: first, Spread: 10 * time.Minute, Deadline: time.Hour}
	for i, want := range []time.Duration{0, 150 * time.Second, 300 * time.Second, 450 * time.Second} {
		due := plan.Due(i, 4)
		if got := due.Sub(first); got != want {
			t.Errorf("stop %d of 4 is due after %v, want %v", i, got, want)
		}
		if got := plan.DeadlineOf(due).Sub(due); got != time.Hour {
			t.Errorf("its deadline is %v later", got)
		}
	}
	for _, odd := range []struct{ i, n int }{{0, 0}, {0, 1}, {5, 1}, {-1, 4}} {
		if got := plan.Due(odd.i, odd.n); got != first {
			t.Errorf("stop %d of %d is due at %v", odd.i, odd.n, got)
		}
	}
}

func TestDueOfMany(t *testing.T) {
	plan := Plan{First: at(t, "2026-11-23T20:00:00Z"), Spread: maxDuration}
	const n = 3_000_000 // spread times i is more than 63 bits hold
	if got, want := plan.Due(n/2, n).Sub(plan.First), maxDuration/2; got != want {
		t.Errorf("the middle one is due after %v, want %v", got, want)
	}
	if got := plan.Due(n-1, n).Sub(plan.First); got >= maxDuration || got < maxDuration-2*time.Second {
		t.Errorf("the last one is due after %v", got)
	}
	if got := plan.Due(math.MaxInt, math.MaxInt).Sub(plan.First); got != maxDuration {
		t.Errorf("past the last one it is %v", got)
	}
	if got := (Plan{First: plan.First}).Due(7, n); got != plan.First {
		t.Errorf("without a spread it is %v", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"20:00", "2026-11-23 20:00", "2026-11-23T20:00:00+01:00", "02:30:59", "24:00"} {
		f.Add(text, "2h", "10m", "1h", "Europe/Berlin", int64(1795460400))
	}
	f.Add("02:30", "", "", "", "Europe/Berlin", int64(1774742400))
	f.Add("00:30", "", "", "", "America/Havana", int64(1772866800))
	f.Fuzz(func(t *testing.T, at, in, spread, deadline, zone string, unix int64) {
		const year10000 = 253402300800
		now := time.Unix(((unix%year10000)+year10000)%year10000, 0).UTC()
		plan, err := Parse(Spec{at, in, spread, deadline, zone}, now)
		if err != nil {
			if plan != (Plan{}) || strings.ContainsAny(err.Error(), "\x1b") {
				t.Fatalf("%+v, %q", plan, err)
			}
			return
		}
		if plan.First.Before(now) || plan.First.Sub(now) > maxAhead || plan.Spread < 0 || plan.Deadline < minDeadline {
			t.Fatalf("plan is %+v at %v", plan, now)
		}
	})
}

// A plan that is confirmed a while later counts from then, unless the clock was named.
func TestFrom(t *testing.T) {
	const made, confirmed = "2026-11-23T18:00:00+01:00", "2026-11-23T18:00:40+01:00"
	for _, tt := range []struct {
		spec Spec
		want string
	}{
		{Spec{}, confirmed},
		{Spec{In: "30s"}, "2026-11-23T18:01:10+01:00"},
		{Spec{At: "20:00"}, "2026-11-23T20:00:00+01:00"},
		{Spec{At: "18:00:30"}, confirmed}, // meanwhile it is over, by less than a day
	} {
		plan, err := Parse(tt.spec, at(t, made))
		if err != nil {
			t.Fatal(err)
		}
		later := plan.From(at(t, confirmed))
		if got := later.First.Format(time.RFC3339); got != tt.want || later.Deadline != plan.Deadline {
			t.Errorf("%+v is due at %s with %v, want %s with %v", tt.spec, got, later.Deadline, tt.want, plan.Deadline)
		}
		if again := later.From(at(t, confirmed)); again != later {
			t.Errorf("%+v counts the wait twice: %v, want %v", tt.spec, again.First, later.First)
		}
	}
}

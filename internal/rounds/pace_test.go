package rounds

import (
	"testing"
	"time"

	"vizstop/internal/release"
)

// The interval between two checks grows with the pages and shrinks with the jobs
// that leave, within limits, and keeps to the share of a known rate.
func TestPace(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	now := time.Now()
	left := func(pages int, since time.Duration) release.ListState {
		return release.ListState{Pages: pages, Since: now.Add(-since)}
	}
	for name, row := range map[string]struct{ got, want time.Duration }{
		"a page, one job a second":              {pace{}.busy(left(1, s), 1, now), 2500 * ms},
		"a page, six jobs a second":             {pace{}.busy(left(1, 4*s), 25, now), 2 * s},
		"the same, counted for longer":          {pace{}.busy(left(1, 40*s), 250, now), 2 * s},
		"ten pages, 240 a second, cheap":        {pace{}.busy(left(10, s), 240, now), 694 * ms},
		"ten pages, 500 a second: it is cheap":  {pace{}.busy(left(10, s), 500, now), 333 * ms},
		"ten pages, 60 a second":                {pace{}.busy(left(10, 2*s), 125, now), 2 * s},
		"a hundred pages":                       {pace{}.busy(left(100, s), 1, now), 4 * s},
		"one page, very many":                   {pace{}.busy(left(1, s), 10_000, now), 250 * ms},
		"no time":                               {pace{}.busy(left(1, 0), 1, now), 250 * ms},
		"ten pages at 10 calls a second":        {pace{rate: 10}.busy(left(10, s), 120, now), 5 * s},
		"quiet, few jobs":                       {pace{usual: 20 * s}.quiet(release.ListState{Watched: 5, Pages: 1}), 1500 * ms},
		"quiet, nobody":                         {pace{usual: 20 * s}.quiet(release.ListState{Pages: 1}), 1500 * ms},
		"quiet, few jobs that stop quickly":     {pace{usual: s}.quiet(release.ListState{Watched: 25, Pages: 1}), s},
		"quiet, a look will do":                 {pace{usual: s}.quiet(release.ListState{Watched: 12, Pages: 10}), s},
		"quiet, many jobs":                      {pace{usual: 20 * s}.quiet(release.ListState{Watched: 2000, Pages: 10}), 500 * ms},
		"quiet, very many":                      {pace{usual: 2 * s}.quiet(release.ListState{Watched: 9_600, Pages: 96}), 250 * ms},
		"quiet, at one call in two seconds":     {pace{usual: s, rate: 0.5}.quiet(release.ListState{Watched: 1, Pages: 10}), 10 * s},
		"quiet, many jobs at 10 calls a second": {pace{usual: 2 * s, rate: 10}.quiet(release.ListState{Watched: 9_600, Pages: 96}), 500 * ms},
	} {
		if row.got.Round(ms) != row.want {
			t.Errorf("%s: %v, want %v", name, row.got, row.want)
		}
	}
}

func TestMayPeek(t *testing.T) {
	now := time.Now()
	for name, row := range map[string]struct {
		known release.ListState
		want  bool
		rate  float64
	}{
		"quiet, several pages": {known: release.ListState{Quiet: true, Pages: 2, Read: now.Add(-time.Second)}, want: true},
		"one page":             {known: release.ListState{Quiet: true, Pages: 1, Read: now.Add(-time.Second)}, want: false},
		"some have left":       {known: release.ListState{Pages: 2, Read: now.Add(-time.Second)}, want: false},
		"never read":           {known: release.ListState{Quiet: true, Pages: 2}, want: false},
		"its share is not due": {known: release.ListState{Quiet: true, Pages: 20, Read: now.Add(-9 * time.Second)}, want: true, rate: 10},
		"its share is due":     {known: release.ListState{Quiet: true, Pages: 20, Read: now.Add(-10 * time.Second)}, rate: 10},
		"read long ago":        {known: release.ListState{Quiet: true, Pages: 2, Read: now.Add(-9 * time.Second)}, want: false},
	} {
		if got := (pace{rate: row.rate}).mayPeek(row.known, now, 13*time.Second); got != row.want {
			t.Errorf("%s: %t, want %t", name, got, row.want)
		}
	}
}

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
	stopping := pace{usual: 20 * s}
	onePage := func(watched int, since time.Duration) release.ListState {
		return release.ListState{Pages: 1, Watched: watched, Since: now.Add(-since)}
	}
	for name, row := range map[string]struct{ got, want time.Duration }{
		"a page, one of two a second":           {stopping.busy(onePage(2, s), 1, 1000, now), 2500 * ms},
		"a page, one of forty a second":         {stopping.busy(onePage(40, s), 1, 1000, now), 1871 * ms},
		"a page, one of ninety a second":        {stopping.busy(onePage(90, s), 1, 1000, now), 1500 * ms},
		"a page, fifteen a second":              {stopping.busy(onePage(90, 4*s), 60, 1000, now), 1212 * ms},
		"the same, counted for longer":          {stopping.busy(onePage(90, 40*s), 600, 1000, now), 1212 * ms},
		"ten pages, 240 a second, cheap":        {pace{}.busy(left(10, s), 240, 1000, now), 758 * ms},
		"ten pages, 500 a second: it is cheap":  {pace{}.busy(left(10, s), 500, 1000, now), 364 * ms},
		"ten pages, 60 a second":                {pace{}.busy(left(10, 2*s), 125, 1000, now), 2909 * ms},
		"a hundred pages, few of many leave":    {pace{}.busy(left(100, s), 1, 1000, now), 6 * s},
		"a hundred pages, more leave":           {pace{}.busy(left(100, 4*s), 25, 1000, now), 4 * s},
		"a page, few jobs, and one joined":      {stopping.busy(release.ListState{Pages: 1, Since: now.Add(-4 * s), Joined: now.Add(-s)}, 1, 4, now), 2500 * ms},
		"a page, the last few jobs":             {pace{usual: 20 * s}.busy(left(1, 4*s), 1, 4, now), 4 * s},
		"the same, and they stop quickly":       {pace{usual: s}.busy(onePage(2, 4*s), 1, 4, now), 1871 * ms},
		"quiet, the last few that stop quickly": {pace{usual: s}.quiet(release.ListState{Watched: 2, Pages: 1}, 2, now), 1871 * ms},
		"one page, very many":                   {pace{}.busy(left(1, s), 10_000, 1000, now), 250 * ms},
		"no time":                               {pace{}.busy(left(1, 0), 1, 1000, now), 250 * ms},
		"ten pages at 10 calls a second":        {pace{rate: 10}.busy(left(10, s), 120, 1000, now), 5 * s},
		"quiet, few jobs":                       {stopping.quiet(release.ListState{Watched: 5, Pages: 1}, 10, now), 2500 * ms},
		"quiet, a page that fills up":           {stopping.quiet(release.ListState{Watched: 1, Pages: 1}, 76, now), 2500 * ms},
		"quiet for a minute, one job":           {pace{usual: 20 * s}.quiet(release.ListState{Watched: 1, Pages: 1, Moved: now.Add(-time.Minute)}, 1, now), 6 * s},
		"quiet for an hour, one job":            {pace{usual: 20 * s}.quiet(release.ListState{Watched: 1, Pages: 1, Moved: now.Add(-time.Hour)}, 1, now), time.Minute},
		"quiet for an hour, 200 jobs":           {pace{usual: 20 * s}.quiet(release.ListState{Watched: 200, Pages: 2, Moved: now.Add(-time.Hour)}, 200, now), 18 * s},
		"quiet for a moment, many jobs":         {pace{usual: 20 * s}.quiet(release.ListState{Watched: 2000, Pages: 10, Moved: now.Add(-s)}, 2000, now), 424 * ms},
		"quiet, nobody":                         {stopping.quiet(release.ListState{Pages: 1}, 10, now), 2500 * ms},
		"quiet, few jobs that stop quickly":     {pace{usual: s}.quiet(release.ListState{Watched: 25, Pages: 1}, 10, now), 849 * ms},
		"quiet, a look will do":                 {pace{usual: s}.quiet(release.ListState{Watched: 12, Pages: 10}, 10, now), s},
		"quiet, many jobs":                      {pace{usual: 20 * s}.quiet(release.ListState{Watched: 2000, Pages: 10}, 10, now), 424 * ms},
		"quiet, very many":                      {pace{usual: 2 * s}.quiet(release.ListState{Watched: 9_600, Pages: 96}, 10, now), 250 * ms},
		"quiet, at one call in two seconds":     {pace{usual: s, rate: 0.5}.quiet(release.ListState{Watched: 1, Pages: 10}, 10, now), 10 * s},
		"quiet, many jobs at 10 calls a second": {pace{usual: 2 * s, rate: 10}.quiet(release.ListState{Watched: 9_600, Pages: 96}, 10, now), 500 * ms},
	} {
		if row.got.Round(ms) != row.want {
			t.Errorf("%s: %v, want %v", name, row.got, row.want)
		}
	}
}

// A list that is read again soon has the fewer pages by then the more have left it lately.
func TestFollowing(t *testing.T) {
	const s = time.Second
	now := time.Now()
	since := func(d time.Duration) release.ListState { return release.ListState{Since: now.Add(-d)} }
	for name, row := range map[string]struct {
		known release.ListState
		check release.ListCheck
		want  int
	}{
		"200 in two seconds, read in one":   {since(2 * s), release.ListCheck{Began: now, Left: 200, Next: s}, 80},
		"the same, its length is looked at": {since(2 * s), release.ListCheck{Began: now, Left: 200, Next: s, Peek: true}, 0},
		"nobody has left it":                {since(2 * s), release.ListCheck{Began: now, Next: s}, 0},
		"at the same moment":                {since(0), release.ListCheck{Began: now, Left: 200, Next: s}, 0},
		"a clock that was set back":         {since(-s), release.ListCheck{Began: now, Left: 200, Next: s}, 0},
		"never read":                        {release.ListState{}, release.ListCheck{Began: now, Left: 200, Next: s}, 0},
	} {
		if got := following(row.known, row.check); got != row.want {
			t.Errorf("%s: %d, want %d", name, got, row.want)
		}
	}
}

// While jobs leave the list its length is looked at before it is read, unless it is read soon.
func TestPeeks(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	now, p := time.Now(), pace{usual: 20 * time.Second}
	list := func(pages int, since time.Duration) release.ListState {
		return release.ListState{Pages: pages, Since: now.Add(-since), Moved: now.Add(-since), Watched: 2000}
	}
	begun := list(10, s)
	begun.Moved = time.Time{}
	type want struct {
		next time.Duration
		peek bool
	}
	for name, row := range map[string]struct {
		check      func(release.ListState, int, int, time.Time) (time.Duration, bool)
		known      release.ListState
		left, jobs int
		want       want
	}{
		"read for the first time":        {p.read, release.ListState{Pages: 10, Watched: 2000}, 200, 1000, want{424 * ms, true}},
		"read, few have left":            {p.read, list(10, s), 20, 1000, want{424 * ms, true}},
		"read, some have left":           {p.read, list(10, 2*s), 60, 1000, want{2 * s, true}},
		"read, many have begun to leave": {p.read, begun, 120, 1000, want{424 * ms, true}},
		"read, many have left":           {p.read, list(10, s), 240, 1000, want{758 * ms, false}},
		"read, one page":                 {p.read, list(1, s), 3, 10, want{1500 * ms, false}},
		"looked at, nobody has left":     {p.peeked, list(10, s), 0, 1000, want{424 * ms, true}},
		"looked at, few have left":       {p.peeked, list(10, s), 10, 1000, want{s, true}},
		"looked at, fewer than expected": {p.peeked, list(10, 1443*ms), 25, 1000, want{s, true}},
		"looked at, as many as expected": {p.peeked, list(10, 1443*ms), 65, 1000, want{2326 * ms, false}},
		"looked at, more than expected":  {p.peeked, list(10, 1443*ms), 90, 1000, want{1472 * ms, false}},
		"looked at, they have begun to":  {p.peeked, begun, 50, 1000, want{424 * ms, true}},
		"looked at, many have begun to":  {p.peeked, begun, 80, 1000, want{}},
		"looked at, many more":           {p.peeked, list(10, 1443*ms), 200, 1000, want{}},
	} {
		next, peek := row.check(row.known, row.left, row.jobs, now)
		if got := (want{next.Round(ms), peek}); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}

func TestMayPeek(t *testing.T) {
	now := time.Now()
	for name, row := range map[string]struct {
		known  release.ListState
		filled int // pages, by the watched jobs
		want   bool
		rate   float64
	}{
		"quiet, several pages":            {known: release.ListState{Peek: true, Pages: 2, Read: now.Add(-time.Second)}, want: true},
		"one page":                        {known: release.ListState{Peek: true, Pages: 1, Read: now.Add(-time.Second)}, want: false},
		"it has grown":                    {known: release.ListState{Pages: 1, Read: now.Add(-time.Second), Joined: now}, filled: 2, want: true},
		"grown, some have left":           {known: release.ListState{Pages: 1, Read: now.Add(-2 * time.Second), Moved: now.Add(-time.Second), Joined: now}, filled: 2, want: false},
		"grown, a reading saw some leave": {known: release.ListState{Pages: 1, Read: now.Add(-time.Second), Moved: now.Add(-time.Second), Joined: now}, filled: 2, want: false},
		"it is to shrink":                 {known: release.ListState{Pages: 1, Read: now.Add(-time.Second), Joined: now.Add(-2 * time.Second)}, filled: 2, want: false},
		"it has shrunk":                   {known: release.ListState{Peek: true, Pages: 2, Read: now.Add(-time.Second)}, filled: 1, want: true},
		"some have left":                  {known: release.ListState{Pages: 2, Read: now.Add(-time.Second)}, filled: 2, want: false},
		"grown, never read":               {known: release.ListState{Pages: 1, Joined: now}, filled: 2, want: false},
		"never read":                      {known: release.ListState{Peek: true, Pages: 2}, want: false},
		"its share is not due":            {known: release.ListState{Peek: true, Pages: 20, Read: now.Add(-9 * time.Second)}, want: true, rate: 10},
		"its share is due":                {known: release.ListState{Peek: true, Pages: 20, Read: now.Add(-10 * time.Second)}, rate: 10},
		"others, some left":               {known: release.ListState{Peek: true, Pages: 2, Others: 3, Watched: 100, Read: now.Add(-5 * time.Second), Moved: now.Add(-4 * time.Second)}},
		"few others":                      {known: release.ListState{Peek: true, Pages: 2, Others: 1, Watched: 100, Read: now.Add(-5 * time.Second), Moved: now.Add(-4 * time.Second)}, want: true},
		"others, nobody left":             {known: release.ListState{Peek: true, Pages: 2, Others: 3, Watched: 100, Read: now.Add(-5 * time.Second), Moved: now.Add(-time.Hour)}, want: true},
		"read long ago":                   {known: release.ListState{Peek: true, Pages: 2, Read: now.Add(-9 * time.Second)}, want: false},
	} {
		if got := (pace{rate: row.rate}).mayPeek(row.known, row.filled, now, 13*time.Second); got != row.want {
			t.Errorf("%s: %t, want %t", name, got, row.want)
		}
	}
}

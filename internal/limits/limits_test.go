package limits

import (
	"math"
	"strings"
	"testing"
)

func TestOver(t *testing.T) {
	defaults := Limits{}
	for name, c := range map[string]struct {
		limits Limits
		size   Size
		want   string // in the words; "" if the batch is not over a limit
	}{
		"small":                         {defaults, Size{Stops: 19, Running: 19}, ""},
		"all of few":                    {defaults, Size{Stops: 19, Running: -1}, ""},
		"many stops of few jobs":        {defaults, Size{Stops: 30, Running: 19}, ""},
		"half":                          {defaults, Size{Stops: 20, Running: 40}, ""},
		"more than half":                {defaults, Size{Stops: 21, Running: 40}, "21 stops, more than --batch-share 50 % of the 40 jobs"},
		"all":                           {defaults, Size{Stops: 20, Running: 20}, "--batch-share"},
		"nobody knows what runs":        {defaults, Size{Stops: 20, Running: -1}, "how many jobs run is not known"},
		"at the limit":                  {defaults, Size{Stops: 1000, Running: 5000}, ""},
		"over the limit":                {defaults, Size{Stops: 1001, Running: 5000}, "1001 stops, more than --batch-limit 1000"},
		"over it in several projects":   {defaults, Size{Stops: 10, All: 1001, Running: 5000}, "1001 stops, more than --batch-limit 1000"},
		"no batch limit":                {Limits{Batch: -1}, Size{Stops: 5000, Running: 20000}, ""},
		"no share":                      {Limits{Share: -1}, Size{Stops: 900, Running: -1}, ""},
		"neither":                       {None(), Size{Stops: 1 << 20, Running: -1}, ""},
		"a share of everything that is": {Limits{Share: 100}, Size{Stops: 40, Running: 40}, ""},
		"others":                        {Limits{Batch: 5, Share: 10}, Size{Stops: 6, Running: 1000}, "6 stops, more than --batch-limit 5"},
	} {
		if got := c.limits.Over(c.size); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestStricter(t *testing.T) {
	for _, c := range []struct{ a, b, want Limits }{
		{Limits{}, None(), Defaults()},
		{None(), None(), None()},
		{Limits{5, 2000, 60}, Limits{}, Limits{5, 1000, 50}},
		{Limits{5, -1, 60}, Limits{7, 3, -1}, Limits{5, 3, 60}},
	} {
		if got := c.a.Stricter(c.b); got != c.want {
			t.Errorf("of %v and %v: %v, want %v", c.a, c.b, got, c.want)
		}
		if got := c.b.Stricter(c.a); got != c.want {
			t.Errorf("of %v and %v: %v, want %v", c.b, c.a, got, c.want)
		}
	}
}

func TestText(t *testing.T) {
	for _, l := range []Limits{Defaults(), None(), {Window: 1, Batch: -1, Share: 12.5}} {
		if got := Parse(l.String()); got != l {
			t.Errorf("%v reads back as %v", l, got)
		}
	}
	for text, want := range map[string]Limits{"": None(), "x/y/z": None(), "5": {5, -1, -1}, "0/0/0": None()} {
		if got := Parse(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// A batch of as many stops as Most says is over no limit, and one more is.
func TestMost(t *testing.T) {
	for _, l := range []Limits{{}, {Batch: 10}, {Batch: -1}, {Share: -1}, {Batch: -1, Share: 1}, {Share: 100}, None()} {
		for _, running := range []int{-1, 0, 19, 20, 39, 40, 5000} {
			most := l.Most(running)
			if words := l.Over(Size{Stops: most, Running: running}); words != "" {
				t.Errorf("%v with %d running: %d stops are over a limit: %s", l, running, most, words)
			}
			if most < math.MaxInt32 && l.Over(Size{Stops: most + 1, Running: running}) == "" {
				t.Errorf("%v with %d running: %d stops are over no limit", l, running, most+1)
			}
		}
	}
}

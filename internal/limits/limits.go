// Package limits says how much may be stopped of what nobody has confirmed: the
// defaults, which of several limits counts, and whether a batch is over them. Package
// release keeps to the window limit; package ledger has what is held.
package limits

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Limits are how much may be stopped of what nobody has confirmed. Every worker has
// its own; the strictest of those that live count for all. 0 stands for the default,
// less than 0 for no limit.
type Limits struct {
	// Window is how many stop calls a project may get in any 60 minutes.
	Window int
	// Batch is how many stops a batch may have that states its size.
	Batch int
	// Share is how much of the running jobs of a project such a batch may stop, in
	// percent, up to 100.
	Share float64
}

// Defaults are the limits of a worker that is told no other.
func Defaults() Limits { return Limits{Window: 1000, Batch: 1000, Share: 50} }

// None limits nothing.
func None() Limits { return Limits{-1, -1, -1} }

// WithDefaults is l with its defaults in place of zeros.
func (l Limits) WithDefaults() Limits {
	d := Defaults()
	return Limits{cmp.Or(l.Window, d.Window), cmp.Or(l.Batch, d.Batch), cmp.Or(l.Share, d.Share)}
}

// Stricter is the stricter of each of two limits.
func (l Limits) Stricter(o Limits) Limits {
	l, o = l.WithDefaults(), o.WithDefaults()
	return Limits{lower(l.Window, o.Window), lower(l.Batch, o.Batch), lower(l.Share, o.Share)}
}

func lower[N int | float64](a, b N) N {
	switch {
	case a < 0:
		return b
	case b < 0:
		return a
	}
	return min(a, b)
}

// String is the limits as a worker announces them.
func (l Limits) String() string {
	l = l.WithDefaults()
	return fmt.Sprintf("%d/%d/%s", l.Window, l.Batch, strconv.FormatFloat(l.Share, 'g', -1, 64))
}

// Parse reads what String wrote. What is missing, of a worker that knows no
// limits, is less than 0.
func Parse(s string) Limits {
	parts := append(strings.Split(s, "/"), "", "")
	number := func(s string) float64 {
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || n == 0 {
			return -1
		}
		return n
	}
	return Limits{int(number(parts[0])), int(number(parts[1])), number(parts[2])}
}

// Size is what a batch that nobody confirmed states before its first stop is recorded.
type Size struct {
	Stops   int // in this project
	All     int // in all projects of the batch; less than Stops means Stops
	Running int // how many jobs of this project run; less than 0: that is not known
}

// shareFrom is from how many stops and how many running jobs on a share says
// something: one of one is 100 %.
const shareFrom = 20

// Over says, in words, which limit a batch is over: such a batch is held. "" is none.
func (l Limits) Over(s Size) string {
	l = l.WithDefaults()
	all := max(s.Stops, s.All)
	switch {
	case l.Batch > 0 && all > l.Batch:
		return fmt.Sprintf("it has %d stops, more than --batch-limit %d", all, l.Batch)
	case l.Share < 0 || s.Stops < shareFrom || s.Running >= 0 && s.Running < shareFrom:
		return ""
	case s.Running < 0:
		return fmt.Sprintf("it has %d stops, and how many jobs run is not known: it may be more than --batch-share %g %%", s.Stops, l.Share)
	case float64(s.Stops)*100 > l.Share*float64(s.Running):
		return fmt.Sprintf("it has %d stops, more than --batch-share %g %% of the %d jobs that run", s.Stops, l.Share, s.Running)
	}
	return ""
}

// Most is how many stops of a project a batch may have, at most, that Over finds nothing
// wrong with; running is as in Size.
func (l Limits) Most(running int) int {
	l = l.WithDefaults()
	most := math.MaxInt32
	if l.Batch > 0 {
		most = l.Batch
	}
	switch {
	case l.Share < 0 || running >= 0 && running < shareFrom:
		return most
	case running < 0:
		return min(most, shareFrom-1)
	}
	return min(most, max(shareFrom-1, int(l.Share*float64(running)/100)))
}

package estimate

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// fifty is the rate of workers with --api-rate 50.
var fifty = Rate{Calls: 50, Stops: 40}

// evening is when the batches of these tests are asked for, and due.
var evening = time.Date(2026, 11, 23, 20, 0, 0, 0, time.Local)

// withOffset puts this machine's offset from UTC in the place of OFF.
func withOffset(text string) string { return strings.ReplaceAll(text, "OFF", evening.Format("-07:00")) }

// share is n stops of one project, spread over so long.
func share(n int, spread time.Duration) Share {
	return Share{ProjectID: "p", Stops: n, First: evening, Last: evening.Add(spread)}
}

func TestBatch(t *testing.T) {
	other := share(10, 0)
	other.ProjectID = "q"
	for _, tt := range []struct {
		name               string
		rate               Rate
		shares             []Share
		call, confirmation time.Duration // after evening
		deadline           time.Duration
	}{
		{"one stop", fifty, []Share{share(1, 0)}, 25 * time.Millisecond, 40 * time.Millisecond, time.Hour},
		{"1,000", fifty, []Share{share(1000, 0)}, 25 * time.Second, 40 * time.Second, time.Hour},
		{"what the hour covers", fifty, []Share{share(45_000, 0)}, 1125 * time.Second, 30 * time.Minute, time.Hour},
		{"one more", fifty, []Share{share(45_001, 0)}, 1125*time.Second + 25*time.Millisecond, 30*time.Minute + 40*time.Millisecond, time.Hour + time.Minute},
		{"300,000", fifty, []Share{share(300_000, 0)}, 125 * time.Minute, 200 * time.Minute, 400 * time.Minute},
		{"spread slower than the rate", fifty, []Share{share(300_000, 8*time.Hour)}, 8 * time.Hour, 8 * time.Hour, time.Hour},
		{"spread a little", fifty, []Share{share(300_000, time.Hour)}, 125 * time.Minute, 200 * time.Minute, 280 * time.Minute},
		{"two projects at once", fifty, []Share{other, share(300_000, 0)}, 125 * time.Minute, 200 * time.Minute, 400 * time.Minute},
		{"longer than any deadline", Rate{Calls: 0.01, Stops: 0.008}, []Share{share(100_000, 0)},
			12_500_000 * time.Second, 20_000_000 * time.Second, 30 * 24 * time.Hour},
	} {
		b := Of(evening, tt.rate, tt.shares)
		if got := b.LastCall.Sub(evening); !b.Known || (got-tt.call).Abs() > time.Microsecond {
			t.Errorf("%s: last call after %v, want %v", tt.name, got, tt.call)
		}
		if got := b.LastConfirmation.Sub(evening); (got - tt.confirmation).Abs() > time.Microsecond {
			t.Errorf("%s: last confirmation after %v, want %v", tt.name, got, tt.confirmation)
		}
		if got := b.Deadline(); got != tt.deadline {
			t.Errorf("%s: deadline %v, want %v", tt.name, got, tt.deadline)
		}
	}
}

// A project may have a rate of its own, and stops that take a look before the call.
func TestOwnRates(t *testing.T) {
	own, v2 := share(1000, 0), share(1000, 0)
	own.ProjectID, own.Rate = "slow", Rate{Calls: 5, Stops: 4}
	v2.ProjectID, v2.Rate = "v2", Rate{Calls: 50, Stops: 20, PerStop: 3}
	for _, tt := range []struct {
		name               string
		rate               Rate
		shares             []Share
		call, confirmation time.Duration // after evening
		says               string
	}{
		{"a slower project", fifty, []Share{share(1000, 0), own}, 250 * time.Second, 400 * time.Second, "at 5 calls a second in project slow, the slowest, "},
		{"nothing known of the other", Rate{}, []Share{share(1000, 0), own}, 250 * time.Second, 400 * time.Second, "at 5 calls a second in project slow, the slowest, "},
		{"alone", fifty, []Share{own}, 250 * time.Second, 400 * time.Second, "at 5 calls a second and project, "},
		{"three calls a stop", fifty, []Share{v2}, 50 * time.Second, 60 * time.Second, "at 50 calls a second and project, "},
	} {
		b := Of(evening, tt.rate, tt.shares)
		if call, confirmation := b.LastCall.Sub(evening), b.LastConfirmation.Sub(evening); !b.Known || call != tt.call || confirmation != tt.confirmation {
			t.Errorf("%s: %v, last call after %v, want %v, last confirmation after %v, want %v", tt.name, b.Known, call, tt.call, confirmation, tt.confirmation)
		}
		if said := b.Sentence(time.Hour); !strings.HasPrefix(said, tt.says) {
			t.Errorf("%s: says %q, want %q", tt.name, said, tt.says)
		}
		if err := b.Refuse(time.Second, "D"); err == nil || !strings.Contains(err.Error(), "  "+tt.says) {
			t.Errorf("%s: refused by %v, want %q", tt.name, err, tt.says)
		}
	}
}

func TestNothingKnown(t *testing.T) {
	for name, b := range map[string]*Batch{
		"no rate": Of(evening, Rate{}, []Share{share(1_000_000, 0)}),
		"no stop": Of(evening, fifty, nil),
	} {
		if b.Known || !b.LastCall.IsZero() || b.Deadline() != time.Hour || b.Refuse(time.Second, "--deadline 1s") != nil ||
			b.Sentence(time.Hour) != "" || b.Tight(time.Second) != "" {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

func TestRefusal(t *testing.T) {
	others := []Share{share(300_000, 0), share(200_000, 0), share(10, 0)}
	for i, id := range []string{"p", "q", "r"} {
		others[i].ProjectID = id
	}
	const figures = "  at 50 calls a second and project, the last stop call would go out at about 22:05:00 OFF, the last confirmation come at about 23:20:00 OFF\n"
	const choose = "  choose a longer --deadline (without one the batch gets 6h40m), a smaller batch, or a higher --api-rate of the workers if the API allows it"
	for _, tt := range []struct {
		name     string
		rate     Rate
		shares   []Share
		deadline time.Duration
		want     string
	}{
		{"too many", fifty, []Share{share(300_000, 0)}, time.Hour,
			"300,000 stops at 40 a second take 2 h 5 min; D would let 156,000 expire: nothing was done\n" + figures + choose},
		{"by one second", fifty, []Share{share(300_000, 0)}, 7499 * time.Second,
			"300,000 stops at 40 a second take 2 h 5 min; D would let 40 expire: nothing was done\n" + figures + choose},
		{"it just holds", fifty, []Share{share(300_000, 0)}, 7500 * time.Second, ""},
		{"spread", fifty, []Share{share(300_000, 2*time.Hour)}, 5 * time.Minute, ""},
		{"spread too little", fifty, []Share{share(300_000, 2*time.Hour)}, 4 * time.Minute,
			"300,000 stops at 40 a second take 2 h 5 min; D would let 60,000 expire: nothing was done\n" + figures +
				"  choose a longer --deadline (without one the batch gets 2h40m), a smaller batch, or a higher --api-rate of the workers if the API allows it"},
		{"one of three projects is named", fifty, others, time.Hour,
			"300,000 stops of project p at 40 a second take 2 h 5 min; D would let 156,000 expire: nothing was done\n" +
				"  1 more of the batch's projects have too many stops for it\n" + figures + choose},
		{"no deadline holds", Rate{Calls: 0.0125, Stops: 0.01}, []Share{share(26_784, 0)}, 30 * 24 * time.Hour,
			"26,784 stops at 0.01 a second take 31 d; D would let 864 expire: nothing was done\n" +
				"  at 0.013 calls a second and project, the last stop call would go out at about 2026-12-24 20:00:00 OFF, the last confirmation come at about 2027-01-12 10:24:00 OFF\n" +
				"  choose a smaller batch, or a higher --api-rate of the workers if the API allows it"},
	} {
		err := Of(evening, tt.rate, tt.shares).Refuse(tt.deadline, "D")
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != withOffset(tt.want)) {
			t.Errorf("%s:\n%v\nwant:\n%s", tt.name, err, withOffset(tt.want))
		}
		if _, ok := errors.AsType[*Refusal](err); err != nil && !ok {
			t.Errorf("%s: it is a %T", tt.name, err)
		}
	}
}

func TestSentence(t *testing.T) {
	const want = "at 50 calls a second and project, the last stop call goes out at about 22:05:00 OFF, the last confirmation comes at about 23:20:00 OFF; a stop expires 6 h 40 min after it was due"
	b := Of(evening, fifty, []Share{share(300_000, 0)})
	if got := b.Sentence(b.Deadline()); got != withOffset(want) {
		t.Errorf("%s\nwant %s", got, withOffset(want))
	}
	if got := Of(evening, fifty, []Share{share(249, 0)}).Sentence(time.Hour); got != "" {
		t.Errorf("of what takes less than 10 s it says %s", got)
	}
	const tight = "the last confirmation comes about 3 h 20 min after its stop was due, which has 2 h 30 min: a stop whose job still runs then expires"
	if got := b.Tight(150 * time.Minute); got != tight {
		t.Errorf("%s\nwant %s", got, tight)
	}
	if got := b.Tight(200 * time.Minute); got != "" {
		t.Errorf("of what has time it says %s", got)
	}
}

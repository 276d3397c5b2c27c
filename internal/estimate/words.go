package estimate

import (
	"math"
	"strconv"
	"strings"
	"time"

	"vizstop/internal/when"
)

// Count is a number with commas between thousands: 300,000.
func Count(n int) string {
	digits := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}

// perSecond is a rate: 4,000, 26.4 or 0.04.
func perSecond(rate float64) string {
	if rate < 1 {
		return strconv.FormatFloat(rate, 'g', 2, 64)
	}
	tenths := math.Round(rate * 10)
	text := Count(int(tenths / 10))
	if rest := int(math.Mod(tenths, 10)); rest > 0 && rate < 100 {
		text += "." + strconv.Itoa(rest)
	}
	return text
}

// Span is a length of time in its two largest units: 2 d 3 h, 2 h 5 min, 3 min 20 s, 45 s. What is left is rounded.
func Span(d time.Duration) string {
	units := []struct {
		name string
		of   time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}}
	for i, large := range units[:3] {
		small := units[i+1]
		rounded := d.Round(small.of)
		if rounded < large.of {
			continue
		}
		text := strconv.FormatInt(int64(rounded/large.of), 10) + " " + large.name
		if rest := rounded % large.of / small.of; rest > 0 {
			text += " " + strconv.FormatInt(int64(rest), 10) + " " + small.name
		}
		return text
	}
	if d > 0 && d < time.Second {
		return "less than 1 s"
	}
	return strconv.FormatInt(int64(d.Round(time.Second)/time.Second), 10) + " s"
}

// Flag is a length of time as a flag takes it: 6h40m.
func Flag(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Clock is a time as this machine's clock shows it, with its offset from UTC, and with its date if that is not today.
func Clock(t, now time.Time) string {
	t, now = t.Local().Round(time.Second), now.Local()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format(time.TimeOnly + " -07:00")
	}
	return when.Stamp(t)
}

package loose

import (
	"encoding/json"
	"testing"
	"time"
)

func TestString(t *testing.T) {
	for in, want := range map[string]String{
		`"10"`: "10", `10`: "10", `12345678901234567890`: "12345678901234567890", `-1.5e3`: "-1.5e3",
		`null`: "", `true`: "", `{}`: "", `["a"]`: "", `"测\n"`: "测\n",
	} {
		got := String("before")
		if err := json.Unmarshal([]byte(in), &got); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestInt(t *testing.T) {
	for in, want := range map[string]Int{
		`8`: {8, true}, `"8"`: {8, true}, `" 8 "`: {8, true}, `8.0`: {8, true}, `-3`: {-3, true},
		`1711000000123`: {1711000000123, true}, `1.711e12`: {1711000000000, true},
		`null`: {}, `""`: {}, `"x"`: {}, `true`: {}, `{}`: {}, `[8]`: {}, `1e30`: {}, `8.9`: {}, `"8.9"`: {}, `"NaN"`: {}, `"Inf"`: {},
	} {
		got := Int{1, true}
		if err := json.Unmarshal([]byte(in), &got); err != nil || got != want {
			t.Errorf("%s is %v, %v; want %v", in, got, err, want)
		}
	}
}

func TestFalse(t *testing.T) {
	for in, want := range map[string]False{
		`false`: true, `"false"`: true, `"False"`: true, `true`: false, `"true"`: false,
		`null`: false, `0`: false, `""`: false, `{}`: false, `"no"`: false,
	} {
		var got False
		if err := json.Unmarshal([]byte(in), &got); err != nil || got != want {
			t.Errorf("%s is %v, %v; want %v", in, got, err, want)
		}
	}
}

func TestTimes(t *testing.T) {
	for n, want := range map[int64]time.Duration{0: 0, -1: 0, 2: 2 * time.Hour, 1 << 50: 0} {
		if got := (Int{n, true}).Times(time.Hour); got != want {
			t.Errorf("%d hours are %v, want %v", n, got, want)
		}
	}
	for n, want := range map[int64]time.Time{0: {}, -1: {}, 17110000001: time.UnixMilli(17110000001), 253402300800000: {}, 1 << 62: {}} {
		if got := (Int{n, true}).Time(); !got.Equal(want) {
			t.Errorf("%d ms are %v, want %v", n, got, want)
		}
	}
}

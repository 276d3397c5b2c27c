package modelartstest

import (
	"math"
	"math/rand/v2"
	"time"
)

// Lognormal is a Config.Latency of random times around the median. spread is the standard deviation of their
// logarithm; 0 makes all of them the same. The same seed makes the same sequence.
func Lognormal(median time.Duration, spread float64, seed uint64) func(operation string) time.Duration {
	if spread == 0 {
		return func(string) time.Duration { return median }
	}
	random := rand.New(rand.NewPCG(seed, 0))
	return func(string) time.Duration {
		return time.Duration(float64(median) * math.Exp(spread*random.NormFloat64()))
	}
}

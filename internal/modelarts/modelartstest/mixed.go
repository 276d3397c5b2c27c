package modelartstest

import (
	"net/http"
	"time"
)

// MixedFaults makes a share of all calls go wrong, from above 0 to 1: each in one of eight ways, which are equally
// likely. They are HTTP 500, 502 and 503, is_success false, a connection that is reset before the effect or after it,
// an answer that is cut off, and one that comes late by that much although its effect came at once. The same seed
// makes the same choices for the same sequence of calls. Inject all of them, in their order.
func MixedFaults(share float64, late time.Duration, seed uint64) []Fault {
	const code, message = "ModelArts.0010", "Internal error"
	faults := []Fault{
		{Reply: ReplyError(http.StatusInternalServerError, code, message)},
		{Reply: ReplyHTML(http.StatusBadGateway)},
		{Reply: ReplyHTML(http.StatusServiceUnavailable)},
		{Reply: ReplyNotSuccess(code, message)},
		{Reply: ReplyReset()},
		{Reply: ReplyReset(), AfterEffect: true},
		{Reply: ReplyCut()},
		{Delay: late, AfterEffect: true},
	}
	each := share / float64(len(faults))
	for i := range faults {
		// A call gets as far as this fault only if those before it have passed it by.
		faults[i].Probability = each / (1 - float64(i)*each)
		faults[i].Seed = seed + uint64(i)
	}
	return faults
}

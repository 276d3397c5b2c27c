package modelarts

import (
	"fmt"
	"time"

	"vizstop/internal/jobs"
)

// hint says in words what an answer says in codes only; "" for nothing.
func hint(e *jobs.Error, g *Generation) string {
	switch {
	case e.Kind == jobs.KindNoAPI && e.Operation == jobs.OperationToken:
		return "this endpoint does not offer the IAM token API"
	case e.Kind == jobs.KindPermission && e.Operation == jobs.OperationToken:
		return "IAM gives no token for this project: check its id, and that the user may use it"
	case e.Kind == jobs.KindNoAPI:
		return "this region or endpoint does not offer the " + g.Name
	case e.Kind == jobs.KindCredentials && jobs.KeyLocked(e.Message):
		return "too many refused calls have locked the key, right or wrong: make no other call for five minutes, " +
			"and renew it only if it is refused for another reason then"
	// A login has nothing to do with clocks.
	case e.Kind == jobs.KindCredentials && e.Operation != jobs.OperationToken && e.ClockSkew.Abs() > time.Minute:
		side := "behind"
		if e.ClockSkew < 0 {
			side = "ahead"
		}
		return fmt.Sprintf("this machine's clock differs from the server's by %v (%s): set the clock", e.ClockSkew.Abs(), side)
	}
	return ""
}

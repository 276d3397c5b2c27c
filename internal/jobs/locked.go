package jobs

import "strings"

// KeyLocked reports whether words, the API's or those of an Error, say that an access key is locked: after more than
// five refused calls in a row it is for five minutes, also if it is right.
//
// Source: API Gateway, "Common Errors Related to IAM Authentication Information".
func KeyLocked(words string) bool {
	return strings.Contains(words, "AK access failed to reach the limit")
}

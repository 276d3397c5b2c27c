package jobs

import (
	"fmt"
	"strings"
)

// maxIDLength is longer than any id in the documents: job ids are decimal
// numbers, project ids 32 hex digits, ids of the v2 API UUIDs.
const maxIDLength = 64

// ValidateID checks that id can be part of a URL without changing its meaning:
// 1 to 64 letters, digits, "_" or "-", the first one a letter or digit. kind
// names the id in the error, such as "job". Every call checks its ids so.
//
// A job id of digits alone has no zeros before it: that of v1 is a number, and 01100 and
// 1100 would be two names of one job.
func ValidateID(kind, id string) error {
	if isID(id) {
		if number := strings.TrimLeft(id, "0"); kind == "job" && number != id && len(id) > 1 && strings.Trim(id, "0123456789") == "" {
			return fmt.Errorf("job id %q is not valid: it begins with a zero, and is a number to ModelArts: name the job without zeros before its id", id)
		}
		return nil
	}
	if len(id) > maxIDLength {
		id = id[:maxIDLength] + "..."
	}
	return fmt.Errorf("%s id %q is not valid: it must be 1 to %d letters, digits, '_' or '-', starting with a letter or digit",
		kind, id, maxIDLength)
}

func isID(id string) bool {
	for i := range len(id) {
		c := id[i] | 0x20 // letters become small ones
		letter := 'a' <= c && c <= 'z' && id[i] >= 'A' || '0' <= id[i] && id[i] <= '9'
		if !letter && (i == 0 || id[i] != '_' && id[i] != '-') {
			return false
		}
	}
	return id != "" && len(id) <= maxIDLength
}

package modelarts

import (
	"fmt"
	"regexp"
)

// maxIDLength is longer than any id in the documents: job ids are decimal
// numbers, project ids 32 hex digits, ids of the v2 API UUIDs.
const maxIDLength = 64

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// ValidateID checks that id can be part of a URL without changing its meaning:
// 1 to 64 letters, digits, "_" or "-", the first one a letter or digit. kind
// names the id in the error, such as "job". Every call checks its ids so.
func ValidateID(kind, id string) error {
	if idPattern.MatchString(id) {
		return nil
	}
	if len(id) > maxIDLength {
		id = id[:maxIDLength] + "..."
	}
	return fmt.Errorf("%s id %q is not valid: it must be 1 to %d letters, digits, '_' or '-', starting with a letter or digit",
		kind, id, maxIDLength)
}

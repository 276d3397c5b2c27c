package modelartstest

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
)

// decimal is the number of an id as the real API makes them; -1 for any other.
func decimal(id string) int64 {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != id {
		return -1
	}
	return n
}

// jsonID is the id as answers show it: a number where it is one.
func (r *record) jsonID() any {
	if r.number < 0 {
		return r.ID
	}
	return json.Number(r.ID)
}

func byID(a, b *record) int {
	return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.ID, b.ID))
}

// resourceID has the form of a UUID and depends on nothing but the ids.
func resourceID(projectID, jobID string) string {
	h := sha256.Sum256([]byte(projectID + "/" + jobID))
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// NumberedProject is a project id made of a number, in the form that real ones have: 32 hex digits.
func NumberedProject(n int) string { return fmt.Sprintf("%032x", n) }

// NumberedTraining is a job id of v2 made of a number, in the form that real ones have: a UUID.
func NumberedTraining(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n) }

func hash64(s string) uint64 {
	h := sha256.Sum256([]byte(s))
	return binary.BigEndian.Uint64(h[:8])
}

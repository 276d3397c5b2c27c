package joblist

import "crypto/sha256"

// Seen is a set of jobs. It keeps 16 bytes of each job's SHA-256 and not its
// ids, so a million jobs take some tens of megabytes, and that one hides another is
// out of reach of chance and of malice. The zero value is empty and ready. It
// is not safe for concurrent use.
type Seen struct {
	hashes map[[16]byte]struct{}
}

// Add puts a job in and says whether it is new.
func (s *Seen) Add(projectID, jobID string) bool {
	if s.hashes == nil {
		s.hashes = make(map[[16]byte]struct{})
	}
	text := make([]byte, 0, 160)
	text = append(text, projectID...)
	text = append(text, '/') // is in no id
	text = append(text, jobID...)
	sum := sha256.Sum256(text)
	before := len(s.hashes)
	s.hashes[[16]byte(sum[:])] = struct{}{}
	return len(s.hashes) > before
}

// Len is how many jobs are in.
func (s *Seen) Len() int { return len(s.hashes) }

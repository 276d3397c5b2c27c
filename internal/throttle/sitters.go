package throttle

import "sync/atomic"

// sitters bounds how many calls sit out a short wait, so that others find a
// free worker. The zero value lets any number.
type sitters struct {
	most int // 0: any number; less than 0: none

	all, others atomic.Int64
}

// enter reports whether one more may sit; then it must leave.
func (s *sitters) enter(class Class) bool {
	if s.most < 0 {
		return false
	}
	all := s.all.Add(1)
	others := s.others.Load()
	if class != Stop {
		others = s.others.Add(1)
	}
	most := int64(s.most)
	if most == 0 || all <= most && (class == Stop || others <= (most+1)/2) {
		return true
	}
	s.leave(class)
	return false
}

func (s *sitters) leave(class Class) {
	s.all.Add(-1)
	if class != Stop {
		s.others.Add(-1)
	}
}

package modelartstest

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// V2Options choose what the documents of the v2 API leave open. The zero value of a field means the first of its
// constants.
type V2Options struct {
	Offset  string `json:"offset"`  // how offset is read: OffsetPage or OffsetStart
	Filters string `json:"filters"` // what becomes of filters: one of the Filters constants
	Kinds   string `json:"kinds"`   // how answers tell the kind: one of the Kinds constants
}

// The readings of offset in a search.
const (
	OffsetPage  = "page"  // the number of pages to skip, as the documents say
	OffsetStart = "start" // the number of jobs to skip, as public clients use it
)

// What becomes of filters in a search.
const (
	FiltersHonored     = "honored"
	FiltersIgnored     = "ignored" // as if they were not there
	FiltersBadKey      = "2807"    // any is refused with ModelArts.2807
	FiltersBadOperator = "2808"
	FiltersBadValue    = "2809"
)

// How answers tell what a job is.
const (
	KindsShown     = "shown"
	KindsAbsent    = "absent"    // no answer has a kind
	KindsAnnotated = "annotated" // no answer has a kind; visualization jobs have AnnotationTensorBoard
)

func (v V2Options) withDefaults() V2Options {
	return V2Options{
		Offset:  cmp.Or(v.Offset, OffsetPage),
		Filters: cmp.Or(v.Filters, FiltersHonored),
		Kinds:   cmp.Or(v.Kinds, KindsShown),
	}
}

// check says what is not one of the constants.
func (v V2Options) check() error {
	for _, f := range []struct {
		name, value string
		allowed     []string
	}{
		{"offset", v.Offset, []string{"", OffsetPage, OffsetStart}},
		{"filters", v.Filters, []string{"", FiltersHonored, FiltersIgnored, FiltersBadKey, FiltersBadOperator, FiltersBadValue}},
		{"kinds", v.Kinds, []string{"", KindsShown, KindsAbsent, KindsAnnotated}},
	} {
		if !slices.Contains(f.allowed, f.value) {
			return fmt.Errorf("%s %q is not one of %q", f.name, f.value, f.allowed[1:])
		}
	}
	return nil
}

// SetV2 replaces Config.V2 from now on.
func (s *Simulator) SetV2(v V2Options) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.V2 = v.withDefaults()
}

// performV2 does what a request of v2 asks for.
func (s *Simulator) performV2(x *exchange, now time.Time) answer {
	switch x.op {
	case OpList:
		return s.search(x, now)
	case OpDetail:
		return s.training(x, now)
	default:
		return s.act(x, now)
	}
}

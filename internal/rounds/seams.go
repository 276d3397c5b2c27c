package rounds

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/release"
)

// shown is a page of a list as it was read.
type shown struct {
	page        int
	first, last string // ids of its jobs; empty: it had none
	full        bool   // it had as many as a page holds
	sorted      bool   // by id
	total       int    // jobs of the whole list, as the page said
}

// showing is a page that holds perPage jobs at most.
func showing(number int, page *jobs.Page, perPage int) shown {
	s := shown{page: number, full: len(page.Jobs) == perPage, total: page.Total}
	if n := len(page.Jobs); n > 0 {
		s.first, s.last = page.Jobs[0].ID, page.Jobs[n-1].ID
	}
	s.sorted = slices.IsSortedFunc(page.Jobs, func(a, b jobs.Job) int { return byID(a.ID, b.ID) })
	return s
}

// seams are the gaps between the pages of a list, and after a full last one. A job there may have moved from
// one page to the other while they were read, unseen: it is not on the list, and has
// not left it either. The next list tells.
type seams struct {
	began time.Time // of the list, by the fleet's time
	gaps  []*gap
}

// gap is between the last job of a page and the first one of the next.
type gap struct {
	from, to string // "": it has no end
	hides    int    // how many missed jobs there may have moved unseen. Of more, most have left the list
	missed   int    // how many have been, so far
}

const (
	// whileGrowing is how many jobs may have moved unseen although the list is no shorter: others have joined it.
	whileGrowing = 10
	// joining is for how long after the last acceptance others may be about to join.
	joining = 2 * time.Second
)

func (g *gap) has(job string) bool {
	return byID(g.from, job) < 0 && (g.to == "" || byID(job, g.to) < 0)
}

// findSeams returns the gaps between pages, which are in the order in which they were
// read. growing says that jobs may have joined the list meanwhile. A list that is not
// sorted by id has none. A page that was read later than the one after it may show the
// same jobs or later ones, or none any more.
func findSeams(read []shown, growing bool) (gaps []*gap) {
	for i := 1; i < len(read); i++ {
		growing = growing || read[i].total > read[i-1].total
	}
	joined := 0
	if growing {
		joined = whileGrowing
	}
	slices.SortFunc(read, func(a, b shown) int { return a.page - b.page })
	read = slices.DeleteFunc(slices.Clone(read), func(p shown) bool { return p.first == "" })
	end := "" // the last job so far
	for i, p := range read {
		if !p.sorted {
			return nil
		}
		if i > 0 && byID(end, p.first) < 0 { // else what has moved was seen twice
			gaps = append(gaps, &gap{from: end, to: p.first, hides: 2*max(0, read[i-1].total-p.total) + joined})
		}
		if i == 0 || byID(end, p.last) < 0 {
			end = p.last
		}
	}
	if n := len(read); n > 0 && read[n-1].full { // there may be one more page by now
		gaps = append(gaps, &gap{from: end, hides: whileGrowing})
	}
	return gaps
}

// byID compares ids as ModelArts sorts them: numbers by their value.
func byID(a, b string) int {
	m, errA := strconv.ParseInt(a, 10, 64)
	n, errB := strconv.ParseInt(b, 10, 64)
	if errA == nil && errB == nil {
		return cmp.Compare(m, n)
	}
	return cmp.Compare(a, b)
}

// keepSeams keeps those of the last two lists that were read: while a list is read, some of the jobs that the one before
// has not shown may still wait for a look.
func (l *Loop) keepSeams(projectID string, began time.Time, gaps []*gap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.seams[projectID][1]
	delete(l.seams, projectID)
	if len(gaps)+len(before.gaps) > 0 {
		l.seams[projectID] = [2]seams{before, {began, gaps}}
	}
}

// outsideSeams is what is left without the jobs that may have moved unseen. Nobody
// is passed over twice.
func (l *Loop) outsideSeams(projectID string, left []release.Sighting) []release.Sighting {
	l.mu.Lock()
	defer l.mu.Unlock()
	lists := l.seams[projectID]
	in := make([]*gap, len(left))
	for i, j := range left {
		if in[i] = seamOf(lists[:], j); in[i] != nil {
			in[i].missed++
		}
	}
	var outside []release.Sighting
	for i, j := range left {
		if in[i] == nil || in[i].missed > in[i].hides {
			outside = append(outside, j)
		}
	}
	return outside
}

// seamOf is the gap in which a missed job may have moved unseen; nil: it was passed over
// before, or has left the list.
func seamOf(lists []seams, j release.Sighting) *gap {
	for _, s := range lists {
		i := slices.IndexFunc(s.gaps, func(g *gap) bool { return g.has(j.JobID) })
		if i >= 0 && !j.Again && j.Missed.UnixMilli() == s.began.UnixMilli() {
			return s.gaps[i]
		}
	}
	return nil
}

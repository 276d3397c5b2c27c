package simulation

import (
	"math/rand/v2"
	"slices"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
)

// limitSome gives a day, one of three, a window limit that is soon used up; half of its
// asks are confirmed.
func (d *day) limitSome(r *rand.Rand) {
	if r.IntN(3) > 0 {
		return
	}
	d.meant = r
	d.cfg.Limits.Window = 1 + r.IntN(4)
}

// meantAt reports whether a stop may have served a confirmed wish at a time: it is
// unconfirmed again once that is withdrawn.
func meantAt(s *ledger.Stop, at time.Time) bool {
	return slices.ContainsFunc(s.Wishes, func(w ledger.Wish) bool { return w.Confirmed && !w.Asked.After(at) })
}

// checkWindow: of stops that nobody has confirmed, no more calls go out within any 60
// minutes than the limit. A stop that was confirmed at its end may have been so before;
// a call of a worker that froze in the middle of it goes out late.
func (d *day) checkWindow(stops []*ledger.Stop) {
	limit := d.cfg.Limits.Window
	if limit == 0 {
		return
	}
	unconfirmed := map[string][]*ledger.Stop{}
	for _, s := range stops {
		if s.Unconfirmed {
			unconfirmed[s.ProjectID+"/"+s.JobID] = append(unconfirmed[s.ProjectID+"/"+s.JobID], s)
		}
	}
	sent := map[string][]time.Time{} // by project
	for _, c := range d.recorded() {
		if c.operation != jobs.OperationStop || c.by.hurt(span{c.at.Add(-time.Minute), c.at}) {
			continue
		}
		for _, s := range unconfirmed[c.project+"/"+c.job] {
			if d.within(c, s) && !meantAt(s, c.at) {
				sent[c.project] = append(sent[c.project], c.at)
			}
		}
	}
	for project, times := range sent {
		if n := most(times); n > limit {
			d.t.Errorf("%d stop calls that nobody confirmed went out in project %s within an hour, want %d at most", n, project, limit)
		}
	}
}

package snapshot

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"vizstop/internal/ledger"
	"vizstop/internal/principals"
	"vizstop/internal/release"
)

// Batch is a batch by its counters. Nobody changes it.
type Batch struct {
	ID      string
	Created time.Time
	Ended   time.Time // when its last stop ended; zero while one is in flight
	Shadow  bool
	Meta    ledger.Meta // who asked and why
	Parts   []*ledger.Batch
	Held    string            // the reason of the limit that holds stops of it; "": none does
	HeldIn  map[string]string // the same by project
	// Stands is why nothing of what is in flight moves, other than a limit; "": something may.
	Stands   release.Reason
	StandsIn map[string]release.Reason // the same by project
	Waits    time.Time                 // when its first stop is due, while nothing of it has begun; zero: it is, or was
	Projects int                       // in which it has stops; more than Parts if not all of them were read, or are shown
}

// readParts is of how many projects of a batch the counters are read for a list.
const readParts = 100

// Counts are its stops by state, in the projects that were read.
func (b *Batch) Counts() map[ledger.State]int {
	counts := map[ledger.State]int{}
	for _, p := range b.Parts {
		for state, n := range p.Counts {
			counts[state] += n
		}
	}
	return counts
}

// Total is how many stops it has.
func (b *Batch) Total() (n int) {
	for _, p := range b.Parts {
		n += p.Total
	}
	return n
}

// InFlight is how many of them have no outcome.
func (b *Batch) InFlight() (n int) {
	for _, p := range b.Parts {
		n += p.InFlight()
	}
	return n
}

// Good is how many reached their goal, and Bad how many ended otherwise.
func (b *Batch) Good() (n int) {
	for state, k := range b.Counts() {
		if state.Ended() && state.Good() {
			n += k
		}
	}
	return n
}

// Bad is how many stops ended otherwise than they should.
func (b *Batch) Bad() int { return b.Total() - b.InFlight() - b.Good() }

// Joined is how many of its stops were active for another batch already.
func (b *Batch) Joined() (n int) {
	for _, p := range b.Parts {
		n += p.Joined
	}
	return n
}

// Undone is how many of those that were stopped an undo of the batch has restarted.
func (b *Batch) Undone() (n int) {
	for _, p := range b.Parts {
		n += p.Undone
	}
	return n
}

// UndoneAt is when the last of them was; zero: none ever.
func (b *Batch) UndoneAt() (at time.Time) {
	for _, p := range b.Parts {
		if p.UndoneAt.After(at) {
			at = p.UndoneAt
		}
	}
	return at
}

// Restarted reports whether an undo has restarted all that the batch has stopped.
func (b *Batch) Restarted() bool {
	undone := b.Undone()
	return undone > 0 && undone >= b.Counts()[ledger.Stopped]
}

// in is the batch in the projects that a principal sees; nil if that is none.
func (b *Batch) in(p *principals.Principal) *Batch {
	part := *b
	part.Parts = nil
	for _, one := range b.Parts {
		if p.Sees(one.ProjectID) {
			part.Parts = append(part.Parts, one)
		}
	}
	if len(part.Parts) == 0 {
		return nil
	}
	part.Projects = len(part.Parts)
	part.describe()
	part.HeldIn, part.StandsIn = map[string]string{}, map[string]release.Reason{}
	for _, one := range part.Parts {
		if why, ok := b.HeldIn[one.ProjectID]; ok {
			part.HeldIn[one.ProjectID] = why
		}
		if why, ok := b.StandsIn[one.ProjectID]; ok {
			part.StandsIn[one.ProjectID] = why
		}
	}
	part.sumUp()
	return &part
}

// VisibleBatches are the batches, and of each the part, that a principal sees.
func VisibleBatches(all []Batch, p *principals.Principal) []Batch {
	if p.All() {
		return all
	}
	var some []Batch
	for i := range all {
		if b := all[i].in(p); b != nil {
			some = append(some, *b)
		}
	}
	return some
}

// describe takes over what the parts say of the whole.
func (b *Batch) describe() {
	b.Created, b.Ended = time.Time{}, time.Time{}
	over := true
	for _, p := range b.Parts {
		if b.Created.IsZero() || p.Created.Before(b.Created) {
			b.Created, b.Meta = p.Created, p.Meta
		}
		over = over && !p.Ended.IsZero()
		if p.Ended.After(b.Ended) {
			b.Ended = p.Ended
		}
	}
	if !over {
		b.Ended = time.Time{}
	}
	b.Shadow = b.Meta.Shadow
}

// hold marks what holds it back.
func (b *Batch) hold(holds []release.Hold, concerns func(h release.Hold, projectID string) bool) {
	b.HeldIn, b.StandsIn = map[string]string{}, map[string]release.Reason{}
	for _, p := range b.Parts {
		if p.InFlight() == 0 {
			continue
		}
		for _, h := range holds {
			onlyStops := h.Reason == release.Paused // polls go on, and looks of a shadow
			if h.ByLimit() || onlyStops && (b.Shadow || p.Counts[ledger.Pending] == 0) || !concerns(h, p.ProjectID) {
				continue
			}
			b.StandsIn[p.ProjectID] = h.Reason
			break
		}
		for _, h := range holds {
			if h.ByLimit() && !b.Shadow && h.ProjectID == p.ProjectID && (h.Batch == b.ID || h.Batch == "" && !p.Confirmed) {
				b.HeldIn[p.ProjectID] = string(h.Reason)
			}
		}
	}
	b.sumUp()
}

// sumUp tells of the whole what holds its parts back.
func (b *Batch) sumUp() {
	b.Held, b.Stands = "", ""
	moves := false
	for _, p := range b.Parts {
		if why := b.HeldIn[p.ProjectID]; why != "" {
			b.Held = why
		}
		if p.InFlight() == 0 {
			continue
		}
		if why := b.StandsIn[p.ProjectID]; why != "" {
			b.Stands = why
		} else {
			moves = true
		}
	}
	if moves {
		b.Stands = ""
	}
}

// batches reads batches by their ids; the newest comes first. Those of which nothing is recorded are left out.
func (s *Source) batches(ctx context.Context, ids []string, holds []release.Hold) ([]Batch, error) {
	read := make([]*Batch, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, id := range ids {
		group.Go(func() (err error) {
			read[i], err = s.batch(ctx, s.desk.Ledger.Real(), id, readParts)
			if err == nil && read[i] == nil {
				read[i], err = s.batch(ctx, s.desk.Ledger.Shadow(), id, readParts)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	all := []Batch{}
	for _, b := range read {
		if b != nil {
			b.hold(holds, s.desk.Release.Concerns)
			all = append(all, *b)
		}
	}
	slices.SortStableFunc(all, func(a, b Batch) int { return b.Created.Compare(a.Created) })
	return all, nil
}

// batch reads one batch in up to so many projects; nil if there is none.
func (s *Source) batch(ctx context.Context, l *ledger.Ledger, id string, most int) (*Batch, error) {
	projects, err := l.BatchProjects(ctx, id)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b := &Batch{ID: id, Projects: len(projects)}
	for _, p := range projects[:min(len(projects), most)] {
		part, err := l.Batch(ctx, p, id)
		if errors.Is(err, ledger.ErrNotFound) || err == nil && part.Total == 0 {
			b.Projects--
			continue
		}
		if err != nil {
			return nil, err
		}
		b.Parts = append(b.Parts, part)
	}
	if len(b.Parts) == 0 {
		return nil, nil
	}
	b.describe()
	due, err := s.dues.first(ctx, l, b)
	if due.After(s.desk.Release.Now()) {
		b.Waits = due
	}
	return b, err
}

// dues remembers when batches begin: that does not change.
type dues struct {
	mu sync.Mutex
	of map[string]time.Time
}

// lookedAt is how many stops of a batch are looked at to tell when its first one is due: they are asked for in the
// order of their times.
const lookedAt = 10

// first is when the first stop of a batch is due of which nothing has begun; zero if something has.
func (d *dues) first(ctx context.Context, l *ledger.Ledger, b *Batch) (due time.Time, err error) {
	if b.Counts()[ledger.Pending] < b.Total() {
		return due, nil
	}
	d.mu.Lock()
	due, ok := d.of[b.ID]
	d.mu.Unlock()
	if ok {
		return due, nil
	}
	for _, p := range b.Parts[:min(len(b.Parts), lookedAt)] {
		stops, _, err := l.BatchStops(ctx, p.ProjectID, b.ID, 0, lookedAt)
		if err != nil {
			return due, err
		}
		for _, stop := range stops {
			if due.IsZero() || stop.Due.Before(due) {
				due = stop.Due
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.of) >= 2*listed || d.of == nil {
		d.of = map[string]time.Time{}
	}
	d.of[b.ID] = due
	return due, nil
}

func (s *Source) readList(ctx context.Context) ([]Batch, error) {
	ids, err := s.newestIDs(ctx, listed)
	if err != nil {
		return nil, err
	}
	holds, err := s.desk.Release.Holds(ctx)
	if err != nil {
		return nil, err
	}
	return s.batches(ctx, ids, holds)
}

// readDeep reads the batches that are older than those of the list, as many as there is time and room for.
func (s *Source) readDeep(ctx context.Context) ([]Batch, error) {
	began := s.deep.clock()
	var ids []string
	for _, l := range []*ledger.Ledger{s.desk.Ledger.Real(), s.desk.Ledger.Shadow()} {
		newest, err := l.Batches(ctx, deepListed)
		if err != nil {
			return nil, err
		}
		ids = append(ids, newest[min(len(newest), listed):]...)
	}
	holds, err := s.desk.Release.Holds(ctx)
	if err != nil {
		return nil, err
	}
	all, parts := []Batch{}, 0
	for chunk := range slices.Chunk(ids, readAtOnce) {
		if parts > deepParts || s.deep.clock().Sub(began) > deepTime {
			break
		}
		some, err := s.batches(ctx, chunk, holds)
		if err != nil {
			return nil, err
		}
		for _, b := range some {
			parts += len(b.Parts)
		}
		all = append(all, some...)
	}
	return all, nil
}

// Newest is the newest batches, and of each the part, that a principal sees and wanted chooses. It goes back 1,000,
// and if that is fewer than enough up to 10,000, the older of which are as they were up to a minute or so ago.
func (s *Source) Newest(ctx context.Context, p *principals.Principal, enough int, wanted func(*Batch) bool) (Kept[[]Batch], error) {
	kept, err := s.list.get(ctx, struct{}{}, s.readList)
	if err != nil {
		return kept, err
	}
	unwanted := func(b Batch) bool { return !wanted(&b) }
	known := kept.Value
	kept.Value = slices.DeleteFunc(slices.Clone(VisibleBatches(known, p)), unwanted)
	if len(kept.Value) >= enough {
		return kept, nil
	}
	deep, err := s.deep.get(ctx, struct{}{}, s.readDeep)
	if err != nil {
		return kept, err
	}
	seen := make(map[string]bool, len(known))
	for i := range known {
		seen[known[i].ID] = true
	}
	older := slices.DeleteFunc(slices.Clone(deep.Value), func(b Batch) bool { return seen[b.ID] })
	kept.Value = append(kept.Value, slices.DeleteFunc(slices.Clone(VisibleBatches(older, p)), unwanted)...)
	slices.SortStableFunc(kept.Value, func(a, b Batch) int { return b.Created.Compare(a.Created) })
	return kept, nil
}

// Query chooses batches of a list. Empty fields choose all.
type Query struct {
	Project string
	Batch   string // a part of the id
	Outcome ledger.State
	Text    string // a part of reason, requester or labels, in small or capital letters
	Since   time.Time
	Page    int // from 0
}

// empty reports whether it chooses all.
func (q Query) empty() bool { q.Page = 0; return q == Query{} }

// List is a page of batches.
type List struct {
	Batches []Batch
	Found   int  // how many there are on all pages
	More    bool // there is another page
	Full    bool // there may be batches that are older than those that were looked at
}

// PerPage is how many batches a page has.
const PerPage = newest

// List is one page of those batches among the newest 1,000 that a query chooses and a principal sees.
func (s *Source) List(ctx context.Context, q Query, p *principals.Principal) (Kept[List], error) {
	kept, err := s.list.get(ctx, struct{}{}, s.readList)
	if err != nil {
		return Kept[List]{}, err
	}
	list := List{Full: len(kept.Value) >= listed}
	for _, b := range VisibleBatches(kept.Value, p) {
		if !q.chooses(&b) {
			continue
		}
		if at := list.Found - q.Page*PerPage; at >= 0 && at < PerPage {
			list.Batches = append(list.Batches, b)
		}
		list.Found++
	}
	list.More = list.Found > (q.Page+1)*PerPage
	return Kept[List]{Value: list, Read: kept.Read, Trouble: kept.Trouble}, nil
}

func (q Query) chooses(b *Batch) bool {
	if q.empty() {
		return true
	}
	inProject := func(p *ledger.Batch) bool { return p.ProjectID == q.Project }
	text := func() bool {
		words := []string{b.Meta.Reason, b.Meta.Requester}
		for _, name := range slices.Sorted(maps.Keys(b.Meta.Labels)) {
			words = append(words, name+"="+b.Meta.Labels[name])
		}
		return strings.Contains(strings.ToLower(strings.Join(words, "\n")), strings.ToLower(q.Text))
	}
	return (q.Project == "" || slices.ContainsFunc(b.Parts, inProject)) &&
		(q.Batch == "" || strings.Contains(b.ID, q.Batch)) &&
		(q.Outcome == "" || b.Counts()[q.Outcome] > 0) &&
		(q.Since.IsZero() || !b.Created.Before(q.Since)) &&
		(q.Text == "" || text())
}

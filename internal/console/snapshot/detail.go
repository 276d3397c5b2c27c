package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"vizstop/internal/control"
	"vizstop/internal/ledger"
	"vizstop/internal/plain"
	"vizstop/internal/principals"
	"vizstop/internal/release"
	"vizstop/internal/report"
)

// Detail is one batch, all that can be told without reading its stops. Nobody changes it.
type Detail struct {
	Batch
	Whole   []string       // all of its projects
	Holds   []release.Hold // that hold its calls back
	Fleet   string         // that Redis refuses writes or no worker lives, in words; "": neither is so
	Refused bool           // it is Redis
	End     time.Time      // about when the last stop will have its outcome; zero: that can't be told
}

// Batch is one batch as a principal sees it. Without one, or if it has no project that the principal sees, the error
// is a *control.UnknownError, which tells of a schedule's tick only a principal who sees all projects.
func (s *Source) Batch(ctx context.Context, id string, p *principals.Principal) (Kept[*Detail], error) {
	unknown := &control.UnknownError{Batch: id}
	if ledger.ValidateBatch(id) != nil {
		return Kept[*Detail]{}, unknown
	}
	kept, err := s.details.get(ctx, id, func(ctx context.Context) (*Detail, error) { return s.detail(ctx, id) })
	if gone, ok := errors.AsType[*control.UnknownError](cmp.Or(err, kept.Trouble)); ok { // Redis answers, and has no such batch, or no more
		if p.All() {
			unknown = gone
		}
		return Kept[*Detail]{}, unknown
	}
	if err != nil {
		return kept, err
	}
	if p.All() {
		return kept, nil
	}
	part := *kept.Value
	b := part.in(p)
	if b == nil {
		return Kept[*Detail]{}, unknown
	}
	part.Batch = *b
	part.Whole = nil
	for _, one := range b.Parts {
		part.Whole = append(part.Whole, one.ProjectID)
	}
	part.Holds = VisibleHolds(part.Holds, p)
	if len(part.Whole) < len(kept.Value.Whole) {
		part.End = time.Time{}
	}
	kept.Value = &part
	return kept, nil
}

func (s *Source) detail(ctx context.Context, id string) (*Detail, error) {
	whole, err := s.desk.Batch(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := s.desk.Refresh(ctx); err != nil {
		return nil, err
	}
	b, err := s.batch(ctx, whole.Ledger, id, math.MaxInt)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, &control.UnknownError{Batch: id, Empty: true}
	}
	d := &Detail{Batch: *b, Whole: whole.Projects}
	if b.InFlight() == 0 {
		return d, nil
	}
	if d.Holds, err = whole.Holds(ctx); err != nil {
		return nil, err
	}
	d.hold(d.Holds, s.desk.Release.Concerns)
	if d.Fleet, d.Refused, err = s.desk.Standstill(ctx); err != nil {
		return nil, err
	}
	sight, err := s.follower.look(ctx, whole, len(d.Holds) > 0 || d.Fleet != "")
	if err == nil {
		d.End = sight.End
	}
	return d, err
}

// followers measure the pace of batches while people look at them.
type followers struct {
	mu sync.Mutex
	of map[string]*follower
}

// follower measures the pace of one batch.
type follower struct {
	mu sync.Mutex
	*report.Follower
}

// look is one look at a batch. Looks at the same batch take turns: one begins before another has ended when all is
// to be read anew meanwhile.
func (f *followers) look(ctx context.Context, b *control.Batch, held bool) (report.Sight, error) {
	f.mu.Lock()
	one := f.of[b.ID]
	if one == nil {
		if len(f.of) >= keptBatches { // their paces are measured anew
			clear(f.of)
		}
		watch := b.Watch(nil)
		watch.Why = nil
		one = &follower{Follower: watch.Follow()}
		f.of[b.ID] = one
	}
	f.mu.Unlock()
	one.mu.Lock()
	sight, err := one.Look(ctx)
	one.mu.Unlock()
	if held { // a time in which nothing could move is no part of the pace
		sight.End = time.Time{}
		f.mu.Lock()
		delete(f.of, b.ID)
		f.mu.Unlock()
	}
	return sight, err
}

const (
	// readStops is how many of the newest stops of a batch are read to tell of reasons and lag.
	readStops = 5000
	// digestFresh is how long what they told is good, at least.
	digestFresh = 5 * time.Second
	// keptReasons is how many reasons of failures are told apart in one project.
	keptReasons = 50
	// shownReason bounds a reason, in characters.
	shownReason = 300
)

// Digest is what the newest stops of a batch tell, in one project.
type Digest struct {
	Read     int // how many of them
	Failures []Failure
	Lags     []time.Duration // from due until confirmed, of those that were stopped; ascending
}

// Failure is stops that ended badly, or have trouble, in the same words.
type Failure struct {
	State     ledger.State
	Reason    string
	Stops     int
	ProjectID string // of the example
	Example   string // a job
}

// Digest reads the newest stops of a batch, at most 5,000, and tells of the projects that are asked for.
func (s *Source) Digest(ctx context.Context, d *Detail) (Kept[*Digest], error) {
	kept, err := s.Digests(ctx, d)
	if err != nil {
		return Kept[*Digest]{}, err
	}
	all := &Digest{}
	for _, p := range d.Whole {
		if one := kept.Value[p]; one != nil {
			all.add(one)
		}
	}
	slices.Sort(all.Lags)
	slices.SortStableFunc(all.Failures, func(a, b Failure) int {
		return cmp.Or(b.Stops-a.Stops, strings.Compare(string(a.State), string(b.State)), strings.Compare(a.Reason, b.Reason))
	})
	return Kept[*Digest]{Value: all, Read: kept.Read, Trouble: kept.Trouble}, nil
}

// Digests are the same for each project that is asked for.
func (s *Source) Digests(ctx context.Context, d *Detail) (Kept[map[string]*Digest], error) {
	return s.digests.get(ctx, d.ID, func(ctx context.Context) (map[string]*Digest, error) { return s.digest(ctx, d.ID) })
}

func (d *Digest) add(o *Digest) {
	d.Read += o.Read
	d.Lags = append(d.Lags, o.Lags...)
	for _, f := range o.Failures {
		d.fail(f)
	}
}

func (d *Digest) fail(f Failure) {
	for i := range d.Failures {
		if known := &d.Failures[i]; known.State == f.State && known.Reason == f.Reason {
			known.Stops += f.Stops
			return
		}
	}
	d.Failures = append(d.Failures, f)
}

// JobHours are those from when stops were due until they were confirmed, added up over Lags.
func (d *Digest) JobHours() Hours {
	sum := time.Duration(0)
	for _, lag := range d.Lags {
		sum += lag
	}
	return Hours{sum.Hours(), sum.Hours()}
}

// Lag is the lag that so much of the stops had at most, by nearest rank; q from 0 to 1.
func (d *Digest) Lag(q float64) time.Duration {
	if len(d.Lags) == 0 {
		return 0
	}
	return d.Lags[max(0, int(math.Ceil(q*float64(len(d.Lags))))-1)]
}

func (s *Source) digest(ctx context.Context, id string) (map[string]*Digest, error) {
	b, err := s.desk.Batch(ctx, id)
	if err != nil {
		return nil, err
	}
	counts, err := s.fingerprint(ctx, b)
	if err != nil {
		return nil, err
	}
	if known := s.kept.get(id, counts, s.digests.clock()); known != nil {
		return known, nil
	}
	all := map[string]*Digest{}
	left := readStops
	for i, p := range b.Projects {
		if left <= 0 {
			break
		}
		share := left / (len(b.Projects) - i)
		if all[p], err = readDigest(ctx, b.Ledger, p, id, max(50, share)); err != nil {
			return nil, err
		}
		left -= max(1, all[p].Read)
	}
	s.kept.put(id, keptDigest{counts, s.digests.clock(), all})
	return all, nil
}

// fingerprint is the counts of a batch in all of its projects.
func (s *Source) fingerprint(ctx context.Context, b *control.Batch) (string, error) {
	var all strings.Builder
	for _, p := range b.Projects {
		one, err := b.Ledger.Batch(ctx, p, b.ID)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return "", err
		}
		if err == nil {
			fmt.Fprintln(&all, p, one.Total, one.Counts)
		}
	}
	return all.String(), nil
}

// keptDigests are what the stops of batches told, for as long as their counts are the same.
type keptDigests struct {
	mu sync.Mutex
	of map[string]keptDigest
}

type keptDigest struct {
	counts string
	read   time.Time
	all    map[string]*Digest
}

// keptFor is how long they are kept at most: reasons of stops that are in flight change without a count.
const keptFor = time.Minute

func (k *keptDigests) get(id, counts string, now time.Time) map[string]*Digest {
	k.mu.Lock()
	defer k.mu.Unlock()
	if one := k.of[id]; one.counts == counts && now.Sub(one.read) < keptFor {
		return one.all
	}
	return nil
}

func (k *keptDigests) put(id string, one keptDigest) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == nil || len(k.of) >= keptBatches {
		k.of = map[string]keptDigest{}
	}
	k.of[id] = one
}

func (k *keptDigests) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.of)
}

func readDigest(ctx context.Context, l *ledger.Ledger, projectID, id string, most int) (*Digest, error) {
	d := &Digest{}
	counts, err := l.Batch(ctx, projectID, id)
	if errors.Is(err, ledger.ErrNotFound) {
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	for offset := max(0, counts.Total-most); d.Read < most; {
		stops, next, err := l.BatchStops(ctx, projectID, id, offset, readAtOnce)
		if err != nil {
			return nil, err
		}
		for _, stop := range stops {
			d.Read++
			if stop.State == ledger.Stopped {
				d.Lags = append(d.Lags, max(0, stop.Ended.Sub(stop.Due)))
			}
			d.note(stop)
		}
		if next == 0 {
			break
		}
		offset = next
	}
	slices.Sort(d.Lags)
	return d, nil
}

// UndoneAt is when the job of a stop was restarted by an undo, of any batch; zero: it was not, which an undo does
// not do while another batch wants it stopped, or nobody knows whether it was.
func UndoneAt(stop *ledger.Stop) (at time.Time) {
	if stop.WantedBesides("") != "" || stop.Restarting() {
		return at
	}
	for _, w := range stop.Wishes {
		if w.Undone.After(at) && !w.Renounced && stop.State == ledger.Stopped {
			at = w.Undone
		}
	}
	return at
}

// readAtOnce is how many stops, or old batches, are read in one go.
const readAtOnce = 500

// note counts a stop that failed, or has trouble.
func (d *Digest) note(stop *ledger.Stop) {
	reason := ReasonOf(stop)
	if stop.State.Ended() && stop.State.Good() || !stop.State.Ended() && reason == "" {
		return
	}
	f := Failure{State: stop.State, Reason: reason, Stops: 1, ProjectID: stop.ProjectID, Example: stop.JobID}
	if len(d.Failures) >= keptReasons {
		f.Reason = OtherReasons
	}
	d.fail(f)
}

// OtherReasons stands for those that are not told apart.
const OtherReasons = "other reasons"

// port is an address with a port, which is another one for each connection.
var port = regexp.MustCompile(`(\b\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]):\d{1,5}\b`)

// ReasonOf is the reason of a stop, as failures are grouped by it: without the id of the job and of the request,
// and without ports.
func ReasonOf(stop *ledger.Stop) string {
	reason := plain.Line(stop.Reason, shownReason)
	reason = port.ReplaceAllString(reason, "$1:…")
	for _, own := range []string{stop.RequestID, stop.JobID} {
		if len(own) >= 8 {
			reason = strings.ReplaceAll(reason, own, "…")
		}
	}
	return reason
}

package ledger_test

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"vizstop/internal/ledger"
)

// model is ledger and claims in plain Go: what the scripts must agree with. Times
// are in ms.
type model struct {
	now    float64
	paused bool
	window int             // how many calls of stops that nobody confirmed there may be
	used   int             // such calls
	held   map[string]bool // batches that are
	stops  map[string]*modelStop
	active map[string]string            // job to stop id
	serves map[string]map[string]string // batch to job to the stop that serves its wish
}

// The sets in which a stop in flight can be.
const (
	inSmall    = "small"
	inLarge    = "large"
	inLimited  = "limited"
	inHeld     = "held"
	inLook     = "look"
	inReleased = "released"
	inWatched  = "watched"
)

type modelStop struct {
	id, job   string
	state     ledger.State
	kind      ledger.Kind
	hop       int
	batch     string
	place     string  // "" once it has ended
	lane      string  // where it waits for a stop call
	waits     float64 // in a waiting set: until when
	next      float64 // when its step was due at first
	due       float64
	deadline  float64
	passes    float64 // when the deadline of a wish comes before those of others
	claimed   int     // hop that a worker has claimed
	calling   int     // hop whose stop call may be on its way
	unsure    bool
	withdrawn bool
	// When what somebody has confirmed is due and ends, if others ask for more.
	from, till float64
	wishes     map[string]*modelWish // by batch
}

type modelWish struct {
	asked, due, deadline float64
	void, late           bool
	meant                bool // somebody has confirmed it
}

func (w *modelWish) stands() bool { return !w.void && !w.late }

func newModel() *model {
	return &model{stops: map[string]*modelStop{}, active: map[string]string{}, serves: map[string]map[string]string{}, held: map[string]bool{}, window: 3}
}

// inFlight lists the stops that have not ended, by their ids.
func (m *model) inFlight() []*modelStop {
	var all []*modelStop
	for _, id := range slices.Sorted(maps.Keys(m.stops)) {
		if s := m.stops[id]; !s.state.Ended() {
			all = append(all, s)
		}
	}
	return all
}

func (m *model) in(state ledger.State) int {
	n := 0
	for _, s := range m.inFlight() {
		if s.state == state {
			n++
		}
	}
	return n
}

// open records the wishes of one batch for several jobs.
func (m *model) open(batch string, jobs []string, due, deadline float64, confirmed bool) []ledger.Opening {
	if m.serves[batch] == nil {
		m.serves[batch] = map[string]string{}
	}
	openings := make([]ledger.Opening, len(jobs))
	total, opened := len(m.serves[batch]), 0
	for i, job := range jobs {
		o := ledger.Opening{JobID: job}
		own := ledger.StopID(batch, project, job)
		if id, known := m.serves[batch][job]; known {
			o.Result, o.StopID = ledger.Known, id
			switch {
			case confirmed && own == id:
				m.confirm(m.stops[id], batch, inLarge)
			case confirmed:
				m.confirm(m.stops[id], batch, inSmall)
			}
		} else if id, active := m.active[job]; active {
			o.Result, o.StopID = ledger.Joined, id
			m.join(m.stops[id], batch, due, deadline, confirmed)
			m.serves[batch][job] = id
		} else {
			o.Result, o.StopID = ledger.Opened, own
			lane := inSmall
			switch {
			case !confirmed && m.held[batch]:
				lane = inHeld
			case !confirmed:
				lane = inLimited
			}
			m.stops[own] = &modelStop{id: own, job: job, batch: batch, lane: lane, state: ledger.Pending, kind: ledger.KindStop, hop: 1, place: lane,
				waits: due + float64(total+opened)/1000, next: due, due: due, deadline: deadline, passes: math.Inf(1),
				wishes: map[string]*modelWish{batch: {asked: m.now, due: due, deadline: deadline, meant: confirmed}}}
			m.active[job], m.serves[batch][job] = own, own
			opened++
		}
		openings[i] = o
	}
	return openings
}

// limited says whether limits are for s.
func (s *modelStop) limited() bool { return s.lane == inLimited || s.lane == inHeld }

// unconfirmed says whether the wish of a batch stands and nobody has confirmed it.
func (s *modelStop) unconfirmed(batch string) bool {
	w := s.wishes[batch]
	return w.stands() && !w.meant
}

// confirm confirms the wish of a batch.
func (m *model) confirm(s *modelStop, batch, lane string) {
	if s.unconfirmed(batch) {
		s.wishes[batch].meant = true
		m.keep(s, lane)
	}
}

// rest has s wait for its call in a lane.
func (s *modelStop) rest(lane string) {
	if s.place == s.lane {
		s.place = lane
	}
	s.lane = lane
}

// heir is the batch whose limits keep s where nobody has confirmed it: the first that
// wants it so and is not held, or the first. "" is none.
func (m *model) heir(s *modelStop) string {
	var standing []string
	for batch := range s.wishes {
		if s.unconfirmed(batch) && m.asks(s, s.wishes[batch]) {
			standing = append(standing, batch)
		}
	}
	if len(standing) == 0 {
		return ""
	}
	rank := map[bool]int{true: 1}
	return slices.MinFunc(standing, func(a, b string) int {
		return cmp.Or(rank[m.held[a]]-rank[m.held[b]], cmp.Compare(s.wishes[a].asked, s.wishes[b].asked), strings.Compare(a, b))
	})
}

// asks says whether a wish of s asks for anything now: it stands, and its deadline has not passed, unless all of them
// have.
func (m *model) asks(s *modelStop, w *modelWish) bool {
	if !w.stands() || w.deadline > m.now {
		return w.stands()
	}
	for _, other := range s.wishes {
		if other.stands() && other.deadline > m.now {
			return false
		}
	}
	return true
}

// keep has s do what the wishes ask for that stand. lane is the ordinary one that it comes
// to.
func (m *model) keep(s *modelStop, lane string) {
	if s.state.Ended() {
		return
	}
	due, deadline, from, till := math.Inf(1), 0.0, math.Inf(1), 0.0
	s.passes = math.Inf(1)
	for _, w := range s.wishes {
		if !m.asks(s, w) {
			continue
		}
		due, deadline, s.passes = min(due, w.due), max(deadline, w.deadline), min(s.passes, w.deadline)
		if w.meant {
			from, till = min(from, w.due), max(till, w.deadline)
		}
	}
	if s.passes >= deadline {
		s.passes = math.Inf(1)
	}
	stretched := from > due || till < deadline
	if s.from, s.till = 0, 0; stretched && till > 0 {
		s.from, s.till = from, till
	}
	if stretched {
		s.batch = m.heir(s)
	}
	switch {
	case (m.now < from && due < from || m.now >= till && deadline > till) && m.held[s.batch]:
		s.rest(inHeld)
	case m.now < from && due < from || m.now >= till && deadline > till:
		s.rest(inLimited)
	case s.limited():
		s.rest(lane)
	}
	s.deadline = deadline
	if due != s.due {
		s.reschedule(due)
	}
}

// allow confirms up to n stops of a batch, and returns how many. A held batch stays so:
// it has stated more stops than it has.
func (m *model) allow(batch string, jobs []string, n int) int {
	done := 0
	for _, job := range jobs { // in the order of their asking
		s := m.stops[m.serves[batch][job]]
		switch {
		case s.state != ledger.Pending && (s.state != ledger.Stopping || s.lane != inHeld) || !s.unconfirmed(batch):
		case done == n:
		default:
			m.confirm(s, batch, inLarge)
			done++
		}
	}
	return done
}

func (m *model) join(s *modelStop, batch string, due, deadline float64, confirmed bool) {
	s.wishes[batch] = &modelWish{asked: m.now, due: due, deadline: deadline, meant: confirmed}
	s.withdrawn = false
	m.keep(s, inSmall)
}

// reschedule makes s due at another time. A step that just waits for it does so
// now until then.
func (s *modelStop) reschedule(due float64) {
	if s.next == s.due && s.kind == ledger.KindStop && s.place == s.lane {
		s.next, s.waits = due, due
	}
	s.due = due
}

func (m *model) withdraw(batch, job string) ledger.Withdrawal {
	id, ok := m.serves[batch][job]
	if !ok {
		return ledger.NoWish
	}
	s := m.stops[id]
	w := s.wishes[batch]
	switch {
	case w.void || s.state == ledger.Canceled && !w.late:
		return ledger.Withdrew
	case s.state.Ended():
		return ledger.Over
	}
	var left []*modelWish
	late := false
	for other, o := range s.wishes {
		switch {
		case other == batch || o.void:
		case o.late:
			late = true
		default:
			left = append(left, o)
		}
	}
	answer := ledger.Withdrew
	switch {
	case s.state == ledger.Stopping || s.calling == s.hop || s.unsure:
		w.late, answer = true, ledger.TooLate
	case len(left) == 0 && !late:
		m.end(s, ledger.Canceled)
		return answer
	default:
		w.void = true
	}
	if len(left) == 0 {
		s.withdrawn = true
		if s.kind == ledger.KindStop && s.place == s.lane { // neither pause nor limit keeps it from its end
			s.lookInstead(m.now)
		}
		return answer
	}
	m.keep(s, inLarge)
	return answer
}

func (m *model) end(s *modelStop, outcome ledger.State) {
	s.state, s.place = outcome, ""
	delete(m.active, s.job)
}

// release releases what is due, and returns how many stop calls and looks it was.
func (m *model) release() (stops, polls int) {
	var limited []*modelStop
	for _, s := range m.inFlight() {
		switch {
		case s.waits > m.now:
		case s.place == inLimited && !m.paused:
			limited = append(limited, s)
		case (s.place == inSmall || s.place == inLarge) && !m.paused:
			s.place = inReleased
			stops++
		case s.place == inLook:
			s.place = inReleased
			polls++
		}
	}
	slices.SortFunc(limited, func(a, b *modelStop) int {
		return cmp.Or(cmp.Compare(a.waits, b.waits), strings.Compare(a.member(), b.member()))
	})
	for _, s := range limited[:min(len(limited), max(0, m.window-m.used))] {
		s.place = inReleased
		stops++
	}
	return stops, polls
}

func (s *modelStop) member() string {
	return ledger.Member{StopID: s.id, Hop: s.hop, JobID: s.job}.String()
}

// hopTo moves s to its next hop, which waits.
func (s *modelStop) hopTo(kind ledger.Kind, until float64) {
	s.hop, s.kind, s.next, s.waits, s.place = s.hop+1, kind, until, until, s.lane
	if kind == ledger.KindPoll {
		s.place = inLook
	}
}

// claim claims a hop of s for a task of that kind.
func (m *model) claim(s *modelStop, hop int, kind ledger.Kind) (claimed, held bool) {
	if s.passes <= m.now {
		m.keep(s, inLarge)
	}
	if s.place != inReleased || s.hop != hop || s.kind != kind || s.claimed == hop {
		return false, false
	}
	isStop := kind == ledger.KindStop
	switch {
	case isStop && !s.withdrawn && s.due > m.now+1000:
		s.hopTo(kind, s.due)
		return false, true
	case isStop && m.paused && s.withdrawn:
		s.hopTo(ledger.KindPoll, m.now)
		return false, true
	case isStop && m.paused:
		s.hopTo(kind, m.now)
		return false, true
	}
	limited := s.limited()
	if s.from > 0 {
		limited = m.now+1000 < s.from || m.now >= s.till
	}
	if isStop && s.deadline > m.now && !s.withdrawn && limited {
		heir := m.heir(s)
		switch {
		case s.lane != inHeld && !m.held[s.batch]:
		case heir == "" || m.held[heir]:
			s.lane = inHeld
		default:
			s.batch, s.lane = heir, inLimited
		}
		if s.lane != inHeld && m.used >= m.window {
			s.lane = inLimited
		}
		if s.lane == inHeld || m.used >= m.window {
			s.hopTo(kind, s.due)
			return false, true
		}
		m.used++
	}
	s.claimed = hop
	if isStop && s.deadline > m.now && !s.withdrawn {
		s.calling = hop
	}
	return true, false
}

// take takes s out of where it waits.
func (m *model) take(s *modelStop) bool {
	if s.place == "" || s.place == inReleased {
		return false
	}
	s.hop, s.kind, s.place = s.hop+1, ledger.KindPoll, inReleased
	s.claimed = s.hop
	return true
}

// advance moves s on from a hop.
func (m *model) advance(s *modelStop, hop int, state ledger.State, kind ledger.Kind, until float64, watchFrom int) bool {
	if s.state.Ended() || s.hop != hop {
		return false
	}
	s.state = state
	if kind == ledger.KindStop && s.withdrawn { // while its call was under way
		kind, until = ledger.KindPoll, m.now
	} else if kind == ledger.KindStop { // not before it is wanted
		until = max(until, s.due)
	}
	s.hopTo(kind, until)
	if watchFrom > 0 && m.in(ledger.Stopping) >= watchFrom {
		s.kind, s.place = ledger.KindWatch, inWatched
	}
	return true
}

// recover takes a released hop back that is lost.
func (m *model) recover(s *modelStop, hop int) bool {
	if s.place != inReleased || s.hop != hop {
		return false
	}
	kind := s.kind
	switch {
	case kind == ledger.KindStop && s.calling == hop:
		kind, s.unsure = ledger.KindPoll, true
	case s.withdrawn:
		kind = ledger.KindPoll
	}
	s.hopTo(kind, m.now)
	if kind == ledger.KindStop { // it keeps its place among those that wait
		s.waits = min(m.now, s.due)
	}
	return true
}

// lookInstead has s wait for a look, now, in place of its stop call.
func (s *modelStop) lookInstead(now float64) {
	s.kind, s.place, s.next, s.waits = ledger.KindPoll, inLook, now, now
}

// hasten gives s a look if its time is up, or if its next stop call is held back or not
// wanted yet. It lets it out of the limits while it is confirmed.
func (m *model) hasten(s *modelStop) {
	if s.from > 0 && s.from <= m.now && m.now < s.till && s.limited() {
		s.rest(inLarge)
	}
	up, heldBack := s.deadline <= m.now, m.paused || s.lane == inLimited || s.lane == inHeld
	switch {
	case s.place == inLook && up:
		s.waits = m.now
	case s.place == inWatched:
		s.hopTo(ledger.KindPoll, m.now)
	case s.place == s.lane && (s.state == ledger.Stopping || s.unsure) &&
		(up || s.due > m.now || s.waits <= m.now && heldBack):
		s.lookInstead(m.now)
	}
}

// counts are the wishes of a batch by what became of them.
func (m *model) counts(batch string) (counts map[ledger.State]int, total, joined int) {
	counts = map[ledger.State]int{}
	for _, s := range append(ledger.InFlight(), ledger.AllOutcomes()...) {
		counts[s] = 0
	}
	for job, id := range m.serves[batch] {
		s := m.stops[id]
		if s.wishes[batch].void {
			counts[ledger.Canceled]++
		} else {
			counts[s.state]++
		}
		total++
		if id != ledger.StopID(batch, project, job) {
			joined++
		}
	}
	return counts, total, joined
}

func msOf(t time.Time) float64 { return float64(t.UnixMilli()) }

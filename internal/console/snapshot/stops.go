package snapshot

import (
	"context"
	"slices"
	"strings"

	"vizstop/internal/ledger"
)

// StopsPerPage is how many stops of a batch a page shows.
const StopsPerPage = 50

// scanned is how many stops a page looks at to find those that are asked for.
const scanned = 5000

// From is where a page of stops begins.
type From struct {
	Project int // place in the batch's projects
	Offset  int // in that project
}

// StopsPage is some of a batch's stops, in the order in which they were asked for.
type StopsPage struct {
	Stops  []*ledger.Stop
	Looked int   // at how many stops
	Next   *From // where the next page begins; nil: this was the last one
}

type pageKey struct {
	batch, projects, state, reason string
	from                           From
}

// Stops is a page of the stops of a batch in its projects as d has them, those of a state and with a part of their
// reason, if any is given. A page looks at 5,000 stops at most, so it may be empty although there is a next one.
func (s *Source) Stops(ctx context.Context, d *Detail, state ledger.State, reason string, from From) (Kept[StopsPage], error) {
	key := pageKey{d.ID, strings.Join(d.Whole, ","), string(state), reason, from}
	return s.pages.get(ctx, key, func(ctx context.Context) (StopsPage, error) {
		l := s.desk.Ledger.Real()
		if d.Shadow {
			l = l.Shadow()
		}
		part := strings.ToLower(reason)
		scan := scan{ledger: l, batch: d.ID, projects: d.Whole, wanted: func(stop *ledger.Stop) bool {
			return (state == "" || stop.State == state) && (reason == "" || strings.Contains(strings.ToLower(ReasonOf(stop)), part))
		}}
		return scan.page(ctx, from)
	})
}

type scan struct {
	ledger   *ledger.Ledger
	batch    string
	projects []string
	wanted   func(*ledger.Stop) bool
}

func (s *scan) page(ctx context.Context, from From) (page StopsPage, err error) {
	for at := from; at.Project < len(s.projects); {
		if page.Looked >= scanned || len(page.Stops) >= StopsPerPage {
			page.Next = &at
			return page, nil
		}
		stops, next, err := s.ledger.BatchStops(ctx, s.projects[at.Project], s.batch, at.Offset, StopsPerPage)
		if err != nil {
			return page, err
		}
		page.Looked += max(1, len(stops))
		room := StopsPerPage - len(page.Stops)
		found := slices.DeleteFunc(slices.Clone(stops), func(stop *ledger.Stop) bool { return !s.wanted(stop) })
		if len(found) > room { // the rest of this chunk is for the next page
			i := slices.Index(stops, found[room])
			page.Stops = append(page.Stops, found[:room]...)
			page.Next = &From{at.Project, at.Offset + i}
			return page, nil
		}
		page.Stops = append(page.Stops, found...)
		if next == 0 {
			at = From{at.Project + 1, 0}
		} else {
			at.Offset = next
		}
	}
	return page, nil
}

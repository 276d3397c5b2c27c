// Package control is what programs beside the workers read and do: which batches
// there are, how one stands and why, ask, cancel, allow, pause. The command line
// and the console are two faces of it.
package control

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/actions"
	"vizstop/internal/caller"
	"vizstop/internal/estimate"
	"vizstop/internal/fleet"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
	"vizstop/internal/scheduler"
)

// Desk is an open ledger, what holds it back, and the connection behind it. Its
// methods are safe for concurrent use; its fields are set before it is shared.
type Desk struct {
	Ledger  *ledger.Ledger // of real stops; a program that asks for shadow stops only may set that of those
	Release *release.Releaser
	Actions *actions.Book
	// Schedules is where schedules are looked at, and their ticks are canceled.
	Schedules *scheduler.Desk
	Fleet     *fleet.Member
	Redis     redis.UniversalClient

	// Served says who serves a project; nil until the API is opened.
	Served func(projectID string) release.Serving

	mu    sync.Mutex
	rate  estimate.Rate
	known bool // some worker has announced a rate

	fresh fresh
}

// Open learns the fleet's time and rate. Calls that the program makes keep to that
// rate, too; it is that of the last Refresh.
func Open(ctx context.Context, rdb redis.UniversalClient) (*Desk, error) {
	member := fleet.New(rdb, 0)
	d := &Desk{Ledger: ledger.New(rdb, member.Now), Actions: actions.New(rdb, member.Now), Schedules: scheduler.NewDesk(rdb, member), Fleet: member, Redis: rdb}
	if err := d.Refresh(ctx); err != nil {
		return nil, err
	}
	d.Release = release.New(rdb, "", member.Now, release.Config{RateNow: d.calls, Window: func() int { return member.Limits().Window }, Serving: func(projectID string) (s release.Serving) {
		if d.Served != nil {
			s = d.Served(projectID)
		}
		return s
	}})
	return d, nil
}

// Refresh learns anew what time it is, which workers live and what rate they have
// announced. A program that goes on for long calls it before it tells of them.
func (d *Desk) Refresh(ctx context.Context) error {
	calls, known, err := release.AnnouncedRate(ctx, d.Redis)
	if err == nil {
		err = d.Fleet.Sync(ctx)
	}
	if err == nil {
		d.mu.Lock()
		d.rate, d.known = estimate.Rate{Calls: calls, Stops: release.StopShare * calls}, known
		d.mu.Unlock()
	}
	return err
}

// calls is the rate that calls keep to: what workers have announced, or would announce by default.
func (d *Desk) calls() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.known {
		return release.DefaultRate
	}
	return d.rate.Calls
}

// Rate is how many calls a second workers have announced for a project without a
// rate of its own; zero if none has. That of a nil desk is zero, too.
func (d *Desk) Rate() estimate.Rate {
	if d == nil {
		return estimate.Rate{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rate
}

// ownRate is how many calls a second a project with a rate of its own gets; zero if it has none, or nobody knows.
func (d *Desk) ownRate(projectID string) estimate.Rate {
	if d.Served == nil {
		return estimate.Rate{}
	}
	own := d.Served(projectID).Rate
	return estimate.Rate{Calls: own, Stops: release.StopShare * own}
}

// CallRate is what calls of this program keep to. A nil desk is that of a program
// without a Redis, such as a dry run.
func (d *Desk) CallRate() caller.Rate {
	if d == nil {
		return &caller.OwnRate{}
	}
	return caller.FleetRate{Rate: d.Release, Ledger: d.Ledger}
}

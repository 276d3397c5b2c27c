package modelartstest

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"
	"vizstop/internal/jobs"
	v1 "vizstop/internal/modelarts/v1"
)

// Config says how a simulator behaves. The zero value is usable: no
// authentication, no limit, any project, plausible durations. Where the vendor's
// editions contradict each other, a field chooses; the zero value is then the
// newest edition, or the guess that the field's comment names.
//
// All functions are called with the simulator locked, so they must not call it.
type Config struct {
	// Now is the simulator's clock; nil means time.Now. Every status is computed
	// from it on access. It must not run backwards.
	Now func() time.Time
	// Sleep waits for d or until ctx ends, for Latency and for delays of faults.
	// Nil uses a real timer. It is called without the lock.
	Sleep func(ctx context.Context, d time.Duration)
	// Latency is how long a call to operation takes before it has an effect; nil
	// means none.
	Latency func(operation string) time.Duration

	Auth     Auth
	Projects []Project // the projects that exist; empty means any
	// Regions puts the name of a region in front of every path, such as
	// /cn-north-4/v1/..., so that one simulator stands for them all; calls to IAM
	// may leave it out. Empty means no prefixes.
	Regions []string
	Only    Generation // the one generation that is offered, but for Offer; "" means both
	V2      V2Options

	RateLimit      RateLimit // of each project
	TotalRateLimit RateLimit // of all projects together

	Phases      Phases
	StopStatus  v1.Status // how a stop ends; 0 means 12 (killed)
	DeleteFails bool      // deletion ends in status 6 instead of removing the job

	// The statuses in which a job may be stopped, restarted and deleted; in any
	// other the answer is ModelArts.0105. Nil means the wide guess of what the
	// documents leave open: 1, 2, 4, 7 and 8 may be stopped, every ended status may be
	// restarted, all but 9 may be deleted. Stoppable holds for v2 as well, where the
	// answer is ModelArts.2796.
	Stoppable, Restartable, Deletable []v1.Status

	NotFound NotFoundStyle
	// BusinessFailureStatus is the HTTP status of answers with is_success false,
	// which no document gives; 0 means 400.
	BusinessFailureStatus int
	// ErrorField is "error_message" (also when empty), "error_msg", "both", or
	// any other name to be used as it stands. Gateway answers always say
	// error_msg.
	ErrorField    string
	OmitIsSuccess bool   // detail answers lack is_success, as since 2024-11
	QuoteNumbers  bool   // the create answer quotes its numbers, as the samples do
	GatewayPrefix string // "APIGW" (also when empty) or "APIG"
	// Extras adds what the samples of 2021-10 show: remaining_duration in list
	// and detail, schedule in list, and service_url in create as in its table.
	Extras      bool
	ScheduleKey string // of the time unit in list's schedule; "" means timeUnit

	DefaultOrder string // of the list: "asc" (also when empty), or "desc" as in 2019-12
	MaxPerPage   int    // 0 means 1000; the 2019-12 edition says 100
	// MaxSearch is how many characters search_content may have. 0 means 100, as
	// the only documented refusal says; newer tables say 64.
	MaxSearch int
	MaxJobs   int // jobs that create allows in a project; 0 means no limit

	// CallsPerJob is how many of its newest calls are remembered for each job. 0
	// remembers all, a negative number none.
	CallsPerJob int
}

// NotFoundStyle is how calls for an absent job are answered. The documents do
// not say.
type NotFoundStyle int

// The ways to say that a job does not exist.
const (
	NotFound404  NotFoundStyle = iota // HTTP 404 with ModelArts.0015
	NotFound0102                      // a business failure, ModelArts.0102
)

// Project is one project that exists. Name is what an IAM token may be scoped
// to instead of the id, usually the region. Region is the one of Config.Regions
// in which it exists; "" means all.
type Project struct{ ID, Name, Region string }

// Phases are how long a job takes to go from one lasting status to the next. A
// function is called once when the phase begins; nil means the default.
// Nothing is published; the defaults are guesses.
type Phases struct {
	Create  func(Job) time.Duration // 1 over 4 and 7 to 8, in equal parts; default 45 s
	Restart func(Job) time.Duration // the same after a restart; default as Create
	Stop    func(Job) time.Duration // 9 to its end; default 15 s; Job.StopTime wins
	Delete  func(Job) time.Duration // 9 until the job is gone; default 5 s
}

// Fixed makes every phase last d.
func Fixed(d time.Duration) func(Job) time.Duration {
	return func(Job) time.Duration { return d }
}

// Spread lets each job's phase last between lo and hi, which must not be below
// lo. The choice depends on nothing but the job's id, so runs repeat.
func Spread(lo, hi time.Duration) func(Job) time.Duration {
	return func(j Job) time.Duration {
		return lo + time.Duration(hash64(j.ID)%uint64(hi-lo+1))
	}
}

// withDefaults fills in what the zero value means and copies what the caller
// might change.
func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	c.Projects = slices.Clone(c.Projects)
	c.Regions = slices.Clone(c.Regions)
	c.V2 = c.V2.withDefaults()
	c.Auth.TokenLife = cmp.Or(c.Auth.TokenLife, 24*time.Hour)
	c.Auth.Users = slices.Clone(c.Auth.Users)
	c.Auth.Agencies = slices.Clone(c.Auth.Agencies)
	c.Phases = c.Phases.withDefaults()
	c.StopStatus = cmp.Or(c.StopStatus, v1.StatusKilled)
	c.Stoppable = slices.Clone(c.Stoppable)
	c.Restartable = slices.Clone(c.Restartable)
	c.Deletable = slices.Clone(c.Deletable)
	if c.Stoppable == nil {
		c.Stoppable = []v1.Status{1, 2, 4, 7, 8}
	}
	c.BusinessFailureStatus = cmp.Or(c.BusinessFailureStatus, http.StatusBadRequest)
	c.ErrorField = cmp.Or(c.ErrorField, "error_message")
	c.ScheduleKey = cmp.Or(c.ScheduleKey, "timeUnit")
	c.GatewayPrefix = cmp.Or(c.GatewayPrefix, "APIGW")
	c.DefaultOrder = cmp.Or(c.DefaultOrder, "asc")
	c.MaxPerPage = cmp.Or(c.MaxPerPage, 1000)
	c.MaxSearch = cmp.Or(c.MaxSearch, 100)
	return c
}

func (p Phases) withDefaults() Phases {
	if p.Create == nil {
		p.Create = Fixed(45 * time.Second)
	}
	if p.Restart == nil {
		p.Restart = p.Create
	}
	if p.Stop == nil {
		p.Stop = Fixed(15 * time.Second)
	}
	if p.Delete == nil {
		p.Delete = Fixed(5 * time.Second)
	}
	return p
}

func (c Config) stoppable(s v1.Status) bool {
	return slices.Contains(c.Stoppable, s)
}

func (c Config) restartable(s v1.Status) bool {
	if c.Restartable != nil {
		return slices.Contains(c.Restartable, s)
	}
	return s.Job().State == jobs.Ended || s == v1.StatusLost
}

func (c Config) deletable(s v1.Status) bool {
	if c.Deletable != nil {
		return slices.Contains(c.Deletable, s)
	}
	return s != v1.StatusKilling
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

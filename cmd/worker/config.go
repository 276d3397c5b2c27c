package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"vizstop/internal/httpd"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
	"vizstop/internal/schedules"
	"vizstop/internal/settings"
	"vizstop/internal/tasks"
	"vizstop/internal/tracing/otlp"
	"vizstop/internal/worker"
)

// config is the settings of "worker run"; "worker demo" has some of them.
type config struct {
	settings.Set
	redis  settings.Redis
	api    settings.API
	log    settings.Log
	listen string
	worker worker.Config

	webConfig   string // a file
	notifyHosts string
	schedules   string // a file
}

const day = 24 * time.Hour

// defaultListen is where a worker shows its pages.
const defaultListen = ":9464"

// declareRun declares every setting of "worker run".
func (c *config) declareRun() {
	c.redis.Declare(&c.Set, true)
	c.api.Declare(&c.Set, false)
	c.declareListen(defaultListen)
	w := &c.worker
	c.Int(&w.Concurrency, "concurrency", "VIZSTOP_CONCURRENCY", 32, "API calls at once", 1, 10000)
	c.declareRate()
	c.declareLimits(&w.Limits)
	c.declareSchedule(&w.Schedule)
	c.Duration(&w.Retention, "retention", "VIZSTOP_RETENTION", ledger.DefaultRetention,
		"how long ended stops and batches stay readable", time.Minute, 365*day)
	c.Duration(&w.CheckInterval, "check-interval", "VIZSTOP_CHECK_INTERVAL", 200*time.Millisecond,
		"how often an idle worker looks for tasks of other producers; of its own it knows at once", time.Millisecond, time.Minute)
	c.Duration(&w.DelayedCheckInterval, "delayed-check-interval", "VIZSTOP_DELAYED_CHECK_INTERVAL", time.Second,
		"how often the worker looks for tasks of other producers that have become due", 10*time.Millisecond, time.Minute)
	c.Duration(&w.ShutdownTimeout, "shutdown-timeout", "VIZSTOP_SHUTDOWN_TIMEOUT", 20*time.Second,
		"how long tasks at work may take after SIGTERM before they go back to the queue", time.Second, time.Hour)
	c.String(&c.schedules, "schedules", "VIZSTOP_SCHEDULES", "",
		"file of schedules: which jobs are stopped when, by the workers themselves; the same for every worker", nil)
	c.String(&c.notifyHosts, "notify-hosts", "VIZSTOP_NOTIFY_HOSTS", "",
		"hosts that batch reports may be posted to, by comma; without any: every public one, with https", nil)
	c.Secret(&w.NotifySecret, "VIZSTOP_NOTIFY_SECRET")
	c.Check(func() error {
		if c.schedules != "" {
			file, err := schedules.Load(c.schedules, settings.Statuses())
			if err != nil {
				return fmt.Errorf("--schedules (VIZSTOP_SCHEDULES): %w", err)
			}
			w.Schedules = file
		}
		return nil
	})
	c.Check(func() error {
		w.NotifyHosts = strings.FieldsFunc(strings.ToLower(c.notifyHosts), func(r rune) bool { return r == ',' || r == ' ' })
		return nil
	})
	c.log.Declare(&c.Set)
	c.CheckVariables(otlp.Check)
}

func (c *config) declareListen(def string) {
	c.String(&c.webConfig, "web-config-file", "VIZSTOP_WEB_CONFIG_FILE", "",
		"web configuration file of Prometheus exporters, which gives /metrics, /healthz and /readyz TLS and passwords", httpd.CheckWebConfig)
	c.String(&c.listen, "listen", "VIZSTOP_LISTEN", def, "address of /metrics, /healthz and /readyz", func(v string) error {
		if _, _, err := net.SplitHostPort(v); err != nil {
			return fmt.Errorf("%q is not an address such as :9464 or 127.0.0.1:9464", v)
		}
		return nil
	})
}

func (c *config) declareRate() {
	c.Float(&c.worker.Release.Rate, "api-rate", "VIZSTOP_API_RATE", release.DefaultRate,
		"calls per second and project of the whole fleet, the same for every worker; 0: no limit", 0, 100000)
}

func (c *config) declareSchedule(s *tasks.Schedule) {
	c.Duration(&s.PollFirst, "poll-first", "VIZSTOP_POLL_FIRST", 5*time.Second,
		"from acceptance to the first poll", 100*time.Millisecond, time.Hour)
	c.Float(&s.PollFactor, "poll-factor", "VIZSTOP_POLL_FACTOR", 1.6, "growth from one poll gap to the next", 1, 10)
	c.Duration(&s.PollMax, "poll-max", "VIZSTOP_POLL_MAX", time.Minute, "longest gap between polls", 100*time.Millisecond, time.Hour)
	c.Int(&s.ListFrom, "list-from", "VIZSTOP_LIST_FROM", 5,
		"from so many stopping jobs of a project on, one list call looks for them all, and for the last few of them; 0: never",
		0, 1000000)
	c.Duration(&s.RetryFirst, "retry-first", "VIZSTOP_RETRY_FIRST", 400*time.Millisecond,
		"the longest first wait after a failure, doubled each time", time.Millisecond, time.Hour)
	c.Duration(&s.RetryMax, "retry-max", "VIZSTOP_RETRY_MAX", time.Minute, "the longest wait after any failure", time.Millisecond, time.Hour)
	c.Int(&s.MaxAttempts, "max-attempts", "VIZSTOP_MAX_ATTEMPTS", 10,
		"attempts before a stop is rejected; trouble of the API as a whole uses up none", 1, 1000)
	c.Duration(&s.ResendAfter, "resend-after", "VIZSTOP_RESEND_AFTER", time.Minute,
		"how long after acceptance a job that still runs gets the stop call again", time.Second, day)
	c.Int(&s.MaxResends, "max-resends", "VIZSTOP_MAX_RESENDS", 3, "how often that may happen to one stop", 0, 100)
	c.Duration(&s.Deadline, "deadline", "VIZSTOP_DEADLINE", time.Hour,
		"of stops that other producers ask for: no stop call goes out later than this after a worker first saw the task", time.Second, 30*day)
	c.Duration(&s.CallTimeout, "call-timeout", "VIZSTOP_CALL_TIMEOUT", 30*time.Second, "longest time of one API call; with v2, of the look before a stop call and the call together", 100*time.Millisecond, 2*time.Minute)
	c.Check(func() error {
		var faults []error
		if s.PollFirst > s.PollMax {
			faults = append(faults, fmt.Errorf("--poll-first (VIZSTOP_POLL_FIRST) is longer than --poll-max (VIZSTOP_POLL_MAX)"))
		}
		if s.RetryFirst > s.RetryMax {
			faults = append(faults, fmt.Errorf("--retry-first (VIZSTOP_RETRY_FIRST) is longer than --retry-max (VIZSTOP_RETRY_MAX)"))
		}
		if s.MaxResends == 0 {
			s.MaxResends = -1 // never; 0 would mean the default
		}
		if s.ListFrom == 0 {
			s.ListFrom = -1
		}
		return errors.Join(faults...)
	})
}

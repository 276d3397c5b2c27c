package e2e

import (
	"slices"
	"strings"
	"testing"
)

// trouble is a fleet and what happens to it, one thing after the other.
type trouble struct {
	*watched
	stages []stage
}

// stage is an event, and the alerts that it must bring about.
type stage struct {
	provoke func(*watched)
	alerts  []string // with the burn, if there are several of the name
}

func troubles(t *testing.T) []trouble {
	return []trouble{
		{newWatched(t, "slow", ""), []stage{{provokeSlow, []string{
			"VizstopStopSLOBurn 14.4", "VizstopStopSLOBurn 6", "VizstopStopSLOBurn 3", "VizstopStopSLOBurn 1",
			"VizstopOldestStopUnconfirmed", "VizstopStopsExpired", "VizstopStopsRejected", "VizstopStepsRecovered", "VizstopListChecksFail",
		}}, {provokeSchedules, []string{"VizstopScheduleOverdue", "VizstopScheduleTicksLost", "VizstopSchedulesDisagree"}}}},
		{newWatched(t, "outage", "", "--appendonly", "no"), []stage{
			{provokeThrottling, []string{"VizstopThrottled", "VizstopSlowedDown", "VizstopNothingConfirmed", "VizstopRedisUnfit"}},
			{provokeOutage, []string{"VizstopAPIOutage", "VizstopFileRefused"}},
			{provokeFullRedis, []string{"VizstopRedisRefusesWrites"}},
		}},
		{newWatched(t, "credentials", "").withOperator(), []stage{
			{provokeCredentials, []string{"VizstopCredentialsRefused", "VizstopConsoleWrongTokens"}},
			{provokeNoRedis, []string{"VizstopRedisUnreachable", "VizstopConsoleFails"}},
			{func(f *watched) { f.console.kill() }, []string{"VizstopConsoleDown"}},
		}},
		{newWatched(t, "refused", ", metric_relabel_configs: [{source_labels: [__name__], regex: .*_bucket, action: drop}]"), []stage{
			{provokeRefusal, []string{"VizstopCallsRefused", "VizstopStopSLOUnmeasured"}},
			{provokePause, []string{"VizstopPausedTooLong", "VizstopQueueWait", "VizstopLimitHolds"}},
			{func(f *watched) { f.worker.kill() }, []string{"VizstopWorkerDown", "VizstopWorkersAbsent"}},
		}},
	}
}

// A real Prometheus scrapes real workers and consoles. The names in rules and dashboards are
// held against what was scraped, and every query of the dashboards is run. Then
// every alert is provoked by what it is there for, and a healthy fleet beside
// the others gets none.
func TestWatching(t *testing.T) {
	t.Parallel()
	healthy := newWatched(t, "healthy", "").withConsole()
	all := troubles(t)
	fleets := []*watched{healthy}
	for _, tr := range all {
		fleets = append(fleets, tr.watched)
	}
	p := scrapeFleets(t, fleets)
	healthy.keepBusy()
	if !t.Run("names", func(t *testing.T) { tryNames(t, p, healthy.name) }) {
		return // what has a wrong name would be waited for in vain
	}
	t.Run("dashboards", func(t *testing.T) { tryDashboards(t, p, healthy.name) })
	w := &watch{p: p, healthy: healthy, seen: map[string]bool{}}
	for round := range 3 {
		w.play(t, all, round)
	}
	for _, r := range p.rules() {
		if r.Type == "alerting" && !slices.Contains(w.provoked, r.Name) {
			t.Errorf("%s was not provoked", r.Name)
		}
	}
	w.look(t)
}

// watch is what has been seen so far.
type watch struct {
	p        *prometheusServer
	healthy  *watched
	seen     map[string]bool // "job alert burn"
	provoked []string        // names of alerts
}

// play lets the next thing happen to every fleet, and waits for the alerts.
func (w *watch) play(t *testing.T, all []trouble, round int) {
	t.Helper()
	var missing []string
	for _, tr := range all {
		if round >= len(tr.stages) {
			continue
		}
		tr.stages[round].provoke(tr.watched)
		for _, a := range tr.stages[round].alerts {
			missing = append(missing, tr.name+" "+a)
			name, _, _ := strings.Cut(a, " ")
			w.provoked = append(w.provoked, name)
		}
	}
	t.Cleanup(func() {
		if len(missing) > 0 {
			t.Logf("never fired: %q", missing)
		}
	})
	await(t, "alerts", func() bool {
		w.look(t)
		missing = slices.DeleteFunc(missing, func(a string) bool { return w.seen[a] })
		return len(missing) == 0
	})
}

func (w *watch) look(t *testing.T) {
	t.Helper()
	for _, a := range w.p.firing() {
		key := strings.TrimSpace(a["job"] + " " + a["alertname"] + " " + a["burn"])
		if a["job"] == w.healthy.name && !w.seen[key] && !w.truly(a["alertname"]) {
			t.Errorf("the healthy fleet has %v", a)
		}
		w.seen[key] = true
	}
}

// truly reports whether an alert of the healthy fleet tells the truth: on a busy
// machine a scrape may fail, and without their time to wait, five minutes, two
// alerts tell of a single one.
func (w *watch) truly(alert string) bool {
	if alert != "VizstopWorkerDown" && alert != "VizstopWorkersAbsent" {
		return false
	}
	select {
	case <-w.healthy.worker.done:
		return false // nobody has killed it
	default:
	}
	failed, problem := w.p.values(`min_over_time(up{job="` + w.healthy.name + `"}[5m])`)
	return problem == "" && slices.Contains(failed, "0")
}

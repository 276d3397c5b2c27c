package tasks

import (
	"reflect"
	"strings"
	"testing"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
)

// Nothing that the shadow looker holds, however deep, can make a stop call or a
// restart: it holds the detail call alone.
func TestShadowLookerCannotStop(t *testing.T) {
	seen, found := map[reflect.Type]bool{}, 0
	accepted := reflect.TypeFor[jobs.Accepted]()
	var walk func(path string, of reflect.Type)
	walk = func(path string, of reflect.Type) {
		if seen[of] {
			return
		}
		seen[of] = true
		for i := range of.NumMethod() {
			if name := of.Method(i).Name; name == "Stop" || name == "Restart" {
				t.Errorf("%s (%v) has a method %s", path, of, name)
			}
		}
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map, reflect.Chan:
			walk(path, of.Elem())
		case reflect.Func:
			for i := range of.NumOut() {
				if of.Out(i) == accepted {
					t.Errorf("%s (%v) makes stop calls", path, of)
				}
				if of.Out(i) == reflect.TypeFor[*jobs.Job]() {
					found++
				}
			}
		case reflect.Struct:
			if !strings.HasPrefix(of.PkgPath(), "vizstop/") {
				return
			}
			for i := range of.NumField() {
				walk(path+"."+of.Field(i).Name, of.Field(i).Type)
			}
		}
	}
	walk("ShadowLooker", reflect.TypeFor[*ShadowLooker]())
	if found != 1 {
		t.Errorf("%d calls that look at a job, want one: is everything seen?", found)
	}
	// The same walk finds the stop call of what makes one.
	clear(seen)
	inner := &testing.T{}
	outer := t
	t = inner
	walk("StopHandler", reflect.TypeFor[*StopHandler]())
	t = outer
	if !inner.Failed() {
		t.Error("the stop handler makes no stop call, as this test sees it")
	}
}

// Every answer of the detail endpoint, as a shadow stop takes it.
func TestJudgeShadow(t *testing.T) {
	active, stopped := jobs.Status{Code: "8", Name: "running", State: jobs.Active}, jobs.Status{Code: "12", Name: "killed", State: jobs.Ended}
	for _, tt := range []struct {
		name   string
		stop   ledger.Stop
		job    jobs.Job
		err    error
		system bool
		held   release.Reason
		absent bool
		want   verdict
	}{
		{name: "active", job: jobs.Job{Status: active}, want: end(ledger.WouldStop, "job status 8")},
		{name: "active and paused", job: jobs.Job{Status: active}, held: release.Paused, want: end(ledger.WouldHold, "paused")},
		{name: "ended", job: jobs.Job{Status: stopped}, want: end(ledger.WouldAlready, "job status 12")},
		{name: "ended and paused", job: jobs.Job{Status: stopped}, held: release.Paused, want: end(ledger.WouldAlready, "job status 12")},
		{name: "stopping", job: jobs.Job{Status: jobs.Status{State: jobs.Stopping}}, want: end(ledger.WouldAlready, "")},
		{name: "a status that says nothing", job: jobs.Job{Status: jobs.Status{Code: "77"}}, want: end(ledger.WouldStop, "77")},
		{name: "of another kind", job: jobs.Job{Status: active, Refusal: "not a visualization job"}, want: end(ledger.Rejected, "not a visualization job")},
		{name: "of another kind and ended", job: jobs.Job{Status: stopped, Refusal: "not a visualization job"}, want: end(ledger.Rejected, "not a visualization job")},
		{name: "not there", err: apiErr(jobs.KindNotFound), want: verdict{action: actAbsent}},
		{name: "not there, again", err: apiErr(jobs.KindNotFound), absent: true, want: end(ledger.WouldNotFound, "check the project")},
		{name: "listed, and not there", stop: listed, err: apiErr(jobs.KindNotFound), want: verdict{action: actAbsent}},
		{name: "listed, and not there, again", stop: listed, err: apiErr(jobs.KindNotFound), absent: true, want: end(ledger.WouldAlready, "gone")},
		{name: "malformed", err: apiErr(jobs.KindInvalid), want: end(ledger.Rejected, "")},
		{name: "an outage", err: apiErr(jobs.KindUnavailable), system: true, want: verdict{action: actWait}},
		{name: "an error alone", err: apiErr(jobs.KindUnavailable), want: verdict{action: actRetry}},
		{name: "throttled", err: apiErr(jobs.KindThrottled), system: true, want: verdict{action: actWait}},
		{name: "refused credentials", err: apiErr(jobs.KindCredentials), system: true, want: verdict{action: actWait, after: refusalWait(jobs.KindCredentials)}},
	} {
		got := judgeShadow(&tt.stop, &tt.job, tt.err, tt.system, tt.held, tt.absent)
		if got.action != tt.want.action || got.outcome != tt.want.outcome || got.after != tt.want.after || !strings.Contains(got.reason, tt.want.reason) {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// The field is read strictly: what may be meant as a shadow stop stops nothing.
func TestShadowPayload(t *testing.T) {
	for text, want := range map[string]struct {
		shadow, bad bool
	}{
		`"shadow":true`: {shadow: true}, `"Shadow":true`: {shadow: true}, `"shadow":false`: {}, `"shadows":true`: {},
		`"shadow":"true"`: {bad: true}, `"shadow":1`: {bad: true}, `"shadow":null`: {bad: true}, `"shadow":{}`: {bad: true},
		`"shadow":true,"shadow":false`: {shadow: true, bad: true}, `"shadow":true,"shadow":"no"`: {shadow: true, bad: true},
	} {
		p, err := DecodePayload([]byte(`{"project_id":"p1","job_id":"10",` + text + `}`))
		if p.Shadow != want.shadow || (err != nil) != want.bad || p.JobID != "10" {
			t.Errorf("%s: %+v, %v", text, p, err)
		}
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"vizstop/internal/caller"
	"vizstop/internal/control"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/redistest"
	"vizstop/internal/settings"
	"vizstop/internal/undo"
)

// Whoever confirms an undo may take a while: what has happened to a job meanwhile
// counts.
func TestUndoLooksAgainAfterTheAnswer(t *testing.T) {
	t.Parallel()
	desk, err := control.Open(t.Context(), redistest.Start(t).Limited(t))
	if err != nil {
		t.Fatal(err)
	}
	const count = askAbove + 4
	_, sim := newCaller(t, nil, count)
	for i := range count {
		id := fmt.Sprint(i + 1)
		sim.SetStatus(project, id, v1.StatusKilled)
		stoppedStop(t, desk, id)
	}
	meanwhile := func() {
		sim.SetStatus(project, "1", v1.StatusRunning)
		sim.SetStatus(project, "2", v1.StatusCompleted)
		ask := []ledger.Ask{{JobID: "3", Deadline: time.Now().Add(time.Hour)}}
		if _, err := desk.Ledger.Open(context.Background(), project, "later", ask); err != nil {
			t.Error(err)
		}
		s, err := desk.Ledger.Get(context.Background(), project, ledger.StopID("b", project, "4"))
		if err == nil {
			_, err = desk.Ledger.Undo(context.Background(), s, "b", "another")
		}
		if err == nil {
			err = desk.Ledger.Restarted(context.Background(), s, "b", "another")
		}
		if err != nil {
			t.Error(err)
		}
	}
	var out, asked bytes.Buffer
	c := &undoCmd{limits: limits{max: 1000}, json: true,
		api:     access{API: settings.API{Region: "r", Endpoint: sim.URL, Login: settings.Login{AccessKey: accessKey, SecretKey: secretKey}}},
		streams: streams{in: slowly{strings.NewReader(fmt.Sprintln(count)), meanwhile}, out: &out, err: &asked, terminal: true}}
	if err := c.run(t.Context(), desk, batchOf(t, desk, "b"), nobody); err != nil {
		t.Fatal(err)
	}
	restarted := map[string]int{}
	for _, call := range sim.AllCalls() {
		if call.Operation == jobs.OperationRestart {
			restarted[call.JobID]++
		}
	}
	for i := range count {
		id := fmt.Sprint(i + 1)
		if want := i >= 4; restarted[id] == 1 != want || restarted[id] > 1 {
			t.Errorf("job %s was restarted %d times", id, restarted[id])
		}
	}
	if !strings.Contains(asked.String(), "This would restart 24 jobs") {
		t.Errorf("asked: %s", &asked)
	}
	for _, want := range []string{`"restarted": 20`, `"running": 1`, `"left": 3`, "batch later has asked to stop it again",
		"an undo of this batch has restarted it before", "10 (completed), not 12 (killed)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in what was printed:\n%s", want, &out)
		}
	}
}

// Only what was counted and confirmed is restarted, although more of the batch's stops end meanwhile.
func TestUndoKeepsToWhatWasCounted(t *testing.T) {
	t.Parallel()
	desk, err := control.Open(t.Context(), redistest.Start(t).Limited(t))
	if err != nil {
		t.Fatal(err)
	}
	api, sim := newCaller(t, &spending{calls: map[string]int{}}, 2)
	for _, id := range []string{"1", "2"} {
		sim.SetStatus(project, id, v1.StatusKilled)
	}
	stoppedStop(t, desk, "1")
	if _, err := desk.Ledger.Open(t.Context(), project, "b", []ledger.Ask{{JobID: "2", Deadline: time.Now().Add(time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	stops, _, err := desk.Ledger.BatchStops(t.Context(), project, "b", 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	stoppedStop(t, desk, "2") // after it was counted as in flight
	u := undo.New(desk.Ledger, api, "b")
	if err := u.RestartAll(t.Context(), stops, 0); err != nil || u.Restarted != 1 || u.InFlight != 1 {
		t.Errorf("%+v, %v", u.Report, err)
	}
}

// What another batch gives free while somebody confirms the undo was neither counted nor allowed: it stays stopped.
func TestUndoKeepsToMax(t *testing.T) {
	t.Parallel()
	desk, err := control.Open(t.Context(), redistest.Start(t).Limited(t))
	if err != nil {
		t.Fatal(err)
	}
	const own, shared = askAbove + 1, 5
	api, sim := newCaller(t, &spending{calls: map[string]int{}}, own+shared)
	var theirs []*ledger.Stop
	for i := range own + shared {
		id := fmt.Sprint(i + 1)
		sim.SetStatus(project, id, v1.StatusKilled)
		if i < own {
			stoppedStop(t, desk, id)
			continue
		}
		ask := []ledger.Ask{{JobID: id, Deadline: time.Now().Add(time.Hour)}}
		for _, batch := range []string{"b", "other"} {
			if _, err := desk.Ledger.Open(t.Context(), project, batch, ask); err != nil {
				t.Fatal(err)
			}
		}
		theirs = append(theirs, stoppedStop(t, desk, id))
	}
	meanwhile := func() {
		u := undo.New(desk.Ledger, api, "other")
		if err := u.RestartAll(context.Background(), theirs, 0); err != nil || u.Wanted != shared {
			t.Errorf("the undo of the other batch: %+v, %v", u.Report, err)
		}
	}
	var out, asked bytes.Buffer
	c := &undoCmd{limits: limits{max: own}, json: true,
		api:     access{API: settings.API{Region: "r", Endpoint: sim.URL, Login: settings.Login{AccessKey: accessKey, SecretKey: secretKey}}},
		streams: streams{in: slowly{strings.NewReader(fmt.Sprintln(own)), meanwhile}, out: &out, err: &asked, terminal: true}}
	err = c.run(t.Context(), desk, batchOf(t, desk, "b"), nobody)
	if code, is := errors.AsType[exitCode](err); !is || code.code != exitBad ||
		!strings.Contains(err.Error(), "5 jobs of batch b stay stopped") {
		t.Errorf("ends with %v", err)
	}
	restarted := 0
	for _, call := range sim.AllCalls() {
		if call.Operation == jobs.OperationRestart {
			restarted++
		}
	}
	if restarted != own || !strings.Contains(out.String(), `"wanted": 5`) {
		t.Errorf("%d jobs were restarted, want %d:\n%s", restarted, own, &out)
	}
}

// The v2 API has no call that starts a job again. That is said before anything is
// asked, and nothing is sent.
func TestUndoIsNotPossible(t *testing.T) {
	t.Parallel()
	desk, err := control.Open(t.Context(), redistest.Start(t).Limited(t))
	if err != nil {
		t.Fatal(err)
	}
	_, sim := newCaller(t, nil, 1)
	for i := range askAbove + 4 {
		stoppedStop(t, desk, fmt.Sprint(i+1))
	}
	for _, dryRun := range []bool{false, true} {
		var out, asked bytes.Buffer
		c := &undoCmd{limits: limits{max: 1000}, dryRun: dryRun,
			api:     access{API: settings.API{Region: "r", Endpoint: sim.URL, Generation: "v2", Login: settings.Login{AccessKey: accessKey, SecretKey: secretKey}}},
			streams: streams{in: strings.NewReader("24\n"), out: &out, err: &asked, terminal: true}}
		err := c.run(t.Context(), desk, batchOf(t, desk, "b"), nobody)
		if err == nil || !strings.Contains(err.Error(), "undo is not possible in project "+project+": its API has no call that starts a job again") {
			t.Errorf("dry run %v: %v", dryRun, err)
		}
		if _, own := errors.AsType[exitCode](err); own { // any other error is 1
			t.Errorf("dry run %v: %v has a code of its own", dryRun, err)
		}
		if out.Len()+asked.Len() > 0 || len(sim.AllCalls()) > 0 {
			t.Errorf("dry run %v: printed %q, asked %q, sent %v", dryRun, &out, &asked, sim.AllCalls())
		}
	}
}

// withoutRestart is an API of which one project's jobs can't be restarted.
type withoutRestart struct {
	*caller.Caller
	project string
}

func (w withoutRestart) Restarts(projectID string) bool { return projectID != w.project }

// A batch with jobs of both: those that can be restarted are, the others are left.
func TestUndoOfSomeProjects(t *testing.T) {
	t.Parallel()
	desk, err := control.Open(t.Context(), redistest.Start(t).Limited(t))
	if err != nil {
		t.Fatal(err)
	}
	api, sim := newCaller(t, &spending{calls: map[string]int{}}, 1)
	sim.SetStatus(project, "1", v1.StatusKilled)
	sim.SetStatus(other, "1", v1.StatusKilled)
	stops := []*ledger.Stop{stoppedStop(t, desk, "1"), stoppedStopIn(t, desk, other, "1")}
	half := withoutRestart{api, other}
	if err := undo.Possible(half, stops); err != nil {
		t.Error(err)
	}
	ahead := undo.New(desk.Ledger, half, "b")
	if err := ahead.Pretend(t.Context(), stops); err != nil || ahead.Restarted != 1 || ahead.Left != 1 {
		t.Errorf("pretends %+v, %v", ahead.Report, err)
	}
	u := undo.New(desk.Ledger, half, "b")
	if err := u.RestartAll(t.Context(), stops, 0); err != nil || u.Restarted != 1 || u.Left != 1 || u.Jobs[1].Reason != undo.NoRestart {
		t.Errorf("%+v, %v", u.Report, err)
	}
	for _, call := range sim.AllCalls() {
		if call.ProjectID == other {
			t.Errorf("sent %+v", call)
		}
	}
	if err := undo.Possible(half, stops[1:]); err == nil || !strings.Contains(err.Error(), other) {
		t.Errorf("only the project without: %v", err)
	}
}

// nobody is an environment without variables.
func nobody(string) string { return "" }

func batchOf(t *testing.T, desk *control.Desk, id string) *control.Batch {
	t.Helper()
	b, err := desk.Batch(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

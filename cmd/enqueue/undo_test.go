package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

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
	books, err := newBooks(t.Context(), redistest.Start(t).Limited(t))
	if err != nil {
		t.Fatal(err)
	}
	const count = askAbove + 4
	_, sim := newCaller(t, nil, count)
	for i := range count {
		id := fmt.Sprint(i + 1)
		sim.SetStatus(project, id, v1.StatusKilled)
		stoppedStop(t, books, id)
	}
	meanwhile := func() {
		sim.SetStatus(project, "1", v1.StatusRunning)
		sim.SetStatus(project, "2", v1.StatusCompleted)
		ask := []ledger.Ask{{JobID: "3", Deadline: time.Now().Add(time.Hour)}}
		if _, err := books.ledger.Open(context.Background(), project, "later", ask); err != nil {
			t.Error(err)
		}
		s, err := books.ledger.Get(context.Background(), project, ledger.StopID("b", project, "4"))
		if err == nil {
			err = books.ledger.Undo(context.Background(), s, "b") // another undo
		}
		if err != nil {
			t.Error(err)
		}
	}
	var out, asked bytes.Buffer
	c := &undoCmd{limits: limits{max: 1000}, json: true,
		api:     access{API: settings.API{Region: "r", Endpoint: sim.URL, Login: settings.Login{AccessKey: accessKey, SecretKey: secretKey}}},
		streams: streams{in: slowly{strings.NewReader(fmt.Sprintln(count)), meanwhile}, out: &out, err: &asked, terminal: true}}
	if err := c.run(t.Context(), books, "b", []string{project}); err != nil {
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
	for _, want := range []string{`"restarted": 20`, `"running": 1`, `"left": 3`, undo.AskedAgain, undo.UndoneBefore, "10 (completed), not 12 (killed)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in what was printed:\n%s", want, &out)
		}
	}
}

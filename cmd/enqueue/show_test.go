package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"vizstop/internal/control"
	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
)

// The stop of a job is shown, also when the batch that opened it was canceled and is forgotten, and it goes on for
// another one.
func TestShowWithoutTheBatchThatOpened(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	admin := s.Client(t)
	desk, err := control.Open(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	due := desk.Ledger.Now().Add(time.Hour)
	ask := ledger.Ask{JobID: "10", Due: due, Deadline: due.Add(time.Hour), Confirmed: true}
	var id string
	for _, batch := range []string{"b1", "b2"} {
		o, err := desk.Ledger.Open(t.Context(), project, batch, []ledger.Ask{ask})
		if err != nil {
			t.Fatal(err)
		}
		id = o[0].StopID
	}
	if _, err := desk.Ledger.Withdraw(t.Context(), project, id, "b1", "why"); err != nil {
		t.Fatal(err)
	}
	later := ledger.New(admin, func() time.Time { return desk.Ledger.Now().Add(30 * time.Minute) })
	if err := later.Sweep(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return map[string]string{"VIZSTOP_REDIS": "redis://" + s.Addr}[name] }
	var out, errs bytes.Buffer
	err = run(t.Context(), []string{"show", "--project", project, "10"}, getenv, strings.NewReader(""), &out, &errs)
	if err != nil {
		t.Errorf("show: %v\n%s", err, &out)
	}
}

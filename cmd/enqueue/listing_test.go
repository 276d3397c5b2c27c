package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/selection"
)

// slowLists is an API whose every list takes that long and has one job, named after its project. That of one project
// fails.
type slowLists struct {
	jobs.API
	takes time.Duration
	fails string
}

func (s slowLists) List(_ context.Context, projectID string, _ jobs.Query) (*jobs.Page, error) {
	time.Sleep(s.takes)
	if projectID == s.fails {
		return nil, errors.New("refused")
	}
	return &jobs.Page{Total: 1, Jobs: []jobs.Job{{ID: "1", Name: projectID, Status: jobs.Status{State: jobs.Active}}}}, nil
}

func (s slowLists) PageSize(string) int { return 100 }

// Projects are listed several at a time, and the result is in their order. Who waits at a terminal is told how far it is;
// nobody else is.
func TestProjectsAreListedTogether(t *testing.T) {
	t.Parallel()
	for _, terminal := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var said bytes.Buffer
			c := &stopCmd{streams: streams{err: &said, terminal: terminal}}
			for i := range 2*listedAtOnce + 1 {
				c.projects = append(c.projects, fmt.Sprint("p", i))
			}
			calls := slowLists{takes: 2500 * time.Millisecond, fails: "p3"}
			list := func(project string) iter.Seq2[jobs.Job, error] { return jobs.All(t.Context(), calls, project) }
			began := time.Now()
			all := c.across(list, selection.Rule{All: true}, began)
			if took := time.Since(began); took != 3*2500*time.Millisecond {
				t.Errorf("%d lists took %v, want the time of three", len(all), took)
			}
			for i, l := range all {
				failed := l.ProjectID == "p3"
				if l.ProjectID != c.projects[i] || (l.Err != nil) != failed || !failed && l.Jobs[0].Name != l.ProjectID {
					t.Errorf("listing %d: %+v", i, l)
				}
			}
			if !terminal {
				if said.Len() > 0 {
					t.Errorf("said %q", &said)
				}
				return
			}
			for _, want := range []string{"\r0 of 33 projects are listed", "\r16 of 33 projects are listed", "\r32 of 33 projects are listed"} {
				if !strings.Contains(said.String(), want) {
					t.Errorf("said %q, want %q", &said, want)
				}
			}
			if !strings.HasSuffix(said.String(), "\r\x1b[K") {
				t.Errorf("said %q: the line stays", &said)
			}
		})
	}
}

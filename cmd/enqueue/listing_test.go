package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
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
	time.Sleep(s.takes) // virtual: costs nothing
	if projectID == s.fails {
		return nil, errors.New("refused")
	}
	return &jobs.Page{Total: 1, Jobs: []jobs.Job{{ID: "1", Name: projectID, Status: jobs.Status{State: jobs.Active}}}}, nil
}

func (s slowLists) PageSize(string) int { return 100 }

// Projects are listed several at a time, and the result is in their order. Who waits at a terminal is told how far
// it is; nobody else is.
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

// A credential that is refused is not tried in every project: the first refusal is the last, and one that comes
// later, too.
func TestARefusedCredentialIsTriedOnce(t *testing.T) {
	t.Parallel()
	for _, good := range []int{0, 1, 20} { // lists that are answered before
		synctest.Test(t, func(t *testing.T) {
			var asked atomic.Int64
			d := newDoor()
			one := d.through(func(yield func(jobs.Job, error) bool) {
				time.Sleep(time.Second) // virtual: costs nothing
				if asked.Add(1) > int64(good) {
					yield(jobs.Job{}, &jobs.Error{Operation: jobs.OperationList, Kind: jobs.KindCredentials})
				}
			})
			var failed atomic.Int64
			var lists sync.WaitGroup
			for range 40 {
				lists.Go(func() {
					for _, err := range one {
						if err != nil {
							failed.Add(1)
						}
					}
				})
			}
			lists.Wait()
			if good == 0 && asked.Load() != 1 || int(failed.Load()) != 40-good {
				t.Errorf("of 40 lists %d were asked for and %d failed, after %d good ones", asked.Load(), failed.Load(), good)
			}
		})
	}
}

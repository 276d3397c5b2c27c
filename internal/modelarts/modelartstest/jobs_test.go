package modelartstest

import (
	"reflect"
	"testing"
	"time"
	v1 "vizstop/internal/modelarts/v1"
)

func fixedSimulator(cfg Config) (*Simulator, *clock) {
	c := newClock()
	cfg.Now = c.now
	return New(cfg), c
}

func statusOf(t *testing.T, s *Simulator, id string) v1.Status {
	t.Helper()
	j, ok := s.Job("p1", id)
	if !ok {
		t.Fatalf("no job %s", id)
	}
	return j.Status
}

func TestAddJobFillsIn(t *testing.T) {
	s, c := fixedSimulator(Config{})
	first := s.AddJob("p1", Job{ID: "41"})
	want := Job{ID: "41", Name: "job-41", Type: "tensorboard", WorkspaceID: "0", Generation: V1,
		Status: 8, CreateTime: c.now()}
	if !reflect.DeepEqual(first, want) {
		t.Errorf("AddJob = %+v, want %+v", first, want)
	}
	if next := s.AddJob("p1", Job{}); next.ID != "42" {
		t.Errorf("next id = %s, want 42", next.ID)
	}
	if other := s.AddJob("p2", Job{}); other.ID != "1" {
		t.Errorf("id in another project = %s, want 1", other.ID)
	}
	s.AddJob("p1", Job{ID: "42", Name: "again"})
	if jobs := s.Jobs("p1"); len(jobs) != 2 || jobs[1].Name != "again" {
		t.Errorf("jobs = %+v", jobs)
	}
	if jobs := s.Jobs("nowhere"); len(jobs) != 0 {
		t.Errorf("jobs of an unknown project = %+v", jobs)
	}
}

func TestCreationTakesEqualSteps(t *testing.T) {
	for _, tt := range []struct{ from, after10s, after20s, after30s v1.Status }{
		{1, 4, 7, 8}, {2, 4, 7, 8}, {4, 7, 8, 8}, {7, 8, 8, 8},
	} {
		s, c := fixedSimulator(Config{Phases: Phases{Create: Fixed(30 * time.Second)}})
		s.AddJob("p1", Job{ID: "1", Status: tt.from})
		for _, want := range []v1.Status{tt.from, tt.after10s, tt.after20s, tt.after30s} {
			if got := statusOf(t, s, "1"); got != want {
				t.Errorf("from %v: %v, want %v", tt.from, got, want)
			}
			c.advance(10 * time.Second)
		}
	}
}

func TestEndedAtIsTrueHoweverLateSomebodyLooks(t *testing.T) {
	s, c := fixedSimulator(Config{})
	begin := c.now()
	s.AddJob("p1", Job{ID: "1", Status: 9})
	s.AddJob("p1", Job{ID: "2", Status: 9, StopTime: time.Minute, StopStatus: 13})
	c.advance(time.Hour)
	one, _ := s.Job("p1", "1")
	two, _ := s.Job("p1", "2")
	if one.Status != 12 || !one.EndedAt.Equal(begin.Add(15*time.Second)) {
		t.Errorf("job 1: %v at %v", one.Status, one.EndedAt)
	}
	if two.Status != 13 || !two.EndedAt.Equal(begin.Add(time.Minute)) {
		t.Errorf("job 2: %v at %v", two.Status, two.EndedAt)
	}
}

func TestAddEndedJob(t *testing.T) {
	s, c := fixedSimulator(Config{})
	created := c.now().Add(-time.Hour)
	if j := s.AddJob("p1", Job{Status: 11, CreateTime: created}); !j.EndedAt.Equal(created) {
		t.Errorf("ended at %v, want %v", j.EndedAt, created)
	}
}

func TestSetStatusStays(t *testing.T) {
	s, c := fixedSimulator(Config{})
	s.AddJob("p1", Job{ID: "1", Status: 9})
	for _, status := range []v1.Status{0, 1, 9, 12, 8, 77} {
		if !s.SetStatus("p1", "1", status) {
			t.Fatal("SetStatus found no job")
		}
		c.advance(time.Hour)
		if got := statusOf(t, s, "1"); got != status {
			t.Errorf("status = %v, want %v", got, status)
		}
		j, _ := s.Job("p1", "1")
		if ended := status == 12; ended == j.EndedAt.IsZero() {
			t.Errorf("status %v: ended at %v", status, j.EndedAt)
		}
	}
	if s.SetStatus("p1", "2", 8) || s.SetStatus("p2", "1", 8) {
		t.Error("SetStatus found a job that is not there")
	}
}

func TestRemoveJob(t *testing.T) {
	s, _ := fixedSimulator(Config{})
	s.AddJob("p1", Job{ID: "1"})
	if !s.RemoveJob("p1", "1") || s.RemoveJob("p1", "1") {
		t.Error("RemoveJob does not tell whether there was a job")
	}
	if _, ok := s.Job("p1", "1"); ok {
		t.Error("the job is still there")
	}
}

func TestAutoStop(t *testing.T) {
	s, c := fixedSimulator(Config{})
	begin := c.now()
	s.AddJob("p1", Job{ID: "1", AutoStop: time.Hour})
	c.advance(time.Hour - time.Second)
	if got := statusOf(t, s, "1"); got != 8 {
		t.Errorf("before: %v", got)
	}
	c.advance(time.Second)
	if got := statusOf(t, s, "1"); got != 9 {
		t.Errorf("at the hour: %v", got)
	}
	c.advance(time.Hour)
	if j, _ := s.Job("p1", "1"); j.Status != 12 || !j.EndedAt.Equal(begin.Add(time.Hour+15*time.Second)) {
		t.Errorf("after: %v at %v", j.Status, j.EndedAt)
	}
}

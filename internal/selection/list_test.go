package selection

import (
	"iter"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	v1 "vizstop/internal/modelarts/v1"
)

// A project of several pages, over HTTP, the way that enqueue asks for it.
func TestSelectFromTheAPI(t *testing.T) {
	const project, count = "0123456789abcdef0123456789abcdef", 250
	simulator := modelartstest.New(modelartstest.Config{
		Now: func() time.Time { return now }, MaxPerPage: 100, DefaultOrder: "desc",
	})
	for i := range count {
		job := modelartstest.Job{
			ID:         strconv.Itoa(1000 + i),
			Name:       "board-" + strconv.Itoa(i%10),
			CreateTime: now.Add(-time.Duration(i) * time.Hour),
		}
		if i%5 == 0 {
			job.Status = v1.StatusKilled
		}
		simulator.AddJob(project, job)
	}
	server := httptest.NewServer(simulator)
	t.Cleanup(server.Close)
	client, err := modelarts.New(server.URL, modelarts.WithCredentials(modelarts.NewToken("token-for-tests")))
	if err != nil {
		t.Fatal(err)
	}
	list := func(projectID string) iter.Seq2[jobs.Job, error] {
		return jobs.All(t.Context(), v1.New(client), projectID)
	}

	s, err := Select(list(project), Rule{Names: []string{"board-[0-4]"}, OlderThan: 8 * time.Hour, Limit: 50}, now)
	if err != nil {
		t.Fatal(err)
	}
	// 125 have such a name, and the first five of them are too young. Of the
	// other 120, every fifth has ended.
	if s.Seen != count || s.Running != 200 || s.Unstoppable != 24 || len(s.Jobs) != 50 || s.OverLimit != 46 {
		t.Errorf("chose %d of %+v", len(s.Jobs), *s)
	}
	if first := s.Jobs[0]; first.ID != "1244" || first.Name != "board-4" {
		t.Errorf("the first is %+v", first)
	}
	if calls := simulator.Counts()[jobs.OperationList]; calls != 3 {
		t.Errorf("%d list calls, want 3", calls)
	}

	server.Close()
	if s, err := Select(list(project), Rule{All: true}, now); s != nil || err == nil {
		t.Errorf("without the API: %+v, %v", s, err)
	}
}

package v2_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/modelartstest"
	v1 "vizstop/internal/modelarts/v1"
	v2 "vizstop/internal/modelarts/v2"
)

// add adds n jobs, created one after the other a second apart, and returns their ids.
func add(sim *modelartstest.Simulator, n int, job modelartstest.Job) (ids []string) {
	first := time.Unix(int64(1_700_000_000+len(sim.Jobs(project))), 0)
	for i := range n {
		job.CreateTime = first.Add(time.Duration(i) * time.Second)
		ids = append(ids, sim.AddJob(project, job).ID)
	}
	return ids
}

// readings are both readings of offset.
var readings = []string{modelartstest.OffsetPage, modelartstest.OffsetStart}

func all(t *testing.T, api *v2.API) (ids []string) {
	t.Helper()
	for job, err := range jobs.All(t.Context(), api, project) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, job.ID)
	}
	return ids
}

// Every job is listed once, in order of creation, however the service reads an offset.
func TestListAll(t *testing.T) {
	for _, offset := range readings {
		for _, n := range []int{0, 1, 2, 19, 20, 21, 49, 50, 51, 100, 101, 500} {
			var p purse
			cfg := modelartstest.Config{Only: modelartstest.V2, V2: modelartstest.V2Options{Offset: offset}}
			sim, api := simulate(t, cfg, v2.Options{Spend: p.spend})
			want := add(sim, n, modelartstest.Job{})
			if got := all(t, api); !slices.Equal(got, want) {
				t.Errorf("offset of a %s, %d jobs: got %d: %q", offset, n, len(got), got)
			}
			pages := max(1, (n+49)/50)
			probes := 2 * min(1, pages-1)
			if calls := sim.Counts()[modelartstest.OpList]; calls != pages+probes || p.taken() != probes {
				t.Errorf("offset of a %s, %d jobs: %d calls, want %d and %d", offset, n, calls, pages, probes)
			}
			if got := all(t, api); !slices.Equal(got, want) || sim.Counts()[modelartstest.OpList] != 2*pages+probes {
				t.Errorf("offset of a %s, %d jobs: the second time %d jobs, %v", offset, n, len(got), sim.Counts())
			}
		}
	}
}

// Small pages of few jobs, among them the second page of so few that the readings of an
// offset can't be told apart.
func TestListSmallPages(t *testing.T) {
	for _, offset := range readings {
		for _, perPage := range []int{1, 2, 7, 20, 49} {
			for _, n := range []int{0, 1, 2, 3, 8, 20, 21, 45} {
				cfg := modelartstest.Config{Only: modelartstest.V2, V2: modelartstest.V2Options{Offset: offset}}
				sim, api := simulate(t, cfg, v2.Options{})
				want := add(sim, n, modelartstest.Job{})
				var got []string
				for page := 1; page <= n/perPage+2; page++ {
					list, err := api.List(t.Context(), project, jobs.Query{Page: page, PerPage: perPage})
					if err != nil || list.Total != n {
						t.Fatal(list, err)
					}
					for _, job := range list.Jobs {
						got = append(got, job.ID)
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("offset of a %s, %d jobs, %d a page: got %q", offset, n, perPage, got)
				}
			}
		}
	}
}

// Jobs that come and go while it is found out how the service reads an offset do not
// mislead.
func TestListWhileJobsComeAndGo(t *testing.T) {
	for _, offset := range readings {
		for _, n := range []int{51, 60, 500} {
			cfg := modelartstest.Config{Only: modelartstest.V2, V2: modelartstest.V2Options{Offset: offset}}
			sim, api := simulate(t, cfg, v2.Options{})
			ids := add(sim, n, modelartstest.Job{})
			gone := 0
			sim.Inject(modelartstest.Fault{Operation: modelartstest.OpList, Times: 3, Hook: func(modelartstest.Call) {
				for range 3 {
					sim.RemoveJob(project, ids[gone])
					gone++
				}
				add(sim, 4, modelartstest.Job{})
			}})
			all(t, api) // finds it out
			sim.ClearFaults()
			now := sim.Counts()[modelartstest.OpList]
			if got, want := len(all(t, api)), len(sim.Jobs(project)); got != want {
				t.Errorf("offset of a %s, %d jobs: got %d of %d", offset, n, got, want)
			}
			if calls := sim.Counts()[modelartstest.OpList] - now; calls != (len(sim.Jobs(project))+49)/50 {
				t.Errorf("offset of a %s, %d jobs: %d calls the second time", offset, n, calls)
			}
		}
	}
}

// Many pages at once find it out once, and one that has no time to wait says so.
func TestListAtOnce(t *testing.T) {
	var p purse
	sim, api := simulate(t, modelartstest.Config{Only: modelartstest.V2}, v2.Options{Spend: p.spend})
	ids := add(sim, 500, modelartstest.Job{})
	var readers sync.WaitGroup
	for page := 2; page <= 10; page++ {
		readers.Go(func() {
			list, err := api.List(t.Context(), project, jobs.Query{Page: page})
			if err != nil || len(list.Jobs) != 50 || list.Jobs[0].ID != ids[50*(page-1)] {
				t.Errorf("page %d: %v", page, err)
			}
		})
	}
	readers.Wait()
	if calls, spent := sim.Counts()[modelartstest.OpList], p.taken(); calls != 11 || spent != 2 {
		t.Errorf("%d calls, asked for %d; want 11 and 2", calls, spent)
	}
}

// Ordinary training jobs are left out, counted as a whole, and never end a list early.
func TestListAmongTrainingJobs(t *testing.T) {
	for _, tt := range []struct {
		kinds   string
		allowed bool
		want    int
	}{
		{modelartstest.KindsShown, false, 2}, {modelartstest.KindsShown, true, 3}, {modelartstest.KindsAbsent, false, 0},
		{modelartstest.KindsAbsent, true, 1}, {modelartstest.KindsAnnotated, true, 3}, {modelartstest.KindsAnnotated, false, 0},
	} {
		cfg := modelartstest.Config{Only: modelartstest.V2, V2: modelartstest.V2Options{Kinds: tt.kinds}}
		sim, api := simulate(t, cfg, v2.Options{TensorboardTraining: tt.allowed})
		add(sim, 120, modelartstest.Job{Kind: modelartstest.KindJob})
		add(sim, 1, modelartstest.Job{})
		add(sim, 120, modelartstest.Job{Kind: modelartstest.KindJob})
		add(sim, 1, modelartstest.Job{Kind: modelartstest.KindJob, Annotations: map[string]string{modelartstest.AnnotationTensorBoard: "true"}})
		add(sim, 1, modelartstest.Job{})
		if got := all(t, api); len(got) != tt.want {
			t.Errorf("%+v: got %q", tt, got)
		}
		if calls := sim.Counts()[modelartstest.OpList]; calls != 5+2 {
			t.Errorf("%+v: %d calls, want 7", tt, calls)
		}
		page, err := api.List(t.Context(), project, jobs.Query{})
		if err != nil || page.Total != 243 || len(page.Jobs)+len(page.Others) != 50 || page.RequestID == "" {
			t.Errorf("%+v: %+v, %v", tt, page, err)
		}
	}
}

func TestSearchOnTheWire(t *testing.T) {
	a := &answers{answer: func(string, *http.Request) (int, string) { return 200, `{"total":0,"items":[]}` }}
	api := a.api(t, v2.Options{})
	for _, tt := range []struct {
		q    jobs.Query
		want string
	}{
		{jobs.Query{}, `{"offset":0,"limit":50,"sort_by":"create_time","order":"asc"}`},
		{jobs.Query{Page: 1, PerPage: 7}, `{"offset":0,"limit":7,"sort_by":"create_time","order":"asc"}`},
		{jobs.Query{Stopping: true}, `{"offset":0,"limit":50,"sort_by":"create_time","order":"asc","filters":[{"key":"phase","operator":"in","value":["Terminating"]}]}`},
	} {
		if _, err := api.List(t.Context(), project, tt.q); err != nil || a.body != tt.want {
			t.Errorf("%+v: %s, %v", tt.q, a.body, err)
		}
	}
	if a.last.Method != "POST" || a.last.URL.Path != "/v2/"+project+"/training-job-searches" || a.last.Header.Get("Content-Type") != "application/json" {
		t.Errorf("sent %s %s", a.last.Method, a.last.URL)
	}
}

func TestQueryLimits(t *testing.T) {
	a := &answers{answer: func(string, *http.Request) (int, string) { return 200, `{"total":0,"items":[]}` }}
	api := a.api(t, v2.Options{})
	for _, q := range []jobs.Query{{PerPage: 51}, {PerPage: -1}, {Page: -1}, {Stopping: true, PerPage: 100}} {
		if _, err := api.List(t.Context(), project, q); jobs.KindOf(err) != jobs.KindInvalid {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if len(a.calls) > 0 || api.PageSize(project) != 50 {
		t.Errorf("sent %v, pages of %d", a.calls, api.PageSize(project))
	}
}

func TestOddLists(t *testing.T) {
	item := visualization("Running")
	for body, want := range map[string]int{
		`{"items":[]}`:             0,
		`{"items":null,"total":0}`: 0,
		`{"total":"7"}`:            0,
		`{"items":[` + item + `]}`: 1,
		`{"items":[` + item + `],"total":-3,"count":"x","limit":[]}`:                               1,
		`{"items":[` + bare(`,"kind":"visualization_job","status":7,"spec":"x"`) + `],"total":{}}`: 1,
	} {
		page, err := fixed(t, 200, body).List(t.Context(), project, jobs.Query{})
		if err != nil || len(page.Jobs) != want || page.Total < 0 || page.RequestID != "h1" {
			t.Errorf("%s: %+v, %v", body, page, err)
		}
	}
	for _, body := range []string{"", "{}", "[]", "null", "<html></html>", item, `{"items":{}}`, `{"items":[1]}`, `{"items":[null]}`, `{"items":"none"}`,
		`{"items":[{}]}`, `{"items":[` + item + `,{"status":{"phase":"Terminating"}}]}`, `{"items":[` + item} {
		page, err := fixed(t, 200, body).List(t.Context(), project, jobs.Query{})
		if page != nil || jobs.KindOf(err) != jobs.KindUnavailable {
			t.Errorf("%q: %+v, %v", body, page, err)
		}
	}
}

// stoppingAll reads all pages of the list of stopping jobs.
func stoppingAll(t *testing.T, api *v2.API) (ids []string, total int) {
	t.Helper()
	for page := 1; ; page++ {
		list, err := api.List(t.Context(), project, jobs.Query{Stopping: true, Page: page})
		if err != nil {
			t.Fatal(err)
		}
		for _, job := range list.Jobs {
			if job.Status.State != jobs.Stopping {
				t.Errorf("%s is %v", job.ID, job.Status)
			}
			ids = append(ids, job.ID)
		}
		if total = max(total, list.Total); len(ids) >= total || len(list.Jobs) == 0 {
			return ids, total
		}
	}
}

// The stopping jobs of a project are all told, of any kind, whatever the service does
// with filters, and however it reads an offset.
func TestListStopping(t *testing.T) {
	for _, filters := range []string{modelartstest.FiltersHonored, modelartstest.FiltersIgnored, modelartstest.FiltersBadKey,
		modelartstest.FiltersBadOperator, modelartstest.FiltersBadValue} {
		for _, offset := range readings {
			for _, n := range []struct{ ended, stopping, active int }{
				{0, 0, 0}, {1, 0, 0}, {3, 0, 0}, {60, 0, 0}, {0, 1, 0}, {0, 0, 1}, {3, 2, 0}, {0, 5, 2}, {10, 5, 10}, {49, 1, 0}, {50, 1, 0}, {0, 50, 0},
				{40, 60, 40}, {90, 50, 50},
			} {
				if offset == modelartstest.OffsetStart && n.ended+n.stopping+n.active < 50 {
					continue // on one page
				}
				name := fmt.Sprintf("filters %s, offset of a %s, %+v", filters, offset, n)
				var p purse
				cfg := modelartstest.Config{Only: modelartstest.V2, V2: modelartstest.V2Options{Offset: offset, Filters: filters}}
				sim, api := simulate(t, cfg, v2.Options{Spend: p.spend})
				add(sim, n.ended, modelartstest.Job{Status: v1.StatusKilled})
				want := add(sim, n.stopping, modelartstest.Job{Status: v1.StatusKilling, StopTime: time.Hour})
				add(sim, n.active, modelartstest.Job{})
				if n.stopping > 0 { // whoever asks knows its own
					want = append(want, add(sim, 1, modelartstest.Job{Kind: modelartstest.KindJob, Status: v1.StatusKilling, StopTime: time.Hour})...)
				}
				for range 2 {
					if ids, total := stoppingAll(t, api); !slices.Equal(ids, want) || total != len(want) {
						t.Errorf("%s: %d of %d jobs, total %d", name, len(ids), len(want), total)
					}
				}
				// A look at the length alone tells the same.
				peek, err := api.List(t.Context(), project, jobs.Query{Stopping: true, Page: 1, PerPage: 1})
				if err != nil || peek.Total != len(want) {
					t.Errorf("%s: a peek tells of %+v, %v", name, peek, err)
				}
				calls := sim.Counts()[modelartstest.OpList]
				pages := (len(want) + 49) / 50
				if own := calls - p.taken(); filters == modelartstest.FiltersHonored && own != 2*max(1, pages)+1 {
					t.Errorf("%s: %d calls besides those that were asked for", name, own)
				}
			}
		}
	}
}

// A service that passes over filters is found out by the second page if the first has
// only stopping jobs; the next reading is right.
func TestUnfilteredListThatBeginsAsAFilteredOne(t *testing.T) {
	cfg := modelartstest.Config{Only: modelartstest.V2, V2: modelartstest.V2Options{Filters: modelartstest.FiltersIgnored}}
	sim, api := simulate(t, cfg, v2.Options{})
	want := add(sim, 55, modelartstest.Job{Status: v1.StatusKilling, StopTime: time.Hour})
	add(sim, 60, modelartstest.Job{})
	stoppingAll(t, api)
	if ids, total := stoppingAll(t, api); !slices.Equal(ids, want) || total != len(want) {
		t.Errorf("%d of %d jobs, total %d", len(ids), len(want), total)
	}
}

// A peek as the first of all calls must not take a service that passes over filters for
// one that filters.
func TestPeekFirst(t *testing.T) {
	for _, filters := range []string{modelartstest.FiltersIgnored, modelartstest.FiltersHonored} {
		cfg := modelartstest.Config{Only: modelartstest.V2, V2: modelartstest.V2Options{Filters: filters}}
		sim, api := simulate(t, cfg, v2.Options{})
		add(sim, 60, modelartstest.Job{Status: v1.StatusKilled})
		add(sim, 7, modelartstest.Job{Status: v1.StatusKilling, StopTime: time.Hour})
		page, err := api.List(t.Context(), project, jobs.Query{Stopping: true, PerPage: 1})
		if err != nil || page.Total != 7 || len(page.Jobs) == 0 {
			t.Errorf("filters %s: %+v, %v", filters, page, err)
		}
	}
}

// stoppingPage is an answer of stopping jobs, the first of which have just ended.
func stoppingPage(t *testing.T, ended, n, total int) string {
	t.Helper()
	var items []json.RawMessage
	for i := range n {
		phase := "Terminating"
		if i < ended {
			phase = "Terminated"
		}
		items = append(items, json.RawMessage(fmt.Sprintf(`{"metadata":{"id":"job-%d"},"status":{"phase":%q}}`, i, phase)))
	}
	body, err := json.Marshal(map[string]any{"items": items, "total": total})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// A filtered list whose jobs have partly ended while it was made is a filtered list.
func TestListOfJobsThatHaveJustEnded(t *testing.T) {
	for _, tt := range []struct{ ended, n, total, want, wantTotal int }{
		{0, 50, 120, 50, 120}, {4, 50, 120, 46, 120}, {25, 50, 120, 25, 120}, {3, 3, 3, 0, 0}, {7, 10, 10, 3, 3}, {1, 50, 0, 49, 0},
	} {
		a := &answers{answer: func(string, *http.Request) (int, string) { return 200, stoppingPage(t, tt.ended, tt.n, tt.total) }}
		page, err := a.api(t, v2.Options{}).List(t.Context(), project, jobs.Query{Stopping: true})
		if err != nil || len(page.Jobs) != tt.want || page.Total != tt.wantTotal || a.calls["list"] != 1 {
			t.Errorf("%+v: %d jobs of %d after %v, %v", tt, len(page.Jobs), page.Total, a.calls, err)
		}
	}
}

// A list that is too long to be filtered by reading it is refused for what it is, and
// costs no call more than it takes to see that.
func TestUnfilteredListIsTooLong(t *testing.T) {
	for _, filters := range []string{modelartstest.FiltersIgnored, modelartstest.FiltersBadKey} {
		for _, n := range []int{200, 201, 500} {
			var p purse
			cfg := modelartstest.Config{Only: modelartstest.V2, V2: modelartstest.V2Options{Filters: filters}}
			sim, api := simulate(t, cfg, v2.Options{Spend: p.spend})
			add(sim, n-1, modelartstest.Job{Status: v1.StatusKilled})
			add(sim, 1, modelartstest.Job{Status: v1.StatusKilling, StopTime: time.Hour})
			page, err := api.List(t.Context(), project, jobs.Query{Stopping: true})
			if calls := sim.Counts()[modelartstest.OpList]; calls != 1+p.taken() {
				t.Errorf("filters %s, %d jobs: %d calls", filters, n, calls)
			}
			if n == 200 {
				if err != nil || len(page.Jobs) != 1 || page.Total != 1 {
					t.Errorf("filters %s, %d jobs: %+v, %v", filters, n, page, err)
				}
				continue
			}
			if apiErr := asError(t, err); apiErr.Kind != jobs.KindInvalid || !strings.Contains(err.Error(), "more than 200 training jobs") {
				t.Errorf("filters %s, %d jobs: %v", filters, n, err)
			}
			if calls := sim.Counts()[modelartstest.OpList]; calls != 2 {
				t.Errorf("filters %s, %d jobs: %d calls, want 2", filters, n, calls)
			}
		}
	}
	// One that does not tell its length, and has no end.
	a := &answers{answer: func(string, *http.Request) (int, string) { return 200, stoppingPage(t, 50, 50, 0) }}
	_, err := a.api(t, v2.Options{}).List(t.Context(), project, jobs.Query{Stopping: true})
	if jobs.KindOf(err) != jobs.KindInvalid || a.calls["list"] > 1+4+2 {
		t.Errorf("got %v after %v", err, a.calls)
	}
}

// Only a refused filter is a reason to read without.
func TestOtherRefusalsAreToldAtOnce(t *testing.T) {
	for _, body := range []string{errorBody(`"ModelArts.2787"`, "x"), errorBody(`"ModelArts.2838"`, "x"), errorBody(`"ModelArts.0010"`, "x"), ""} {
		a := &answers{answer: func(string, *http.Request) (int, string) { return 400, body }}
		if _, err := a.api(t, v2.Options{}).List(t.Context(), project, jobs.Query{Stopping: true}); err == nil || a.calls["list"] != 1 {
			t.Errorf("%s: %v after %v", body, err, a.calls)
		}
	}
	a := &answers{answer: func(string, *http.Request) (int, string) { return 400, errorBody("2807", "x") }}
	if _, err := a.api(t, v2.Options{}).List(t.Context(), project, jobs.Query{Stopping: true}); jobs.KindOf(err) != jobs.KindInvalid || a.calls["list"] != 2 {
		t.Errorf("a service that refuses all: %v after %v", err, a.calls)
	}
}

// A call that the rate has no room for is not sent, and its error is told.
func TestListSpends(t *testing.T) {
	away := errors.New("redis is away")
	p := purse{err: away}
	cfg := modelartstest.Config{Only: modelartstest.V2, V2: modelartstest.V2Options{Filters: modelartstest.FiltersBadKey}}
	sim, api := simulate(t, cfg, v2.Options{Spend: p.spend})
	add(sim, 60, modelartstest.Job{})
	for i, q := range []jobs.Query{{Page: 2}, {Stopping: true}} {
		if _, err := api.List(t.Context(), project, q); !errors.Is(err, away) || p.taken() != 1 || sim.Counts()[modelartstest.OpList] != i {
			t.Errorf("%+v: %v after %v", q, err, sim.Counts())
		}
	}
	p.err = nil
	if page, err := api.List(t.Context(), project, jobs.Query{Stopping: true}); err != nil || page.Total != 0 {
		t.Errorf("got %+v, %v", page, err)
	}
	if spent, calls := p.taken(), sim.Counts()[modelartstest.OpList]-1; calls != 1+spent {
		t.Errorf("%d calls, asked for %d", calls, spent)
	}
}
